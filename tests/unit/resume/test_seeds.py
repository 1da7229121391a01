"""A run whose config has no seed goes on with the one that it has drawn, in its data too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mm2pl.resume import seeds
from tests.unit.resume.changed_runs import said
from tests.unit.resume.resume_runs import (
    Noisy,
    config,
    disturb,
    epochs,
    iterations,
    loader,
    rest,
    run,
)
from tests.unit.resume.test_changed_batches import train

pytestmark = pytest.mark.filterwarnings("ignore:scheduler.step")

WORKERS = {
    "train_dataloader": loader(num_workers=2),
    "val_dataloader": loader(Noisy(6), num_workers=1),  # shuffled, too
}


def whole_and_again(folder: Path, start: int, **settings: Any) -> None:
    steps, end = run(config(folder / "whole", **settings))
    disturb()
    source = {"load_from": str(folder / "whole" / f"iter_{start}.pth"), "resume": True}
    again, again_end = run(config(folder / "again", **settings, **source))
    assert again == list(rest(steps, start))
    assert again_end == end


@pytest.mark.parametrize(
    "settings",
    [
        {"train_cfg": epochs(2), "randomness": None},
        {"train_cfg": iterations(8), "randomness": {"seed": None, "diff_rank_seed": True}},
        pytest.param(
            {"train_cfg": epochs(2), "randomness": {"seed": None}, **WORKERS},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["epochs", "iterations, a seed for each rank", "workers"],
)
def test_a_drawn_seed_is_that_of_samplers_and_workers_again(
    settings: dict[str, Any], tmp_path: Path
) -> None:
    whole_and_again(tmp_path, 2, **settings)


def test_a_seed_that_the_config_gives_the_sampler_now_holds(tmp_path: Path) -> None:
    sampler = {"type": "DefaultSampler", "shuffle": True, "seed": 8}
    train(tmp_path / "old", 4, train_cfg=epochs(2))
    start = tmp_path / "old" / "iter_2.pth"
    _, runner = train(tmp_path / "new", 4, start, train_cfg=epochs(2), sampler=sampler)
    assert "train_dataloader.sampler.seed: 3 -> 8" in said(runner)
    assert seeds.taken(runner)["train_dataloader"]["sampler"] == 8
