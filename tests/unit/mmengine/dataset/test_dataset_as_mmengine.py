"""Our datasets, samplers and collate functions beside MMEngine's, over ``scenarios.py``."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

_PATH = Path(__file__).with_name("scenarios.py")
_SCENARIOS = runpy.run_path(str(_PATH))

_ERRORS = [
    *_SCENARIOS["WRONG"],
    "metainfo differs",
    "metainfo has more",
    "metainfo has another type",
    "ignore_keys of a wrong type",
    "concat of no dataset",
    "concat of an unknown type",
    "concat out of range",
    "concat past the end",
    "repeat of no dataset",
    "balanced of no dataset",
    "subset of a concat",
    "subset of a repeat",
    "no classes",
    "unequal samples",
    "unequal samples to stack",
    "no full_init",
    "unregistered",
]


@pytest.fixture(scope="module")
def theirs(reference: Any) -> Any:
    return json.loads(reference.process(str(_PATH), "mmengine").strip().splitlines()[-1])


@pytest.fixture(scope="module")
def ours() -> Any:
    return _SCENARIOS["run"]("mm2pl.mmengine")


@pytest.mark.parametrize(
    "part", ["dataset", "pipeline", "wrapper", "sampler", "collate", "worker", "all"]
)
def test_data_are_as_in_mmengine(ours: Any, theirs: Any, part: str) -> None:
    assert ours[part] == theirs[part]


@pytest.mark.parametrize("name", _ERRORS)
def test_errors_can_be_caught_as_in_mmengine(ours: Any, theirs: Any, name: str) -> None:
    assert theirs["error"][name][0] in ours["error"][name]


def test_no_error_case_is_left_out(theirs: Any) -> None:
    assert set(theirs["error"]) == set(_ERRORS)
