"""The one file in MMEngine's own process, over two processes, and where mm2pl is not installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Reference
from tests.parity.test_distributed import OURS, torchrun

HERE = Path(__file__).parent
PROGRAM = str(HERE / "one_file_program.py")
pytestmark = pytest.mark.slow


def _ours(*arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, PROGRAM, *arguments],
        env={**OURS, "ENGINE": "mm2pl", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_mmengine_resumes_a_file_of_lightnings_callback(
    reference: Reference, tmp_path: Path
) -> None:
    """With autocast and a scaler, an average of the weights, in mid accumulation window."""
    whole = _ours("save", str(tmp_path / "whole"))
    file = str(tmp_path / "whole" / "lightnings" / "step=2.ckpt")  # 5 batches, windows of 2
    ours = _ours("go_on", str(tmp_path / "ours"), file)
    printed = reference.process(PROGRAM, "go_on", str(tmp_path / "theirs"), file)
    theirs = json.loads(printed.splitlines()[-1])
    assert theirs == ours
    assert [step[:3] for step in theirs] == [step[:3] for step in whole[5:]]
    # And back: to MMEngine's own file, with either.
    file = str(tmp_path / "theirs" / "epoch_3.pth")
    ours = _ours("go_on", str(tmp_path / "ours_2"), file)
    printed = reference.process(PROGRAM, "go_on", str(tmp_path / "theirs_2"), file)
    assert json.loads(printed.splitlines()[-1]) == ours


def test_two_processes_go_on_from_a_trainers_file_to_the_last_bit(tmp_path: Path) -> None:
    for name in ("whole", "again"):
        arguments = [str(HERE / "one_file_ranks.py"), str(tmp_path), name]
        status, printed = torchrun(arguments, OURS, tmp_path)
        assert status == 0, printed[-4000:]
    for rank in (0, 1):
        whole, end = json.loads((tmp_path / f"whole_{rank}.json").read_text())
        again, again_end = json.loads((tmp_path / f"again_{rank}.json").read_text())
        assert again[0][:3] == ["read", "1", "5"]
        assert again == whole[len(whole) - len(again) :]
        assert again_end == end
