"""The runner's programs give what they give with MMEngine; see runner_cases."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("runner_cases.py")
CASES = [
    node.name
    for node in ast.parse(PROGRAM.read_text()).body
    if isinstance(node, ast.FunctionDef)
    and any(isinstance(one, ast.Name) and one.id == "case" for one in node.decorator_list)
]


@pytest.fixture(scope="module")
def results(reference, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runner")
    theirs = reference.process("-W", "ignore", str(PROGRAM), "mmengine", str(folder / "theirs"))
    ours = subprocess.run(
        [sys.executable, "-W", "ignore", str(PROGRAM), "ours", str(folder / "ours")],
        capture_output=True,
        text=True,
    )
    assert ours.returncode == 0, ours.stderr
    return [json.loads(text.strip().splitlines()[-1]) for text in (ours.stdout, theirs)]


@pytest.mark.parametrize("case", CASES)
def test_a_program_gives_what_it_gives_with_mmengine(case, results):
    ours, theirs = (one[case] for one in results)
    assert not str(theirs).startswith("failed"), theirs
    assert ours == theirs
