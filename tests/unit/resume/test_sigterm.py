"""SIGTERM that reaches the data workers too: the run saves all the same, and loses nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.resume.sigterm_runs import KINDS

FILE = str(Path(__file__).with_name("sigterm_runs.py"))
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("sigterm")]
SIGNALLED = ["workers first, iter", "all at once, iter", "all at once, val"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("runs")
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, FILE, str(folder)]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return {"folder": folder, **json.loads(done.stdout.splitlines()[-1])}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", SIGNALLED)
def test_a_run_whose_workers_are_told_to_end_saves_and_goes_on(
    runs: dict[str, Any], kind: str, way: str
) -> None:
    """Also where the signal comes to workers half a second earlier; a cache in them is kept."""
    status, printed = runs[f"{kind}, {way}"]
    assert status == 143, printed
    status, printed = runs[f"{kind}, {way}, goes on"]
    assert status == 0, printed
    whole, again = (runs["folder"] / name / "end.json" for name in (kind, f"{kind}, {way}"))
    assert json.loads(again.read_text()) == json.loads(whole.read_text())


@pytest.mark.parametrize("kind", KINDS)
def test_half_an_iteration_is_not_saved(runs: dict[str, Any], kind: str) -> None:
    """As where workers are killed meanwhile: the run goes on from the last checkpoint."""
    name = f"{kind}, workers killed, step"
    status, printed = runs[name]
    assert status == 143, printed
    status, printed = runs[f"{name}, goes on"]
    assert status == 0, printed
    folder = runs["folder"] / name
    told = [path.read_text() for path in folder.glob("*/*.log")]
    assert any("in mid iteration, of which nothing can be saved" in text for text in told)
    assert not list(folder.glob("preempted*"))
    ends = [json.loads((runs["folder"] / one / "end.json").read_text()) for one in (kind, name)]
    assert ends[0] == ends[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_ends_though_its_workers_are_there_still(kind: str, tmp_path: Path) -> None:
    """Python tells them to end by one SIGTERM, and waits."""
    program = str(Path(__file__).with_name("exit_runs.py"))
    command = [sys.executable, program, str(tmp_path), kind]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "at the end"
