"""Runs one program beside the real libraries with MMEngine and with mm2pl, each in a process."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tools import reference as reference_tool

HERE = Path(__file__).parent


def run_both(
    factory: pytest.TempPathFactory,
    program: Path,
    arguments: Callable[[Path], list[str]],
    prepare: Callable[[Path], None] = lambda folder: None,
) -> dict[str, Any]:
    """Return the JSON that a program prints as its last line, for each engine.

    The workers of pytest-xdist share one run.

    Args:
        factory: Where to work.
        program: Called with the engine's name and ``arguments``, in a folder of the engine's own.
        arguments: From the folder that the two engines share.
        prepare: Fills that folder.
    """
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / program.parent.name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            reference_tool.install()
            prepare(folder)
            for engine in ("mmengine", "mm2pl"):
                printed = _run(engine, folder / engine, [str(program), engine, *arguments(folder)])
                (folder / f"{engine}.json").write_text(printed)
            (folder / "done").touch()
    engines = ("mm2pl", "mmengine")
    return {engine: json.loads((folder / f"{engine}.json").read_text()) for engine in engines}


def _run(engine: str, folder: Path, command: list[str]) -> str:
    folder.mkdir()
    theirs = engine == "mmengine"
    site = reference_tool.SITE if theirs else HERE.parents[1]
    paths = [HERE / "stubs", reference_tool.LIBRARIES, site]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={
            **(reference_tool.environment() if theirs else os.environ),
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "MM2PL_STUB_MMCV_OPS": "1",
            "MPLBACKEND": "Agg",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1]
