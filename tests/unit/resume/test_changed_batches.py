"""A run goes on with batches of another size where it was among the samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.resume.changed_runs import go, said
from tests.unit.resume.resume_runs import (
    SGD,
    Noisy,
    checkpoints,
    epochs,
    iterations,
    loader,
)
from tests.unit.resume.test_changed_schedules import BARE, WARM_UP

pytestmark = pytest.mark.filterwarnings("ignore:scheduler.step")


class Numbered(Noisy):
    """Notes which samples are read."""

    def __init__(self, size: int = 22) -> None:
        super().__init__(size)
        self.order: list[int] = []

    def __deepcopy__(self, memo: Any) -> Numbered:
        return self

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.order.append(index)
        return super().__getitem__(index)


def train(
    folder: Path, size: int, start: Path | None = None, length: int = 22, **changes: Any
) -> tuple[list[int], Any]:
    data = Numbered(length)
    sampler = changes.pop("sampler", {"type": "DefaultSampler", "shuffle": True})
    settings = BARE | changes | {"train_dataloader": loader(data, batch_size=size, sampler=sampler)}
    _, runner = go(folder, start, **settings)
    return data.order, runner


@pytest.mark.parametrize(
    ("size", "given", "line"),
    [
        (2, 4, "2 batches are now 4"),
        pytest.param(8, 1, "2 batches are now 1", marks=pytest.mark.slow),
        pytest.param(5, 1, "2 batches are now 1", marks=pytest.mark.slow),
        pytest.param(22, 0, "2 batches are now 0", marks=pytest.mark.slow),
    ],
)
def test_the_epoch_goes_on_at_the_first_sample_not_seen(
    size: int, given: int, line: str, tmp_path: Path
) -> None:
    whole, _ = train(tmp_path / "whole", 4)
    found, runner = train(tmp_path / "new", size, tmp_path / "whole" / "iter_8.pth")
    assert found == whole[22 + given * size :]
    assert line in said(runner)
    assert f"train_dataloader.batch_size: 4 -> {size}" in said(runner)


def test_an_epoch_that_was_read_is_not_begun_again(tmp_path: Path) -> None:
    whole, _ = train(tmp_path / "whole", 4)
    found, _ = train(tmp_path / "new", 5, tmp_path / "whole" / "iter_6.pth")
    assert found == whole[22:]


def test_iterations_are_counted_on(tmp_path: Path) -> None:
    train(tmp_path / "whole", 4)
    _, runner = train(tmp_path / "new", 8, tmp_path / "whole" / "iter_8.pth")
    assert (
        runner.iter == runner.max_iters == 8 + 2 + 3
    )  # batches of 22 samples, of which 8 are gone
    assert "iterations of an epoch: 6 -> 3 (they are counted on from 8, to 13)" in said(runner)


def test_the_last_window_of_accumulation_is_where_the_run_ends(tmp_path: Path) -> None:
    """MMEngine fails: its counter is past the end."""
    both = {"optim_wrapper": {**SGD, "accumulative_counts": 2}, "train_cfg": epochs(4)}
    train(tmp_path / "old", 2, **both | {"default_hooks": checkpoints(by_epoch=True)})
    _, runner = train(tmp_path / "new", 8, tmp_path / "old" / "epoch_3.pth", **both)
    assert runner.iter == runner.max_iters == 36


def test_a_round_of_an_iteration_loop_goes_on_there(tmp_path: Path) -> None:
    both = {"train_cfg": iterations(9), "sampler": {"type": "InfiniteSampler"}}
    whole, _ = train(tmp_path / "whole", 4, **both)
    found, _ = train(tmp_path / "new", 6, tmp_path / "whole" / "iter_6.pth", **both)
    assert found[:12] == whole[24:36]
    assert len(found) == 18


@pytest.mark.slow
def test_what_is_left_of_the_epoch_of_fewer_samples_may_be_nothing(tmp_path: Path) -> None:
    train(tmp_path / "whole", 4)
    found, runner = train(tmp_path / "new", 4, tmp_path / "whole" / "iter_10.pth", length=12)
    assert len(found) == 12  # those of the last epoch
    assert runner.epoch == 3
    assert "samples of train_dataloader.dataset: 22 -> 12" in said(runner)


@pytest.mark.slow
def test_schedules_by_iteration_are_those_of_as_many_iterations(tmp_path: Path) -> None:
    both = BARE | {
        "param_scheduler": [WARM_UP | {"end": 3, "by_epoch": True, "convert_to_iter_based": True}]
    }
    truth, _ = go(tmp_path / "truth", **both | {"train_dataloader": loader(batch_size=2)})
    go(tmp_path / "old", **both)
    new = both | {"train_dataloader": loader(batch_size=2)}
    found, _ = go(tmp_path / "new", tmp_path / "old" / "iter_8.pth", **new)
    assert [found[step] for step in range(8, 26)] == [truth[step] for step in range(8, 26)]


def test_another_order_of_the_samples_is_told(tmp_path: Path) -> None:
    train(tmp_path / "old", 4)
    kept = {"sampler": {"type": "DefaultSampler", "shuffle": False}}
    _, runner = train(tmp_path / "new", 4, tmp_path / "old" / "iter_10.pth", **kept)
    assert "train_dataloader.sampler.shuffle: True -> False" in said(runner)
    assert "sampler.type" not in said(runner)
