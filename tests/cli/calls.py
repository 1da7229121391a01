"""Runs command lines as a newcomer would, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


class Done(NamedTuple):
    """How a command line ended."""

    status: int
    out: str
    err: str


def environment() -> dict[str, str]:
    """Return the environment in which ``cli_toys`` and mm2pl can be imported."""
    path = os.pathsep.join([str(HERE), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "mm2pl", *arguments]


def run(*arguments: str, folder: Path) -> Done:
    """Run one command line in ``folder``."""
    done = subprocess.run(
        command(*arguments), cwd=folder, env=environment(), capture_output=True, text=True
    )
    return Done(done.returncode, done.stdout, done.stderr)


def run_all(calls: dict[str, list[str]], folder: Path) -> dict[str, Done]:
    """Run many command lines in ``folder``, for the price of one start."""
    done = subprocess.run(
        [sys.executable, str(HERE / "fork.py")],
        input=json.dumps(calls),
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {name: Done(*one) for name, one in json.loads(done.stdout.splitlines()[-1]).items()}


def write_config(folder: Path, body: str = "", name: str = "config.py") -> str:
    """Write a config that changes ``base.py`` by ``body``; return its path from ``folder``."""
    base = "" if body.startswith("#alone") else f"_base_ = [{str(HERE / 'base.py')!r}]\n"
    (folder / name).write_text(base + body)
    return name
