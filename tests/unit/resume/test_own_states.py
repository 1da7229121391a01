"""Datasets, transforms and samplers with states of their own go on exactly, or it is said."""

from __future__ import annotations

import copy
import pickle
import random
from collections import OrderedDict, deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import BatchSampler, RandomSampler

from mm2pl import checkpoint
from mm2pl.mmengine.registry import DATA_SAMPLERS
from mm2pl.resume.in_workers import _Packed
from mm2pl.resume.own_states import not_plain
from tests.unit.resume.resume_runs import (
    Noisy,
    config,
    digest,
    disturb,
    epochs,
    iterations,
    loader,
    rest,
)
from tests.unit.resume.resume_runs import run as run_once

pytestmark = pytest.mark.filterwarnings("ignore:scheduler.step")
BIT_GENERATORS = (np.random.PCG64, np.random.Philox, np.random.SFC64, np.random.MT19937)
PERSISTENT = {"num_workers": 2, "persistent_workers": True}


class Cached:
    """Mixes a sample with one of a cache of samples, as mmdet's CachedMosaic does."""

    def __init__(self, size: int = 5) -> None:
        self.results_cache: list[Any] = []
        self.size = size

    def __call__(self, results: Any) -> Any:
        self.results_cache.append(copy.deepcopy(results))
        if len(self.results_cache) > self.size:
            self.results_cache.pop(random.randint(0, self.size))
        other = random.choice(self.results_cache)
        return {**results, "inputs": results["inputs"] + other["inputs"]}


class Telling(Cached):
    def state_dict(self) -> dict[str, Any]:
        return {"cache": self.results_cache}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.results_cache = state["cache"]


class Scaling:
    """Draws from generators of its own, which have no state_dict."""

    def __init__(self) -> None:
        self.old = np.random.RandomState(1)
        self.new = np.random.default_rng(2)
        self.plain = random.Random(3)
        self.torch = torch.Generator()

    def __call__(self, results: Any) -> Any:
        scale = self.old.rand() + self.new.random() + self.plain.random()
        scale += float(torch.rand(1, generator=self.torch))
        return {**results, "inputs": results["inputs"] * scale}


class Composed:
    def __init__(self, transforms: list[Any]) -> None:
        self.transforms = transforms

    def __call__(self, results: Any) -> Any:
        for transform in self.transforms:
            results = transform(results)
        return results


class Mixed(Noisy):
    """Annotations, a pipeline and a counter of its own."""

    def __init__(self, *transforms: Any, size: int = 22) -> None:
        super().__init__(size)
        self.data_list = [{"index": index} for index in range(size)]
        self.loaded: dict[int, Any] = {}
        self.pipeline = Composed([Composed([one]) for one in transforms])

    def __getitem__(self, index: int) -> Any:
        self.loaded[index] = self.data_list[index]  # a cache that changes nothing
        return self.pipeline(super().__getitem__(index))


class Wrapper(Noisy):
    def __init__(self, dataset: Any) -> None:
        super().__init__()
        self.dataset = dataset

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]


class Drifting(RandomSampler):
    """Says another order each round, from a state of its own."""

    def __init__(self, dataset: Any, seed: Any = None) -> None:
        super().__init__(dataset)
        self.drawn = 0
        self.numbers = np.random.RandomState(5)

    def __iter__(self) -> Iterator[int]:
        for index in self.numbers.permutation(len(self.data_source)):  # type: ignore[arg-type]
            self.drawn += 1
            yield (int(index) + self.drawn // 7) % len(self.data_source)  # type: ignore[arg-type]

    def state_dict(self) -> dict[str, Any]:
        return {"drawn": self.drawn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.drawn = state["drawn"]


class Batches(BatchSampler):
    def __init__(self, sampler: Any, batch_size: int) -> None:
        super().__init__(sampler, batch_size, drop_last=False)


@pytest.fixture(autouse=True)
def _samplers() -> Any:
    for kind in (Drifting, Batches):
        DATA_SAMPLERS.register_module(module=kind)
    yield
    for kind in (Drifting, Batches):
        DATA_SAMPLERS.module_dict.pop(kind.__name__)


def run(settings: dict[str, Any]) -> Any:
    found = run_once({**settings, "log_level": "WARNING"})
    (log,) = Path(settings["work_dir"]).glob("*/*.log")
    return *found, [line for line in log.read_text().splitlines() if "approximated" in line]


def check(folder: Path, make: Any, *points: int) -> None:
    """Compare what follows each point with what followed it in the run without a break."""
    whole, end, said = run(config(folder / "whole", **make()))
    assert said == []
    for point in points:
        disturb()
        start = str(folder / "whole" / f"iter_{point}.pth")
        again = config(folder / f"from_{point}", load_from=start, resume=True, **make())
        steps, again_end, said = run(again)
        assert said == [], f"resumed at iteration {point}"
        assert steps == list(rest(whole, point)), f"resumed at iteration {point}"
        assert again_end == end, f"resumed at iteration {point}"


def data(by_epoch: bool = True, **options: Any) -> Any:
    def make() -> dict[str, Any]:
        dataset = Wrapper(Mixed(Telling(), Scaling()))
        train_cfg = epochs(2) if by_epoch else iterations(12)
        return {"train_cfg": train_cfg, "train_dataloader": loader(dataset, **options)}

    return make


@pytest.mark.parametrize("by_epoch", [True, False])
def test_transforms_go_on_where_they_were(by_epoch: bool, tmp_path: Path) -> None:
    check(tmp_path, data(by_epoch), 2, 6, 8)


DRIFTING = {"sampler": {"type": "Drifting"}}


@pytest.mark.parametrize("by_epoch", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("options", [DRIFTING, {**DRIFTING, "batch_sampler": {"type": "Batches"}}])
def test_samplers_go_on_where_they_were(
    by_epoch: bool, options: dict[str, Any], tmp_path: Path
) -> None:
    check(tmp_path, data(by_epoch, **options), 3, 6, 8)


@pytest.mark.slow
@pytest.mark.parametrize("by_epoch", [True, False])
@pytest.mark.parametrize("options", [{"num_workers": 2}, PERSISTENT, {**PERSISTENT, **DRIFTING}])
def test_transforms_in_workers_go_on_where_they_were(
    by_epoch: bool, options: dict[str, Any], tmp_path: Path
) -> None:
    check(tmp_path, data(by_epoch, **options), 1, 4, 6, 8)


KEEPS = "is approximated: Cached keeps results_cache of its own, which is not in the checkpoint"


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_a_cache_that_cannot_be_told_is_said_once_at_a_save_and_when_going_on(
    workers: int, tmp_path: Path
) -> None:
    def settings(name: str, **more: Any) -> dict[str, Any]:
        data = loader(Mixed(Cached(), size=40), num_workers=workers)
        return config(tmp_path / name, train_cfg=epochs(1), train_dataloader=data, **more)

    whole, _, said = run(settings("whole"))
    assert len(said) == 1
    assert "A run that goes on from this one's checkpoints " + KEEPS in said[0]
    start = str(tmp_path / "whole" / "iter_9.pth")
    again, _, said = run(settings("again", load_from=start, resume=True))
    assert again != list(rest(whole, 9))
    assert "The resumed run " + KEEPS in said[0]


class Opaque(Telling):
    def state_dict(self) -> dict[str, Any]:
        return {"cache": [Path("one"), Path("two")]}


class Failing(Telling):
    def state_dict(self) -> dict[str, Any]:
        raise OSError("no cache")


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (Opaque, "the state of Opaque cannot be stored: it['cache'][0] is a pathlib"),
        (Failing, "OSError: no cache"),
    ],
)
def test_a_state_that_no_file_may_hold_is_left_out_and_said(
    kind: type, told: str, workers: int, tmp_path: Path
) -> None:
    data = loader(Mixed(kind()), num_workers=workers)
    _, _, said = run(config(tmp_path, train_cfg=epochs(1), train_dataloader=data))
    assert any(told in line for line in said)
    assert "mm2pl" in checkpoint.read(tmp_path / "iter_3.pth")


def test_a_state_that_the_file_or_the_dataset_has_not_is_said(tmp_path: Path) -> None:
    def settings(name: str, transform: Any, **more: Any) -> dict[str, Any]:
        data = loader(Mixed(transform))
        return config(tmp_path / name, train_cfg=epochs(1), train_dataloader=data, **more)

    run(settings("with", Telling()))
    start = str(tmp_path / "with" / "iter_3.pth")
    said = run(settings("lost", Scaling(), load_from=start, resume=True))[2]
    assert any("there is nothing at dataset.pipeline.transforms.0" in line for line in said)
    assert any("the state of Scaling.old is not in the checkpoint" in line for line in said)


class Changing:
    """Changes attributes in ways that make no difference to what comes later."""

    def __init__(self) -> None:
        self.scale = (1, 2)
        self.params: dict[str, Any] = {}
        self.scratch: list[Any] = []
        self.buffer = torch.zeros(0)
        self.late: list[int] = []

    def __call__(self, results: Any) -> Any:
        self.scale = (random.randint(1, 9), 2)
        self.params = {"scale": self.scale}
        self.scratch = [self.scale]
        self.buffer = torch.rand(2)
        if not self.late:
            self.late.append(1)
        return results


def test_what_makes_no_difference_is_not_said(tmp_path: Path) -> None:
    data = loader(Mixed(Changing(), torch.nn.Identity()), batch_size=2)
    _, _, said = run(config(tmp_path, train_cfg=epochs(1), train_dataloader=data))
    assert said == []


def test_equal_arrays_are_kept_once_for_several_batches() -> None:
    same, changing = np.zeros(1000), np.zeros(1000)
    before = _Packed({"same": same, "changing": changing}, None)
    changing += 1
    after = _Packed({"same": same, "changing": changing}, before)
    assert [a is b for a, b in zip(before.arrays, after.arrays, strict=True)] == [True, False]
    assert pickle.loads(before.head, buffers=before.arrays)["changing"].sum() == 0
    assert pickle.loads(after.head, buffers=after.arrays)["changing"].sum() == 1000


_NUMBERS = ["?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"]
PLAIN: dict[str, Any] = {
    "nothing": None,
    "numbers": [True, 1, -(10**30), 1.5, float("inf"), 1j],
    "texts": ["", "ü", b"", b"x"],
    "collections": [(), (1, (2,)), {3}, set(), {}, {(1, "a"): 2}, OrderedDict(a=1)],
    "tensors": [torch.zeros(0), torch.ones(2, dtype=torch.float16), torch.tensor(1)],
    "arrays": [np.ones((2, 3), kind)[:, ::-1] for kind in _NUMBERS],
    "empty arrays": [np.zeros((0, 4), kind) for kind in _NUMBERS],
    "texts in arrays": np.array(["a", "bc"]),
    "scalars": [np.ones((), kind)[()] for kind in _NUMBERS],
    "generators": [
        *(random.Random(1).getstate(), np.random.RandomState(1).get_state(legacy=False)),
        *(np.random.Generator(kind(1)).bit_generator.state for kind in BIT_GENERATORS),
    ],
}


@pytest.mark.parametrize("name", PLAIN)
def test_what_passes_for_plain_can_be_read(name: str, tmp_path: Path) -> None:
    assert not_plain(PLAIN[name]) is None
    checkpoint.write({"found": PLAIN[name]}, str(tmp_path / "plain.pth"))
    found = checkpoint.read(tmp_path / "plain.pth")["found"]
    assert digest(found) == digest(PLAIN[name])


@pytest.mark.parametrize(
    "value",
    [Path("x"), {"a": [object()]}, np.array([{}]), {Path("x"): 1}, deque(), {1: slice(2)}, int],
)
def test_what_could_not_be_read_does_not_pass(value: Any) -> None:
    assert not_plain(value) is not None
