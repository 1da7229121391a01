"""mmengine.dist does what MMEngine's does, alone and between two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unit.mmengine.dist.cases import CASES
from tests.unit.mmengine.utils.differential import ROOT, differences, run, run_reference
from tools import reference as reference_tool

FILE = str(Path(__file__).with_name("cases.py"))
WORKER = Path(__file__).with_name("worker.py")


@pytest.fixture(scope="module")
def theirs(reference: Any) -> dict[str, Any]:
    return run_reference(reference, FILE)


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    return run(FILE, "mm2pl.mmengine")


@pytest.mark.parametrize("case", CASES)
def test_case_agrees_in_one_process(
    case: str, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    assert differences(ours[case], theirs[case]) == []


def start(package: str, rank: int, folder: Path) -> subprocess.Popen[str]:
    path = os.pathsep.join([str(reference_tool.SITE), str(ROOT)][package == "mm2pl.mmengine" :])
    working_directory = folder / package
    working_directory.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, WORKER, package, str(rank), folder / f"{package}.store"],
        env={**reference_tool.environment(), "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        cwd=working_directory,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(scope="module")
def two_processes(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Results by package, rank and case, from four processes that run at once."""
    folder = tmp_path_factory.mktemp("gloo")
    packages = ("mmengine", "mm2pl.mmengine")
    started = {package: [start(package, rank, folder) for rank in (0, 1)] for package in packages}
    results: dict[str, Any] = {}
    for package, processes in started.items():
        for process in processes:
            output, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
            results.setdefault(package, []).append(json.loads(output.splitlines()[-1]))
    results["files"] = {p: [path.name for path in (folder / p).iterdir()] for p in packages}
    return results


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("case", ["state", "reduced", "reduced_params", "moved", "collected"])
def test_case_agrees_between_two_processes(
    case: str, rank: int, two_processes: dict[str, Any]
) -> None:
    ours, theirs = (two_processes[p][rank][case] for p in ("mm2pl.mmengine", "mmengine"))
    assert differences(ours, theirs) == []


@pytest.mark.slow
def test_collecting_results_needs_no_shared_folder(two_processes: dict[str, Any]) -> None:
    assert two_processes["files"] == {"mmengine": [".dist_test"], "mm2pl.mmengine": []}
