"""The inferencers of real libraries predict and draw with mm2pl what they do with MMEngine."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.downstream.engines import run_both
from tests.downstream.inferencers import inputs
from tests.parity.compare import first_difference

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("inferencers") / "program.py"
CASES = [
    node.name
    for node in ast.parse(PROGRAM.read_text()).body
    if isinstance(node, ast.FunctionDef)
    and any(isinstance(one, ast.Name) and one.id == "case" for one in node.decorator_list)
]


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    def prepare(folder: Path) -> None:
        inputs.write(folder / "inputs")
        (folder / "checkpoints").mkdir()

    return run_both(
        tmp_path_factory,
        PROGRAM,
        lambda folder: [str(folder / "inputs"), str(folder / "checkpoints")],
        prepare,
    )


@pytest.mark.parametrize("case", CASES)
def test_an_inferencer_gives_what_it_gives_with_mmengine(
    case: str, results: dict[str, Any]
) -> None:
    ours, theirs = (results[engine][case] for engine in ("mm2pl", "mmengine"))
    assert not str(theirs).startswith("failed"), theirs
    assert not str(ours).startswith("failed"), ours
    assert first_difference(ours, theirs) is None


def test_torchvisions_names_stand_for_what_they_do_with_mmengine(results: dict[str, Any]) -> None:
    ours, theirs = results["mm2pl"]["torchvision"], results["mmengine"]["torchvision"]
    assert len(theirs) > 200
    assert {name: ours.get(name, "absent") for name in theirs} == theirs
    assert ours["convnext_tiny"] == ours["convnext_tiny.imagenet1k_v1"]
