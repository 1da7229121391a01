"""Datasets without indices go on without reading if they can tell where they are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from tests.unit.resume.resume_runs import Noisy, config, disturb, epochs, iterations, loader, rest
from tests.unit.resume.resume_runs import run as run_once

pytestmark = [
    pytest.mark.filterwarnings("ignore:scheduler.step"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
]
PERSISTENT = {"num_workers": 3, "persistent_workers": True}


class Silent(IterableDataset[Any]):
    """A round of noisy samples, dealt out to the workers; counts what is read."""

    metainfo = Noisy.metainfo

    def __init__(self, folder: Path, size: int = 22, workers: int = 0) -> None:
        self.samples = Noisy(size, folder)
        self.size = size
        self.length = 40 if workers == 3 else size  # 10 batches, of which 4 are short
        self.read = 0

    def __iter__(self) -> Iterator[Any]:
        info = get_worker_info()
        worker, workers = (0, 1) if info is None else (info.id, info.num_workers)
        shares = [0, *accumulate(range(1, workers + 1))]  # the later ones have more
        first, last = (self.size * shares[one] // shares[-1] for one in (worker, worker + 1))
        for index in range(first, last)[self.read :]:
            self.read += 1
            yield self.samples[index]
        self.read = 0

    def __len__(self) -> int:
        return self.length


class Telling(Silent):
    def state_dict(self) -> dict[str, int]:
        return {"read": self.read}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.read = state["read"]


class TellingLoader(DataLoader[Any]):
    """Tells where it is by itself, as torchdata's StatefulDataLoader does."""

    given = start = 0

    def __iter__(self) -> Any:
        start, self.given, self.start = self.start, self.start, 0
        batches = list(range(0, 22, 4))
        for first in batches[start:]:
            self.given += 1
            yield self.collate_fn(
                [self.dataset[index] for index in range(first, min(first + 4, 22))]
            )

    def state_dict(self) -> dict[str, int]:
        return {"given": self.given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.start = state["given"]


def reads(folder: Path) -> int:
    file = folder / "reads"
    count = len(file.read_text().split()) if file.exists() else 0
    file.unlink(missing_ok=True)
    return count


def run(settings: dict[str, Any]) -> Any:
    found = run_once({**settings, "log_level": "WARNING"})
    (log,) = Path(settings["work_dir"]).glob("*/*.log")
    return *found, log.read_text()


def settings(folder: Path, name: str, data: Any, by_epoch: bool, **more: Any) -> dict[str, Any]:
    train_cfg = epochs(2) if by_epoch else iterations(11)
    return config(folder / name, train_cfg=train_cfg, train_dataloader=data, **more)


def check(folder: Path, make: Any, by_epoch: bool, *points: int) -> dict[int, tuple[int, str]]:
    """Compare what follows each point; return how many samples were read, and the log."""
    whole, end, _ = run(settings(folder, "whole", make(), by_epoch))
    found = {}
    for point in points:
        disturb()
        reads(folder)
        start = {"load_from": str(folder / "whole" / f"iter_{point}.pth"), "resume": True}
        steps, again_end, log = run(settings(folder, f"{point}", make(), by_epoch, **start))
        assert steps == list(rest(whole, point)), f"resumed at iteration {point}"
        assert again_end == end
        found[point] = reads(folder), log
    return found


def stream(dataset: Any, **options: Any) -> dict[str, Any]:
    return loader(dataset, sampler=None, **options)


@pytest.mark.parametrize("by_epoch", [True, False])
def test_a_dataset_that_tells_its_place_goes_on_without_reading(
    by_epoch: bool, tmp_path: Path
) -> None:
    """Within a round, at its end (the last batch is short), and just behind that."""
    found = check(tmp_path, lambda: stream(Telling(tmp_path)), by_epoch, 2, 6, 7)
    left = {2: 14 + 22, 6: 22, 7: 18} if by_epoch else {2: 14 + 20, 6: 20, 7: 16}
    assert {point: count for point, (count, _) in found.items()} == left
    assert not any("read again" in log for _, log in found.values())


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"num_workers": 2}, PERSISTENT])
@pytest.mark.parametrize("by_epoch", [True, False])
def test_it_goes_on_in_workers_which_end_at_different_times(
    by_epoch: bool, options: dict[str, Any], tmp_path: Path
) -> None:
    make = lambda: stream(Telling(tmp_path, 36, options["num_workers"]), **options)  # noqa: E731
    found = check(tmp_path, make, by_epoch, 3, 5, 6, 9)
    assert not any("read again" in log for _, log in found.values())


@pytest.mark.parametrize("by_epoch", [True, False])
@pytest.mark.parametrize("options", [{}, pytest.param(PERSISTENT, marks=pytest.mark.slow)])
def test_one_that_does_not_is_read_again_and_the_log_says_so(
    by_epoch: bool, options: dict[str, Any], tmp_path: Path
) -> None:
    found = check(
        tmp_path,
        lambda: stream(Silent(tmp_path, 36, options.get("num_workers", 0)), **options),
        by_epoch,
        3,
    )
    told = "The 3 batches that come before in the data are read again"
    assert found[3][1].count(told) == 1
    assert "Silent cannot tell where it is" in found[3][1]


@pytest.mark.parametrize("by_epoch", [True, False])
def test_a_loader_that_tells_its_place_goes_on_without_reading(
    by_epoch: bool, tmp_path: Path
) -> None:
    def make() -> Any:
        return TellingLoader(Noisy(22, tmp_path), 4, collate_fn=_collate)

    found = check(tmp_path, make, by_epoch, 2, 7)
    assert found[2][0] == (14 + 22 if by_epoch else 14 + 20)


def _collate(samples: list[Any]) -> Any:
    return {key: [one[key] for one in samples] for key in samples[0]}


def test_another_number_of_workers_is_not_given_the_states_of_these(tmp_path: Path) -> None:
    whole = settings(tmp_path, "whole", stream(Telling(tmp_path)), True)
    run(whole)
    start = {"load_from": str(tmp_path / "whole" / "iter_2.pth"), "resume": True}
    with_workers = stream(Telling(tmp_path), num_workers=1)
    steps, _, log = run(settings(tmp_path, "again", with_workers, True, **start))
    assert "The 2 batches that come before in the data are read again" in log
    assert len([step for step in steps if step[0] == "read"]) == 4 + 6
