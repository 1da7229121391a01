"""Validation and test of a run beside MMEngine's, over the scenarios of ``run_scenarios.py``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.metrics.run_scenarios import RESULTS, TAILS, run

CASES = [
    *(f"{tail} in a {kind}" for tail in TAILS for kind in ("list", "tuple")),
    *(f"{tail} in a test" for tail in ("losses", "lists")),
    *(f"{name} behind {prefix}" for name in RESULTS for prefix in (None, "pre")),
    "no metainfo",
    "a built evaluator",
    "a section",
    "no metrics",
    "two of one name",
    "a number",
    "something like an evaluator",
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value"),
]


@pytest.fixture(scope="module")
def theirs(reference: Any) -> Any:
    path = Path(__file__).with_name("run_scenarios.py")
    return json.loads(reference.process(str(path), "mmengine").strip().splitlines()[-1])


@pytest.fixture(scope="module")
def ours() -> Any:
    return run("mm2pl.mmengine")


@pytest.mark.parametrize("case", CASES)
def test_it_goes_as_in_mmengine(ours: Any, theirs: Any, case: str) -> None:
    (*here, seen), (*there, seen_there) = ours[case], theirs[case]
    assert seen == seen_there
    if len(there) == 1:  # an error, which can be caught as MMEngine's
        assert there[0][0] in here[0]
    else:
        assert here == there


def test_no_case_is_left_out(theirs: Any) -> None:
    assert sorted(theirs) == sorted(CASES)
