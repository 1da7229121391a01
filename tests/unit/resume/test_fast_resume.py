"""Resuming reads nothing of what the run was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mm2pl import checkpoint
from mm2pl.mmengine.registry import DATA_SAMPLERS
from tests.unit.resume.resume_runs import Noisy, config, epochs, iterations, loader, run

NO_VALIDATION: dict[str, Any] = dict.fromkeys(("val_cfg", "val_dataloader", "val_evaluator"))
pytestmark = pytest.mark.filterwarnings("ignore:scheduler.step")


class ByShape:
    """Batches of samples that are alike, from what their annotations say, as mmdet's does."""

    def __init__(self, sampler: Any, batch_size: int) -> None:
        self.sampler, self.batch_size = sampler, batch_size

    def __iter__(self) -> Iterator[list[int]]:
        buckets: dict[bool, list[int]] = {False: [], True: []}
        for index in self.sampler:
            info = self.sampler.dataset.get_data_info(index)
            bucket = buckets[info["width"] < info["height"]]
            bucket.append(index)
            if len(bucket) == self.batch_size:
                yield bucket[:]
                bucket.clear()
        yield from (bucket for bucket in buckets.values() if bucket)

    def __len__(self) -> int:
        return -(-len(self.sampler) // self.batch_size)


@pytest.fixture(autouse=True)
def _by_shape() -> Any:
    DATA_SAMPLERS.register_module(name="ByShape", module=ByShape)
    yield
    DATA_SAMPLERS.module_dict.pop("ByShape")


BY_SHAPE = {"batch_sampler": {"type": "ByShape"}}
KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "epochs": (epochs(2), {}),
    "iterations": (iterations(10), {}),
    "endless": (iterations(10), {"sampler": {"type": "InfiniteSampler"}}),
    "batches by shape": (iterations(10), BY_SHAPE),
    "batches by shape in epochs": (epochs(2), BY_SHAPE),
}


def settings(folder: Path, kind: str, workers: int) -> dict[str, Any]:
    train_cfg, options = KINDS[kind]
    data = loader(Noisy(22, folder), num_workers=workers, **options)
    return {"train_cfg": dict(train_cfg), "train_dataloader": data, **NO_VALIDATION}


def reads(folder: Path) -> list[int]:
    """Return the samples that were read by any process, and forget them."""
    file = folder / "reads"
    found = [int(line) for line in file.read_text().split()] if file.exists() else []
    file.unlink(missing_ok=True)
    return found


def given_batches(steps: list[Any]) -> list[Any]:
    return [step[4] for step in steps if step[0] == "read"]


@pytest.mark.proves("Runner.skips_unread")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_skipped_samples_are_not_read(kind: str, workers: int, tmp_path: Path) -> None:
    whole, _ = run(config(tmp_path / "whole", **settings(tmp_path, kind, workers)))
    before = reads(tmp_path)
    start = str(tmp_path / "whole" / "iter_4.pth")
    again = settings(tmp_path, kind, workers)
    steps, _ = run(config(tmp_path / "again", load_from=start, resume=True, **again))
    after = reads(tmp_path)
    assert given_batches(steps) == given_batches(whole)[4:]
    if workers:  # which read in any order, and ahead of the run's end by up to 4 batches
        assert len(after) <= (6 + 4) * 4
    else:
        assert after == before[4 * 4 :]


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_checkpoint_without_random_states_is_skipped_unread(workers: int, tmp_path: Path) -> None:
    """As in a file of MMEngine's; the batches are those that it would come to by reading."""
    run(config(tmp_path / "whole", **settings(tmp_path, "iterations", workers)))
    saved = checkpoint.read(tmp_path / "whole" / "iter_8.pth")
    del saved["mm2pl"]
    checkpoint.write(saved, str(tmp_path / "bare.pth"))
    indices = {}
    for name, resume in (("skipped", True), ("read", {"exact": False})):
        reads(tmp_path)
        again = settings(tmp_path, "iterations", workers)
        run(config(tmp_path / name, load_from=str(tmp_path / "bare.pth"), resume=resume, **again))
        indices[name] = reads(tmp_path)
    assert len(indices["skipped"]) < len(indices["read"])
    if not workers:
        assert indices["skipped"] == indices["read"][-len(indices["skipped"]) :]
        assert len(indices["read"]) - len(indices["skipped"]) == 22 + 2 * 4  # a round and two
