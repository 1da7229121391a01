"""Helpers, early stopping and registration beside MMEngine's, over ``random_cases.py``."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

_PATH = Path(__file__).with_name("random_cases.py")


@pytest.fixture(scope="module")
def theirs(reference: Any) -> Any:
    return json.loads(reference.process(str(_PATH), "mmengine").strip().splitlines()[-1])


@pytest.fixture(scope="module")
def ours() -> Any:
    return runpy.run_path(str(_PATH))["run"]("mm2pl.mmengine")


@pytest.mark.parametrize("what", ["questions", "stages", "registered"])
def test_answers_equal_mmengines(ours: Any, theirs: Any, what: str) -> None:
    assert len(theirs[what]) >= 150
    for number, (mine, expected) in enumerate(zip(ours[what], theirs[what], strict=True)):
        assert (number, mine) == (number, expected)


@pytest.mark.proves("HOOKS.EarlyStoppingHook.strict")
def test_training_is_stopped_by_the_same_scores(ours: Any, theirs: Any) -> None:
    for mine, expected in zip(ours["stopping"], theirs["stopping"], strict=True):
        assert mine == expected
    ends = [case[-2] for case in theirs["stopping"]]
    assert {"ValueError", "RuntimeError"} < {str(end) for end in ends}
    assert any(end[0] is True for end in ends if isinstance(end, list))
