"""Runs over two processes leave with mm2pl what they leave with MMEngine, on every rank.

One ``torchrun`` for each engine runs all cases of ``distributed/cases.py``, on CPUs by gloo.
"""

from __future__ import annotations

import ast
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.parity.compare import first_difference
from tools import reference as reference_tool

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent / "distributed"
MINUTES = 10  # a machine that others use too may be slow


def _cases() -> list[str]:
    tree = ast.parse((HERE / "cases.py").read_text())
    lists = [node for node in tree.body if isinstance(node, ast.AnnAssign)]
    return [name.id for name in lists[-1].value.elts]  # type: ignore[union-attr]


def torchrun(arguments: list[str], environment: dict[str, str], cwd: Path) -> tuple[int, str]:
    """Start two processes and return the status and what they printed; none outlives the call."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    process = subprocess.Popen(
        [*command, "--nproc_per_node=2", *arguments],
        env={**environment, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=MINUTES * 60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return process.returncode, output


OURS = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, int], dict[str, Any]]:
    """Run all cases with both engines; return what one has left of a case on a rank."""
    reference_tool.install()
    folders: dict[str, Path] = {}
    outputs: dict[str, str] = {}
    for engine in ("mmengine", "mm2pl"):
        folder = folders[engine] = tmp_path_factory.mktemp(engine)
        environment = OURS if engine == "mm2pl" else reference_tool.environment()
        script = [str(HERE / "run.py"), engine, str(folder)]
        _, outputs[engine] = torchrun(script, environment, folder)

    def read(engine: str, name: str, rank: int) -> dict[str, Any]:
        path = folders[engine] / f"{name}.{rank}.json"
        assert path.exists(), outputs[engine][-4000:]
        found: dict[str, Any] = json.loads(path.read_text())
        assert "error" not in found, found["error"]
        return found

    return read


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("case", _cases())
def test_each_rank_does_as_with_mmengine(left: Callable[..., Any], case: str, rank: int) -> None:
    ours, theirs = left("mm2pl", case, rank), left("mmengine", case, rank)
    difference = first_difference(ours["left"], theirs["left"])
    assert difference is None, f"{case} on rank {rank}: {difference}"


@pytest.mark.parametrize("case", [name for name in _cases() if name != "a_drawn_seed"])
def test_rank_0_writes_the_files_of_mmengine(left: Callable[..., Any], case: str) -> None:
    ours, theirs = left("mm2pl", case, 0)["files"], left("mmengine", case, 0)["files"]
    difference = first_difference(ours, theirs)
    assert difference is None, f"{case}: {difference}"
