"""The states of the random generators, those of GPUs among them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mm2pl import checkpoint
from mm2pl.resume import random_states
from tests.unit.resume.resume_runs import config, disturb, epochs, randomness, rest, run


class Gpus:
    """Stands for ``torch.cuda`` with some devices, each with a state of 16 bytes."""

    def __init__(self, count: int, used: bool = True) -> None:
        self.states = [torch.full((16,), number, dtype=torch.uint8) for number in range(count)]
        self.used = used

    def is_available(self) -> bool:
        return bool(self.states)

    def is_initialized(self) -> bool:
        return self.used

    def device_count(self) -> int:
        return len(self.states)

    def get_rng_state_all(self) -> list[torch.Tensor]:
        return self.states

    def set_rng_state(self, state: torch.Tensor, device: int) -> None:
        self.states[device] = state

    def put(self, patch: pytest.MonkeyPatch) -> Gpus:
        for name in (*("is_available", "is_initialized", "device_count"), "get_rng_state_all"):
            patch.setattr(torch.cuda, name, getattr(self, name))
        patch.setattr(torch.cuda, "set_rng_state", self.set_rng_state)
        return self

    def first(self) -> list[int]:
        return [int(state[0]) for state in self.states]


def taken(patch: pytest.MonkeyPatch, count: int, used: bool = True) -> Any:
    """Return the states of a process with so many GPUs, as they come out of a checkpoint."""
    gpus = Gpus(count, used).put(patch)
    for state in gpus.states:
        state += 100
    return random_states.from_plain(random_states.to_plain(random_states.take()))


def test_what_follows_is_equal() -> None:
    with random_states.kept():
        states = random_states.from_plain(random_states.to_plain(random_states.take()))
        expected = randomness(), np.random.normal()
        disturb()
        random_states.give(states)
        assert (randomness(), np.random.normal()) == expected


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [(2, 2, [100, 101]), (1, 2, [100, 1]), (2, 1, [100]), (2, 0, []), (0, 2, [0, 1])],
)
def test_gpus_that_are_there_in_both_runs_go_on(
    before: int, after: int, expected: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    states = taken(monkeypatch, before)
    gpus = Gpus(after).put(monkeypatch)
    random_states.give(states)
    assert gpus.first() == expected


def test_gpus_that_are_not_in_use_are_not_woken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cuda" not in taken(monkeypatch, 2, used=False)


def test_workers_do_not_touch_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    Gpus(2).put(monkeypatch)
    assert "cuda" not in random_states.take(cuda=False)


@pytest.mark.filterwarnings("ignore:scheduler.step")
def test_a_run_on_a_gpu_goes_on_on_a_cpu(tmp_path: Path) -> None:
    whole, _ = run(config(tmp_path / "whole", train_cfg=epochs(1)))
    saved = checkpoint.read(tmp_path / "whole" / "iter_3.pth")
    rank = saved["mm2pl"]["ranks"][0]
    for states in (rank["random"], rank["reading"]["opened"]):
        states["cuda"] = [torch.zeros(16, dtype=torch.uint8)] * 4
    checkpoint.write(saved, str(tmp_path / "gpu.pth"))
    start = {"load_from": str(tmp_path / "gpu.pth"), "resume": True}
    steps, _ = run(config(tmp_path / "again", train_cfg=epochs(1), **start))
    assert steps == list(rest(whole, 3))
