"""What is done with configs in ``cases_*.py`` ends as in MMEngine: same values, same errors."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent
FILES = sorted(map(str, FOLDER.glob("cases_*.py")))
HARNESS = runpy.run_path(str(FOLDER / "harness.py"))
CASES = {
    name: case for file in FILES for name, case in HARNESS["cases"](file, "mm2pl.mmengine").items()
}

# Where ours is to differ from MMEngine, and why. An entry that no longer differs fails.
DIFFERENT = {
    "case_environment_default_with_brackets": "MMEngine takes the default for a pattern",
    "case_base_variable_within_a_string": "MMEngine leaves a random name in the string",
    "case_merge_list_index_of_value": "MMEngine crashes on elements that are no dicts",
    "case_merge_dict_over_value_in_list": "MMEngine crashes with AttributeError",
    "case_merge_keeps_the_options": "MMEngine takes _delete_ out of the caller's dict",
    "case_option_a]b,[c": "MMEngine recurses without end",
    "case_option_[a[0],b(1,2)]": "MMEngine recurses without end",
    "case_option_(1,2),(3,4)": "MMEngine recurses without end",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cases") / "root"


@pytest.fixture(scope="module")
def ours(root: Path) -> Any:
    return HARNESS["outcomes"](CASES, root)


@pytest.fixture(scope="module")
def theirs(reference: Any, root: Path) -> Any:
    printed = reference.process(str(FOLDER / "harness.py"), str(root), *FILES)
    return json.loads(printed.splitlines()[-1])


def _same(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    if "error" in theirs:
        return theirs["error"][0] in ours.get("error", ())
    return ours.get("value", ours) == theirs["value"]


@pytest.mark.parametrize("name", CASES)
def test_outcome_is_that_of_mmengine(name: str, ours: Any, theirs: Any) -> None:
    same = _same(ours[name], theirs[name])
    if name in DIFFERENT:
        assert not same, f"no longer differs: {DIFFERENT[name]}"
    else:
        assert same, f"ours   {ours[name]}\ntheirs {theirs[name]}"


def test_every_difference_is_a_case() -> None:
    assert set(DIFFERENT) <= set(CASES)
