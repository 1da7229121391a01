from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mm2pl.support import MISSING_MODULES
from tools import compat_matrix
from tools.matrix import files
from tools.matrix.rows import RUNNER_OWN, sections

ROOT = Path(__file__).parents[2]
# In a process of its own: tests of this one may have imported other things before.
PUBLIC_NAMES = """
import importlib, json, pkgutil, warnings
warnings.simplefilter("ignore")
import mmengine

names = {}
for found in pkgutil.iter_modules(mmengine.__path__, "mmengine."):
    module = importlib.import_module(found.name)
    names[found.name] = sorted(getattr(module, "__all__", []))
print(json.dumps(names))
"""
RUNNER_NAMES = """
import json, tempfile
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Model(BaseModel):
    def forward(self): ...


with tempfile.TemporaryDirectory() as folder:
    runner = Runner(Model(), folder, experiment_name="names")
print(json.dumps([name for name in dir(runner) if not name.startswith("_")]))
"""


@pytest.mark.slow
def test_the_matrix_says_what_the_code_and_the_tests_say() -> None:
    """It does not, either, if a row lacks a proof or a mark in a test names no row."""
    done = subprocess.run(
        [sys.executable, "tools/compat_matrix.py", "--check", "--rows"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_a_row_that_the_code_does_not_have_is_stale() -> None:
    assert "-| `a` |" in compat_matrix.stale_lines("| `a` |\n| `b` |", "| `b` |")


def test_a_row_that_the_file_does_not_have_is_stale() -> None:
    assert "+| `a` |" in compat_matrix.stale_lines("| `b` |", "| `a` |\n| `b` |")


def test_equal_texts_are_not_stale() -> None:
    assert compat_matrix.stale_lines("| `a` |\n", "| `a` |\n") == []


@pytest.mark.slow
def test_the_counts_of_all_config_files_are_those_that_are_stored(reference: Any) -> None:
    stored = compat_matrix.files_part(compat_matrix.FILE.read_text())
    stale = compat_matrix.stale_lines(stored, files.generate())
    assert stale == [], "stale: run `make matrix`"


@pytest.mark.slow
def test_every_public_name_of_mmengine_is_there_or_said_to_be_missing(reference: Any) -> None:
    theirs = reference.run(PUBLIC_NAMES)
    ours = _ours()
    missing = {module for module in theirs if module not in ours}
    assert missing <= set(MISSING_MODULES)
    for module in set(theirs) - missing:
        assert set(theirs[module]) <= set(ours[module]), module


@pytest.mark.slow
def test_the_runners_attributes_are_those_of_mmengine_and_our_own(reference: Any) -> None:
    theirs = set(reference.run(RUNNER_NAMES))
    names = [row.name.split(".") for section in sections() for row in section.rows]
    ours = {name for place, *rest in names if place == "Runner" for name in rest}
    assert ours == theirs | set(RUNNER_OWN)
    assert not theirs & set(RUNNER_OWN)


def _ours() -> dict[str, list[str]]:
    import json

    source = PUBLIC_NAMES.replace("import mmengine\n", "from mm2pl import mmengine\n").replace(
        '"mmengine."', '"mm2pl.mmengine."'
    )
    done = subprocess.run(
        [sys.executable, "-c", source],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return {key.removeprefix("mm2pl."): names for key, names in json.loads(done.stdout).items()}
