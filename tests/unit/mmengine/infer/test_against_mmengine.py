"""mmengine.infer and mmengine.hub do what MMEngine's do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.mmengine.infer.cases import CASES
from tests.unit.mmengine.utils.differential import differences, run, run_reference

pytestmark = pytest.mark.slow

FILE = str(Path(__file__).with_name("cases.py"))


@pytest.fixture(scope="module")
def theirs(reference: Any) -> dict[str, Any]:
    return run_reference(reference, FILE)


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    return run(FILE, "mm2pl.mmengine")


@pytest.mark.parametrize("case", CASES)
def test_case_agrees(case: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    assert differences(ours[case], theirs[case]) == []
