"""The libraries' own tools print, predict and draw with mm2pl what they do with MMEngine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.downstream.engines import run_both
from tests.downstream.tools_runs.program import PRINTS_THE_SAME, RUNS
from tests.parity.compare import first_difference
from tools import reference as reference_tool

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("tools_runs") / "program.py"


@pytest.fixture(scope="session")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    libraries = str(reference_tool.LIBRARIES)
    return run_both(tmp_path_factory, PROGRAM, lambda folder: [libraries])


@pytest.mark.parametrize("tool", RUNS)
def test_a_tool_runs(tool: str, reports: dict[str, Any]) -> None:
    for engine in ("mmengine", "mm2pl"):
        assert reports[engine][tool][0] == "done", engine


@pytest.mark.parametrize("tool", PRINTS_THE_SAME)
def test_a_tool_prints_what_it_prints_with_mmengine(tool: str, reports: dict[str, Any]) -> None:
    ours, theirs = (reports[engine][tool][1] for engine in ("mm2pl", "mmengine"))
    assert first_difference(ours, theirs) is None


@pytest.mark.parametrize("what", ["predictions", "images"])
def test_tools_write_what_they_write_with_mmengine(what: str, reports: dict[str, Any]) -> None:
    ours, theirs = (reports[engine][what] for engine in ("mm2pl", "mmengine"))
    assert len(theirs) > 5
    assert first_difference(ours, theirs) is None
