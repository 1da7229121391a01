"""Parts of mmpretrain's zoo, from models to optimizers, are built as with MMEngine."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.downstream.mmpretrain_runs.jobs import HERE, environment
from tools import reference as reference_tool

pytestmark = pytest.mark.slow

# With the number of configs, one of each folder, for which a part is there and can be built here.
PARTS = {
    "config": 105,
    "pipelines": 100,
    "metrics": 100,
    "hooks": 100,
    "model": 90,
    "trainable": 90,
    "optimizer": 85,
    "weights": 25,
}


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Build with both engines at once; the workers of pytest-xdist share one run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "mmpretrain_zoo"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "mm2pl.json").exists():
            reference_tool.install()
            for process, log in [_start(engine, folder) for engine in ("mmengine", "mm2pl")]:
                if process.wait():
                    pytest.fail(log.read_text()[-4000:])
    return {one: json.loads((folder / f"{one}.json").read_text()) for one in ("mmengine", "mm2pl")}


def _start(engine: str, folder: Path) -> tuple[subprocess.Popen[bytes], Path]:
    log = folder / f"{engine}.log"
    command = [sys.executable, HERE / "zoo.py", engine, "one", folder / f"{engine}.json"]
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(part) for part in command],
            env=environment(engine),
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    return process, log


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_every_config_is_built_as_with_mmengine(
    reports: dict[str, Any], part: str
) -> None:
    ours, theirs = reports["mm2pl"], reports["mmengine"]
    assert list(ours) == list(theirs)
    differ = {
        path: f"mm2pl: {ours[path].get(part)}, MMEngine: {theirs[path].get(part)}"
        for path in theirs
        if not _alike(ours[path].get(part), theirs[path].get(part))
    }
    assert not differ


@pytest.mark.parametrize("part", PARTS)
def test_most_configs_can_be_compared(reports: dict[str, Any], part: str) -> None:
    found = [one[part] for one in reports["mmengine"].values() if part in one]
    assert sum(not _failed(one) for one in found) >= PARTS[part]


def _failed(built: Any) -> bool:
    return isinstance(built, dict) and "error" in built


def _alike(ours: Any, theirs: Any) -> bool:
    if _failed(theirs):  # an error of ours can be caught as MMEngine's
        return _failed(ours) and theirs["error"][0] in ours["error"]
    return bool(ours == theirs)
