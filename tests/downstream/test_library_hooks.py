"""Hooks of the libraries do to a run what they do with MMEngine."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.downstream.engines import run_both
from tests.parity.compare import first_difference

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent / "library_hooks"
SCENARIOS = [
    node.name
    for node in ast.parse((FOLDER / "scenarios/hooks.py").read_text()).body
    if isinstance(node, ast.FunctionDef)
]
ASPECTS = ("trace", "result", "history", "scalars", "files", "log", "checkpoints", "weights")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_both(tmp_path_factory, FOLDER / "program.py", lambda folder: [])


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_with_a_librarys_hook_is_the_same(runs: dict[str, Any], name: str) -> None:
    ours, theirs = (runs[engine][f"hooks.{name}"] for engine in ("mm2pl", "mmengine"))
    assert (theirs["error"], ours["error"]) == (None, None)
    assert len(theirs["trace"]) > 100
    differences = [first_difference(ours[aspect], theirs[aspect]) for aspect in ASPECTS]
    assert differences == [None] * len(ASPECTS)
