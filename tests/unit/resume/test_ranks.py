"""Each of several processes goes on with its own random numbers, gradients and statistics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parity.test_distributed import OURS, torchrun

RUN = str(Path(__file__).with_name("ranks_run.py"))
CASES = str(Path(__file__).with_name("ranks_cases.py"))


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
        assert again == whole[_behind_step(whole, 3) :]
        assert again_end == end


@pytest.mark.slow
def test_workers_drawn_seeds_and_either_runner_and_loop_go_on_on_all_ranks(tmp_path: Path) -> None:
    status, printed = torchrun([CASES, str(tmp_path)], OURS, tmp_path)
    assert status == 0, printed[-4000:]
    found = [json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1)]
    for name, runs in found[0].items():
        assert runs["whole"] != found[1][name]["whole"], "ranks draw at random what is their own"
    differing = [
        f"{name}, from {start}, rank {rank}"
        for rank, cases in enumerate(found)
        for name, runs in cases.items()
        for start, again in runs.items()
        if start != "whole" and again != _rest(*runs["whole"], int(start))
    ]
    assert differing == []
    assert sum(len(runs) - 1 for runs in found[0].values()) == 6


def _rest(steps: list[list[str]], end: list[str], start: int) -> list[Any]:
    return [steps[_behind_step(steps, start) :], end]


def _behind_step(steps: list[list[str]], done: int) -> int:
    last = ["step", str(done - 1)]
    return 1 + next(index for index, step in enumerate(steps) if step[:2] == last)
