"""Every scenario, run with MMEngine and with mm2pl, leaves the same traces, files and weights."""

from __future__ import annotations

from typing import Any

import pytest

from tests.parity.compare import first_difference
from tests.parity.reports import EXCHANGED, Reports, scenario_names
from tools.reference import SITE

pytestmark = pytest.mark.slow

SCENARIOS = scenario_names()

ASPECTS = (
    "trace",  # all hooks at all points: counters, lr, RNG, batches, losses, metrics, weights
    "result",  # what the scenario itself noted
    "history",  # every scalar of the message hub at every iteration
    "scalars",  # scalars.json and its kin
    "files",  # the names of all files in work_dir
    "log",
    "configs",  # the copies of the config
    "checkpoints",  # what MMEngine knows of them, and last_checkpoint
    "events",  # TensorBoard
    "weights",  # model and optimizer at the end, bit by bit
)

# Where MMEngine itself fails: scenario -> the scenario that it is to be like (same set-up without
# what MMEngine fails on) or None, and a part of MMEngine's error.
REFERENCE_FAILS: dict[str, tuple[str | None, str]] = {
    "evaluation.val_alone_with_save_best": (
        "evaluation.val_alone_like_it",
        "AttributeError: 'CheckpointHook' object has no attribute",
    ),
}

# Differences that are accepted, with the reason. Strict: one that is gone fails here.
KNOWN_DIFFERENCES: dict[tuple[str, str], str] = {
    (scenario, "checkpoints"): "MMEngine pickles a function of its own, anneal_func"
    for scenario in (
        "optimisation.one_cycle",
        "runtime.resumed_one_cycle_from_the_other_engine",
        "schedules.one_cycle_converted",
    )
}


def cases() -> list[Any]:
    return [
        pytest.param(scenario, aspect, marks=_marks(scenario, aspect), id=f"{scenario}-{aspect}")
        for scenario in SCENARIOS
        if scenario not in REFERENCE_FAILS
        for aspect in ASPECTS
    ]


def _marks(scenario: str, aspect: str) -> list[pytest.MarkDecorator]:
    reason = KNOWN_DIFFERENCES.get((scenario, aspect))
    return [pytest.mark.xfail(reason=reason, strict=True)] if reason else []


@pytest.mark.parametrize(("scenario", "aspect"), cases())
def test_mm2pl_does_as_mmengine(scenario: str, aspect: str, reports: Reports) -> None:
    theirs = reports("mmengine", scenario)
    assert theirs["error"] is None, reports.output("mmengine", scenario)
    ours = reports("mm2pl", scenario)
    assert ours["error"] is None, reports.output("mm2pl", scenario)
    assert ours["engine"] == "mm2pl"
    assert theirs["engine"] == SITE.name
    difference = first_difference(ours[aspect], theirs[aspect])
    assert difference is None, f"{scenario}: {aspect}{difference}"


@pytest.mark.parametrize(
    ("scenario", "twin"), [(name, [twin]) for name, (twin, _) in REFERENCE_FAILS.items() if twin]
)
@pytest.mark.parametrize("aspect", ["trace", "weights", "history"])
def test_mm2pl_works_where_mmengine_fails(
    scenario: str, twin: list[str], aspect: str, reports: Reports
) -> None:
    ours = reports("mm2pl", scenario)
    assert ours["error"] is None, reports.output("mm2pl", scenario)
    difference = first_difference(ours[aspect], reports("mmengine", twin[0])[aspect])
    assert difference is None, f"{scenario}: {aspect}{difference}"


@pytest.mark.parametrize("scenario", EXCHANGED)
@pytest.mark.parametrize("aspect", ["trace", "scalars", "weights"])
def test_mmengine_goes_on_from_a_checkpoint_of_mm2pl(
    scenario: str, aspect: str, reports: Reports
) -> None:
    again = reports("mmengine_after_mm2pl", scenario)
    assert again["error"] is None, reports.output("mmengine_after_mm2pl", scenario)
    difference = first_difference(again[aspect], reports("mmengine", scenario)[aspect])
    assert difference is None, f"{scenario}: {aspect}{difference}"


@pytest.mark.parametrize("scenario", REFERENCE_FAILS)
def test_mmengine_still_fails_there(scenario: str, reports: Reports) -> None:
    error = reports("mmengine", scenario)["error"]
    assert error is not None, f"{scenario} works with MMEngine: take it out of REFERENCE_FAILS"
    assert REFERENCE_FAILS[scenario][1] in f"{error['type']}: {error['message']}"


def test_lists_of_exceptions_name_existing_scenarios() -> None:
    assert {name for name, _ in KNOWN_DIFFERENCES} <= set(SCENARIOS)
    assert {aspect for _, aspect in KNOWN_DIFFERENCES} <= set(ASPECTS)
    assert set(REFERENCE_FAILS) <= set(SCENARIOS)
    assert {twin for twin, _ in REFERENCE_FAILS.values()} <= {*SCENARIOS, None}
