"""Real configs of three libraries: their parameter groups and schedules are MMEngine's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.downstream.engines import run_both
from tests.downstream.optim_runs import sample
from tests.parity.compare import first_difference

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "optim_runs" / "program.py"


@pytest.fixture(scope="module")
def shown() -> dict[str, frozenset[sample.Shape]]:
    return sample.shown_by_file()


@pytest.fixture(scope="module")
def files(shown: dict[str, frozenset[sample.Shape]]) -> list[str]:
    return sample.covering(shown)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, files: list[str]) -> dict[str, Any]:
    """What the program prints about the sample with either engine, by file."""

    def prepare(folder: Path) -> None:
        (folder / "files.json").write_text(json.dumps(files))

    def arguments(folder: Path) -> list[str]:
        return [str(folder / "files.json")]

    return run_both(tmp_path_factory, PROGRAM, arguments, prepare)


def test_the_sample_shows_every_shape_there_is(
    shown: dict[str, frozenset[sample.Shape]], files: list[str]
) -> None:
    seen = sample.all_shapes(shown[file] for file in files)
    assert seen == sample.all_shapes(shown.values())
    assert len(seen) > 200
    assert len(set(files)) >= 60
    assert {sample.library_of(file) for file in files} == {"mmdet", "mmpretrain", "mmseg"}


def test_the_sample_uses_every_constructor(
    shown: dict[str, frozenset[sample.Shape]], files: list[str]
) -> None:
    seen = sample.all_shapes(shown[file] for file in files)
    assert {shape[2] for shape in seen if shape[0] == "constructor"} == {
        None,
        "ForceDefaultOptimWrapperConstructor",
        "LayerDecayOptimizerConstructor",
        "LearningRateDecayOptimWrapperConstructor",
        "LearningRateDecayOptimizerConstructor",
    }


def test_most_models_are_the_configs_own(both: Any, files: list[str]) -> None:
    whole = [file for file in files if both["mmengine"][file]["model"][1] == "all"]
    assert len(whole) >= 50


def test_groups_of_the_sample_equal_mmengines(both: Any) -> None:
    ours, theirs = (_part(both[one], "model", "optimizer", "groups") for one in both)
    assert first_difference(ours, theirs) is None


def test_the_sample_has_many_kinds_of_groups(both: Any, files: list[str]) -> None:
    groups = [group for file in files for group in both["mmengine"][file]["groups"]]
    assert len({(group["lr"], group.get("weight_decay")) for group in groups}) > 100
    assert sum(len(group["params"]) for group in groups) > 10_000


def test_schedules_of_the_sample_equal_mmengines_at_both_ends_of_the_run(both: Any) -> None:
    ours, theirs = (_part(both[one], "schedule") for one in both)
    assert first_difference(ours, theirs) is None


def test_the_schedules_of_the_sample_change_something(both: Any) -> None:
    scheduled = [report["schedule"] for report in both["mmengine"].values() if "schedule" in report]
    still = [one for one in scheduled if one["end"] == one["from"]["0"][0]]
    assert len(scheduled) >= 60
    assert len(still) < 5


def _part(reports: dict[str, Any], *names: str) -> dict[str, Any]:
    return {
        file: {name: report[name] for name in names if name in report}
        for file, report in reports.items()
    }
