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


def _cases(name: str) -> list[str]:
    """Return the names in one of the lists of ``cases.py``, without importing it."""
    for node in ast.parse((HERE / "cases.py").read_text()).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == name:
            assert isinstance(node.value, ast.List)
            return [ast.unparse(element) for element in node.value.elts]
    raise AssertionError(f"cases.py has no list {name}")


CASES, ALONE = _cases("CASES"), _cases("ALONE")
# A seed that was drawn; and MMEngine's strategy saves the weights under the wrapper's names.
OWN_FILES = [name for name in CASES if name == "a_drawn_seed" or name.startswith("flexible")]


def torchrun(arguments: list[str], environment: dict[str, str], cwd: Path) -> tuple[int, str]:
    """Start two processes, and return the status and what they printed."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    return _run([*command, *arguments], environment, cwd)


def _run(command: list[str], environment: dict[str, str], cwd: Path) -> tuple[int, str]:
    """Run a command; neither it nor a child of it outlives the call."""
    process = subprocess.Popen(
        command,
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
        _, printed = torchrun(script, environment, folder)
        done = _run([sys.executable, *script], environment, folder)
        outputs[engine] = printed[-4000:] + done[1][-4000:]

    def read(engine: str, name: str, rank: int) -> dict[str, Any]:
        path = folders[engine] / f"{name}.{rank}.json"
        assert path.exists(), outputs[engine]
        found: dict[str, Any] = json.loads(path.read_text())
        assert "error" not in found, found["error"]
        return found

    return read


@pytest.mark.proves("mmengine.dist.get_rank")
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("case", CASES)
def test_each_rank_does_as_with_mmengine(left: Callable[..., Any], case: str, rank: int) -> None:
    ours, theirs = left("mm2pl", case, rank), left("mmengine", case, rank)
    difference = first_difference(ours["left"], theirs["left"])
    assert difference is None, f"{case} on rank {rank}: {difference}"


@pytest.mark.parametrize("case", [name for name in CASES if name not in OWN_FILES])
def test_rank_0_writes_the_files_of_mmengine(left: Callable[..., Any], case: str) -> None:
    ours, theirs = left("mm2pl", case, 0)["files"], left("mmengine", case, 0)["files"]
    difference = first_difference(ours, theirs)
    assert difference is None, f"{case}: {difference}"


@pytest.mark.parametrize("case", ALONE)
def test_a_process_alone_does_as_with_mmengine(left: Callable[..., Any], case: str) -> None:
    ours, theirs = left("mm2pl", case, 0), left("mmengine", case, 0)
    for part in ("left", "files"):
        difference = first_difference(ours[part], theirs[part])
        assert difference is None, f"{case}, {part}: {difference}"


def test_a_flexible_runner_saves_weights_without_the_wrappers_names(
    left: Callable[..., Any],
) -> None:
    _, weights, _ = left("mm2pl", "flexible_by_launcher", 0)["files"]["epoch_3.pth"]
    assert "first.weight" in weights


CONFIG = """
custom_imports = dict(imports=["toys"], allow_failed_imports=False)
model = dict(type="Net")
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(type="Points", length=30),
    sampler=dict(type="DefaultSampler", shuffle=True),
)
train_cfg = dict(by_epoch=True, max_epochs=3)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(type="Points", length=21),
    sampler=dict(type="DefaultSampler", shuffle=False),
)
val_cfg = dict()
val_evaluator = dict(type="Hits")
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9))
param_scheduler = dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=7)
env_cfg = dict(dist_cfg=dict(backend="gloo"))
randomness = dict(seed=5)
"""
BESIDE_TOYS = {**OURS, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}


def test_torchrun_starts_mm2pl_fit(left: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(CONFIG)
    command = ["-m", "mm2pl", "fit", "config.py", "--work-dir", "work", "--cfg-options"]
    status, output = torchrun([*command, "launcher=pytorch"], BESIDE_TOYS, tmp_path)
    assert status == 0, output
    assert output.count("checkpoints: ") == 1  # the closing lines come from rank 0 alone
    theirs = left("mmengine", "epochs", 0)["files"]["epoch_3.pth"]
    assert _weights(tmp_path / "work" / "epoch_3.pth") == theirs[2]["state_dict"]


def _weights(path: Path) -> str:
    """Return the digest of a checkpoint's weights, taken as ``run.py`` takes it."""
    script = (
        "import mm2pl; mm2pl.install_as_mmengine()\n"
        "import torch, toys\n"
        f"print(toys.digest(torch.load({str(path)!r}, weights_only=False)['state_dict']))"
    )
    status, output = _run([sys.executable, "-c", script], BESIDE_TOYS, path.parent)
    assert status == 0, output
    return output.split()[-1]


def test_a_mistake_is_told_and_ends_all_processes(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(CONFIG.replace('type="Points"', 'type="Pointz"'))
    command = ["-m", "mm2pl", "fit", "config.py", "--cfg-options", "launcher=pytorch"]
    status, output = torchrun(command, BESIDE_TOYS, tmp_path)
    assert status != 0
    assert "Did you mean: Points" in output
