"""Our evaluator and metrics beside MMEngine's, over the scenarios of ``scenarios.py``."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

_PATH = Path(__file__).with_name("scenarios.py")


@pytest.fixture(scope="module")
def theirs(reference: Any) -> Any:
    return json.loads(reference.process(str(_PATH), "mmengine").strip().splitlines()[-1])


@pytest.fixture(scope="module")
def ours() -> Any:
    return runpy.run_path(str(_PATH))["run"]("mm2pl.mmengine")


@pytest.mark.parametrize("part", ["evaluator", "dump", "log", "all", "to cpu"])
def test_evaluating_is_as_in_mmengine(ours: Any, theirs: Any, part: str) -> None:
    assert ours[part] == theirs[part]


@pytest.mark.parametrize("name", ["a/x", "y", "z", "x", "b/y", "q"])
def test_a_metric_is_looked_up_as_in_mmengine(ours: Any, theirs: Any, name: str) -> None:
    expected, found = theirs["value"][name], ours["value"][name]
    if isinstance(expected, list):
        assert expected[0] in found
        assert "Mm2plError" in found
    else:
        assert found == expected


@pytest.mark.parametrize(
    "name",
    [
        "same names",
        "other lengths",
        "collect_dir on a gpu",
        "no pickle file",
        "abstract",
        "unknown metric",
    ],
)
def test_errors_can_be_caught_as_in_mmengine(ours: Any, theirs: Any, name: str) -> None:
    assert theirs["error"][name][0] in ours["error"][name]
