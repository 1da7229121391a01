"""Our LearningRateDecayOptimizerConstructor makes the groups that mmseg's and mmdet's make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.downstream.engines import run_both

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "layer_decay" / "program.py"
CASES = [
    "convnext, layer by layer",
    "convnext, stage by stage",
    "convnext, by default",
    "beit",
    "beit, as its older configs say it",
    "mae",
    "transformer, stage by stage",
    "resnet",
]


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_both(tmp_path_factory, PROGRAM, lambda folder: [])


def test_all_cases_are_compared(groups: dict[str, Any]) -> None:
    assert list(groups["mmengine"]["mmseg"]) == CASES


@pytest.mark.parametrize("scope", ["none", "mmpretrain"])
@pytest.mark.parametrize("case", CASES)
def test_ours_makes_the_groups_of_mmsegmentations_and_logs_the_same(
    groups: dict[str, Any], case: str, scope: str
) -> None:
    """Where the scope is a library's that has no constructor of that name, too."""
    ours, theirs = groups["mm2pl"][scope][case], groups["mmengine"]["mmseg"][case]
    assert ours == theirs
    assert isinstance(ours, str) or len(ours["lines"]) > len(ours["groups"]) > 2


@pytest.mark.parametrize("case", [case for case in CASES if case.startswith("convnext")])
def test_ours_makes_the_groups_of_mmdets(groups: dict[str, Any], case: str) -> None:
    ours, theirs = groups["mm2pl"]["none"][case], groups["mmengine"]["mmdet"][case]
    assert ours["groups"] == theirs["groups"]


@pytest.mark.parametrize("library", ["mmdet", "mmseg"])
def test_a_librarys_own_constructor_is_used_where_it_has_one(
    groups: dict[str, Any], library: str
) -> None:
    assert groups["mm2pl"][library] == groups["mmengine"][library]


def test_layers_that_no_rule_knows_are_refused(groups: dict[str, Any]) -> None:
    assert groups["mm2pl"]["none"]["resnet"] == "NotImplementedError"
