"""The inferencers of real libraries predict and draw with mm2pl what they do with MMEngine."""

from __future__ import annotations

import ast
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.downstream.inferencers import inputs
from tests.parity.compare import first_difference
from tools import reference as reference_tool

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("inferencers") / "program.py"
REPOSITORY = Path(__file__).parents[2]
CASES = [
    node.name
    for node in ast.parse(PROGRAM.read_text()).body
    if isinstance(node, ast.FunctionDef)
    and any(isinstance(one, ast.Name) and one.id == "case" for one in node.decorator_list)
]


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run all cases with both engines; the workers of pytest-xdist share one run."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "inferencers"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            reference_tool.install()
            inputs.write(folder / "inputs")
            (folder / "checkpoints").mkdir()
            for engine, site in (("mmengine", reference_tool.SITE), ("mm2pl", REPOSITORY)):
                (folder / f"{engine}.json").write_text(_run(engine, site, folder))
            (folder / "done").touch()
    engines = ("mm2pl", "mmengine")
    return {engine: json.loads((folder / f"{engine}.json").read_text()) for engine in engines}


def _run(engine: str, site: Path, folder: Path) -> str:
    (folder / engine).mkdir()
    stubs = Path(__file__).with_name("stubs")
    environment = reference_tool.environment() if engine == "mmengine" else dict(os.environ)
    done = subprocess.run(
        [sys.executable, str(PROGRAM), engine, str(folder / "inputs"), str(folder / "checkpoints")],
        cwd=folder / engine,
        env={
            **environment,
            "PYTHONPATH": os.pathsep.join(map(str, [stubs, reference_tool.LIBRARIES, site])),
            "MM2PL_STUB_MMCV_OPS": "1",
            "MPLBACKEND": "Agg",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip().splitlines()[-1]


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
