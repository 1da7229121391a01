"""Every module of six real libraries imports, or fails, as it does beside the real MMEngine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.conftest import Reference
from tools import reference as reference_tool

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
# mmcv-lite has no compiled operators; with names in their place the libraries come further.
CASES = [
    ("mmcv", "mmcv-lite"),
    ("mmseg", "mmcv-lite"),
    ("mmdet", "mmcv-lite"),
    ("mmpretrain", "named operators"),
    ("mmseg", "named operators"),
    ("mmdet", "named operators"),
    ("mmpose", "named operators"),
    ("mmaction", "named operators"),
]
# What a user of a library imports first.
ENTRANCES = ["models", "datasets", "evaluation", "engine", "visualization", "apis"]
# The wheel of mmaction2 1.2.0 lacks a folder.
BROKEN = {"mmaction.models": "ModuleNotFoundError mmaction.models.localizers.drn"}


@pytest.mark.parametrize(("library", "operators"), CASES)
def test_a_library_imports_as_far_as_with_mmengine(
    library: str, operators: str, reference: Reference
) -> None:
    theirs = _import_all(library, operators, "mmengine")
    ours = _import_all(library, operators, "mm2pl")
    # Our errors may be of two built-in kinds; the reference's is one of them.
    outcomes = {name: kinds[0] for name, kinds in theirs.items()}
    other = {n: (kind, ours.get(n)) for n, kind in outcomes.items() if kind not in ours.get(n, [])}
    assert not other
    assert list(ours) == list(theirs)
    assert outcomes[library] == "ok"
    assert len(theirs) > 20
    if operators == "named operators":
        entrances = {f"{library}.{name}": outcomes[f"{library}.{name}"] for name in ENTRANCES}
        assert entrances == {name: BROKEN.get(name, "ok") for name in entrances}


def _import_all(library: str, operators: str, engine: str) -> dict[str, list[str]]:
    last = reference_tool.SITE if engine == "mmengine" else HERE.parents[1]
    folders = [HERE / "stubs", reference_tool.LIBRARIES, last]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
    if operators == "named operators":
        environment["MM2PL_STUB_MMCV_OPS"] = "1"
    done = subprocess.run(
        [sys.executable, str(HERE / "import_all.py"), library, *(["mm2pl"] * (engine == "mm2pl"))],
        env=environment,
        cwd=tempfile.gettempdir(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    outcomes: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return outcomes
