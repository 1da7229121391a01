from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mm2pl import checkpoint
from tests.docs.markdown import blocks
from tests.docs.workspace import ROOT, Ran

EXAMPLES = ROOT / "examples"
README = EXAMPLES / "README.md"


def test_the_two_scripts_differ_only_in_their_imports() -> None:
    theirs, ours = (
        sorted((EXAMPLES / f"script_{name}.py").read_text().split("\n", 1)[1].split("\n"))
        for name in ("mmengine", "mm2pl")
    )
    renamed = sorted(line.replace("from mm2pl.mmengine.", "from mmengine.") for line in ours)
    assert [line for line in renamed if line] == [line for line in theirs if line]


def test_the_readme_runs_every_example() -> None:
    commands = "\n".join(block.code for block in blocks(README))
    programs = "\n".join(path.read_text() for path in EXAMPLES.glob("*.py"))
    for path in EXAMPLES.glob("*.py"):
        named = f"examples.{path.stem}" in commands or f"examples/{path.name}" in commands
        assert named or f"examples.{path.stem}" in programs, path.name


@pytest.mark.slow
@pytest.mark.xdist_group("examples/README.md")
def test_the_script_prints_the_same_on_both(ran: Callable[[Path], Ran]) -> None:
    outputs = [
        [line for line in output.splitlines() if line.startswith("{'accuracy'")]
        for output in ran(README).outputs.values()
    ]
    printed = [line for lines in outputs for line in lines]
    assert len(printed) >= 3  # MMEngine's, mm2pl's, and MMEngine's script on mm2pl
    assert len(set(printed[:3])) == 1


@pytest.mark.slow
@pytest.mark.xdist_group("examples/README.md")
def test_the_hook_logs_the_same_on_both(ran: Callable[[Path], Ran]) -> None:
    theirs, ours = (
        _scalars(ran(README).folder / "work_dirs" / name)
        for name in ("mmengine", "digits_weight_norm")
    )
    assert theirs
    assert theirs == ours


@pytest.mark.slow
@pytest.mark.xdist_group("examples/README.md")
def test_going_on_from_mmengines_checkpoint_ends_with_mmengines_weights(
    ran: Callable[[Path], Ran],
) -> None:
    work_dirs = ran(README).folder / "work_dirs"
    theirs, ours = (
        checkpoint.read(work_dirs / name / "epoch_20.pth")["state_dict"]
        for name in ("mmengine", "resumed")
    )
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[name], ours[name]) for name in theirs)


def _scalars(work_dir: Path) -> list[float]:
    """Return the weights' norms that the first run in a folder has logged."""
    first = min(work_dir.glob("*/vis_data/scalars.json"))
    lines = [json.loads(line) for line in first.read_text().splitlines()]
    return [line["weight_norm"] for line in lines if "weight_norm" in line]
