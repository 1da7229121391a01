"""The runner's programs give what they give with MMEngine; see runner_cases, runner_live_cases."""

from __future__ import annotations

import ast
import functools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PROGRAMS = [HERE / f"runner{part}_cases.py" for part in ("", "_live", "_loop", "_hostile")]
CASES = [
    pytest.param(program, node.name, id=node.name)
    for program in PROGRAMS
    for node in ast.parse(program.read_text()).body
    if isinstance(node, ast.FunctionDef)
    and any(isinstance(one, ast.Name) and one.id == "case" for one in node.decorator_list)
]


@pytest.fixture(scope="module")
def results(reference, tmp_path_factory):
    """Run a program with both engines when its first case is asked for."""

    @functools.cache
    def run(program: Path) -> list[Any]:
        folder = tmp_path_factory.mktemp(program.stem)
        ours = subprocess.run(
            [sys.executable, "-W", "ignore", str(program), "ours", str(folder / "ours")],
            capture_output=True,
            text=True,
        )
        assert ours.returncode == 0, ours.stderr
        arguments = ("-W", "ignore", str(program), "mmengine", str(folder / "theirs"))
        theirs = reference.process(*arguments)
        return [json.loads(text.strip().splitlines()[-1]) for text in (ours.stdout, theirs)]

    return run


@pytest.mark.parametrize(("program", "case"), CASES)
def test_a_program_gives_what_it_gives_with_mmengine(program, case, results):
    ours, theirs = (one[case] for one in results(program))
    assert not str(theirs).startswith("failed"), theirs
    assert ours == theirs
