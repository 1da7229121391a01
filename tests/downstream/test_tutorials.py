"""First programs of MMEngine's users, unchanged, give to the last bit what they give with it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Reference
from tools import reference as reference_tool

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
TUTORIALS = ["fifteen_minutes", "registry"]
Results = Callable[[str], tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="module")
def results(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Results:
    @cache
    def run(tutorial: str) -> tuple[dict[str, Any], dict[str, Any]]:
        ours, theirs = (
            _run(tutorial, engine, tmp_path_factory.mktemp(f"{tutorial}_{engine}"))
            for engine in ("ours", "mmengine")
        )
        return ours, theirs

    return run


def _run(tutorial: str, engine: str, folder: Path) -> dict[str, Any]:
    last = HERE.parents[1] if engine == "ours" else reference_tool.SITE
    folders = [HERE / "stubs", reference_tool.LIBRARIES, last]
    environment = {
        **reference_tool.environment(),
        "PYTHONPATH": os.pathsep.join(map(str, folders)),
        "OMP_NUM_THREADS": "1",
    }
    programs = HERE / "tutorials"
    done = subprocess.run(
        [sys.executable, str(programs / "drive.py"), engine, str(programs / f"{tutorial}.py")],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return outcome


@pytest.mark.parametrize("tutorial", TUTORIALS)
@pytest.mark.parametrize("aspect", ["runners", "metrics", "files"])
def test_a_tutorial_gives_what_it_gives_with_mmengine(
    tutorial: str, aspect: str, results: Results
) -> None:
    ours, theirs = results(tutorial)
    assert ours[aspect] == theirs[aspect]


def test_a_trained_model_loads_without_a_runner(results: Results) -> None:
    ours, theirs = results("registry")
    assert ours["model"] == theirs["model"]


@pytest.mark.parametrize("tutorial", TUTORIALS)
def test_each_engine_ran_and_was_watched(tutorial: str, results: Results) -> None:
    ours, theirs = results(tutorial)
    assert (ours["engine"], theirs["engine"]) == ("mm2pl", reference_tool.SITE.name)
    for runner in ours["runners"]:
        assert len(runner["scalars"]["train/loss"]) >= 3
        assert runner["scalars"]["val/accuracy"]
