"""Each of several processes goes on with its own random numbers, gradients and statistics."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.parity.test_distributed import OURS, torchrun

RUN = str(Path(__file__).with_name("ranks_run.py"))


@pytest.mark.proves("Runner.gather_states")
@pytest.mark.slow
def test_what_follows_is_equal_on_all_ranks(tmp_path: Path) -> None:
    """From within an accumulation window of two batches; a validation of the average comes next."""
    for start in ([], [str(tmp_path / "whole" / "iter_3.pth")]):
        status, printed = torchrun([RUN, str(tmp_path), *start], OURS, tmp_path)
        assert status == 0, printed[-4000:]
    for rank in (0, 1):
        whole, end = json.loads((tmp_path / f"whole_{rank}.json").read_text())
        again, again_end = json.loads((tmp_path / f"again_{rank}.json").read_text())
        assert again == whole[_behind_first_step(whole) :]
        assert again_end == end


def _behind_first_step(steps: list[list[str]]) -> int:
    return 1 + next(index for index, step in enumerate(steps) if step[:2] == ["step", "2"])
