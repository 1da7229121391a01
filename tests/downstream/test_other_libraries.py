"""mmseg, mmdet, mmpose and mmaction2, unmodified: small configs run as with MMEngine, bit by bit.

mmcv-lite stands for mmcv: what is run calls no compiled operator but NMS, which both engines get
in torch.
"""

from __future__ import annotations

import fcntl
import os
from itertools import chain
from pathlib import Path

import pytest

from tests.downstream.other_libraries import data, jobs
from tests.parity.compare import first_difference
from tools import reference as reference_tool

pytestmark = pytest.mark.slow

RUNS = [(name, ours, theirs) for name in jobs.CASES for ours, theirs in jobs.pairs(name)]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run all jobs with both engines; the workers of pytest-xdist share one run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "other_libraries"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            reference_tool.install()
            data.main(str(folder / "data"))
            for engine in jobs.ENGINES:
                of_cases = (jobs.jobs_of(engine, name, folder) for name in jobs.CASES)
                jobs.run(engine, folder, list(chain.from_iterable(of_cases)))
            (folder / "done").touch()
    return folder


@pytest.mark.parametrize(("case", "ours", "theirs"), RUNS)
def test_a_config_runs_as_with_mmengine(folder: Path, case: str, ours: str, theirs: str) -> None:
    expected = jobs.report(folder, "mmengine", case, theirs)
    assert expected["error"] is None, jobs.output(folder, "mmengine", case, theirs)
    found = jobs.report(folder, "mm2pl", case, ours)
    assert found["error"] is None, jobs.output(folder, "mm2pl", case, ours)
    for aspect in jobs.ASPECTS:
        compared = (jobs.compared(report, aspect) for report in (found, expected))
        difference = first_difference(*compared)
        assert difference is None, f"{case}, {ours}: {aspect}{difference}"
    drawn = (
        jobs.images(folder, *run) for run in (("mm2pl", case, ours), ("mmengine", case, theirs))
    )
    assert first_difference(*drawn) is None


@pytest.mark.parametrize("case", jobs.CASES)
def test_what_is_compared_is_there(folder: Path, case: str) -> None:
    trained = jobs.report(folder, "mmengine", case, "train")
    losses = [event["losses"] for event in trained["trace"] if "losses" in event]
    assert len(losses) >= 6
    assert len({str(one) for one in losses}) == len(losses)
    assert any("val metrics" in event for event in trained["trace"])
    assert trained["checkpoints"]
    if jobs.CASES[case].tests:
        tested = jobs.report(folder, "mmengine", case, "test")
        assert any("test metrics" in event for event in tested["trace"])


@pytest.mark.parametrize("case", ["seg_fcn", "det_retinanet"])
def test_pictures_of_the_results_are_there(folder: Path, case: str) -> None:
    assert len(jobs.images(folder, "mmengine", case, "train")) >= 2
