"""mmpretrain 1.2.0 from its wheel, unmodified: its configs run as with MMEngine, bit by bit."""

from __future__ import annotations

import fcntl
import os
import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from tests.downstream.mmpretrain_runs import data, jobs
from tests.downstream.mmpretrain_runs.cases import CASES
from tests.parity.compare import first_difference
from tools import reference as reference_tool

pytestmark = pytest.mark.slow

ASPECTS = (
    "error",
    "trace",  # batches, RNG, all losses, learning rates, momenta; outputs and metrics
    "weights",
    "optimizer",
    "history",  # every scalar of the message hub at every iteration
    "scalars",  # scalars.json and its kin
    "checkpoints",  # weights, averaged weights, optimizer, schedulers, message hub, meta
    "files",
    "configs",
    "log",
    "hooks",
    "second rank",  # the same of the other process, where there are two
    "predictions",  # what tools/test.py --out writes
)

# (case, job of mm2pl, job of MMEngine that it is to be like)
_LIKE = {"fit": "train", "from_cfg": "train", "own_fit": "train", "own_run": "train"}
_LIKE |= {"cli_test": "test", "exchange": "resume"}
RUNS = [
    (name, door, _LIKE.get(door, door))
    for name in CASES
    for door in (job["name"].split()[1] for job in jobs.jobs_of("mm2pl", name, Path("/"), ""))
]

# What mm2pl logs beyond MMEngine.
EXTRA_LINES = r"is in no parameter's name|mmengine - INFO - profile mmpretrain: "


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run all jobs with both engines; the workers of pytest-xdist share one run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "mmpretrain"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            reference_tool.install()
            data.main(str(folder / "data"))
            for engine in jobs.ENGINES:
                of_cases = [jobs.jobs_of(engine, name, folder, f"{folder}/data") for name in CASES]
                jobs.run(engine, folder, list(chain.from_iterable(of_cases)))
            exchanged = [name for name in CASES if CASES[name].resumes]
            made = [jobs.exchange("mmengine", name, folder, f"{folder}/data") for name in exchanged]
            jobs.run("mmengine", folder, made)
            (folder / "done").touch()
    return folder


@pytest.mark.parametrize(("case", "ours", "theirs"), RUNS)
@pytest.mark.parametrize("aspect", ASPECTS)
def test_a_zoo_config_runs_as_with_mmengine(
    folder: Path, case: str, ours: str, theirs: str, aspect: str
) -> None:
    expected = jobs.report(folder, "mmengine", case, theirs)
    assert expected["error"] is None, jobs.output(folder, "mmengine", case, theirs)
    found = jobs.report(folder, "mm2pl", case, ours)
    assert found["error"] is None, jobs.output(folder, "mm2pl", case, ours)
    difference = first_difference(_compared(found, aspect), _compared(expected, aspect))
    assert difference is None, f"{case}, {ours}: {aspect}{difference}"


@pytest.mark.parametrize("case", [name for name in CASES if CASES[name].resumes])
@pytest.mark.parametrize("aspect", ASPECTS)
def test_mmengine_goes_on_from_a_checkpoint_of_mm2pl(folder: Path, case: str, aspect: str) -> None:
    again = jobs.report(folder, "mmengine", case, "exchange")
    assert again["error"] is None, jobs.output(folder, "mmengine", case, "exchange")
    expected = jobs.report(folder, "mmengine", case, "resume")
    difference = first_difference(_compared(again, aspect), _compared(expected, aspect))
    assert difference is None, f"{case}: {aspect}{difference}"


@pytest.mark.parametrize("case", CASES)
def test_what_is_compared_is_there(folder: Path, case: str) -> None:
    trained = jobs.report(folder, "mmengine", case, "train")
    losses = [event["losses"] for event in trained["trace"] if "losses" in event]
    assert len(losses) >= 4
    assert len({str(one) for one in losses}) == len(losses)
    assert {"epoch_1.pth", "epoch_2.pth"} <= set(trained["checkpoints"])
    if CASES[case].tests:
        tested = jobs.report(folder, "mmengine", case, "test")
        assert any("test metrics" in event for event in tested["trace"])


def _compared(report: dict[str, Any], aspect: str) -> Any:
    value = report.get(aspect)
    if aspect == "log":
        return {
            name: [line for line in lines if not re.search(EXTRA_LINES, line)]
            for name, lines in value.items()
        }
    if aspect == "configs":
        # The library's script notes the launcher in the config.
        return {
            name: {**cfg, "launcher": cfg.get("launcher", "none")} for name, cfg in value.items()
        }
    return value
