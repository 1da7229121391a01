"""Loaders open late, read to their end, and come from MMEngine's configs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch.utils.data import DataLoader, Dataset, SequentialSampler

from mm2pl import data as data_module
from mm2pl._lightning import UNKNOWN
from mm2pl.data import IterationLoader, LateLoader, SlicedDataset, build_dataloader
from mm2pl.errors import ConfigError, ConfigTypeError, DataError
from mm2pl.mmengine.registry.errors import trail_of
from mm2pl.mmengine.runner.loops import IterBasedTrainLoop
from mm2pl.translate.data import LOADER_RULES


class Numbers(Dataset):
    def __init__(self, length=5):
        self.length = length
        self.kind = "numbers"

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        return index


def loader_cfg(**changes):
    return {
        "dataset": Numbers(),
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "batch_size": 2,
        **changes,
    }


def test_a_config_becomes_a_loader_that_collates_into_lists():
    assert list(build_dataloader(loader_cfg())) == [[0, 1], [2, 3], [4]]


@pytest.mark.proves("dataloader.{pin_memory,prefetch_factor,timeout,generator,pin_memory_device}")
@pytest.mark.proves("dataloader.{multiprocessing_context,shuffle,in_order,drop_last}")
@pytest.mark.proves("dataloader.{batch_size,num_workers,persistent_workers}")
@pytest.mark.parametrize("key", [rule.key for rule in LOADER_RULES if "DataLoader" in rule.text])
def test_torchs_loader_is_given_its_arguments_as_they_are(key, monkeypatch):
    seen = {}

    def loader(**given):
        seen.update(given)
        return SimpleNamespace(drop_last=False, sampler=None)

    monkeypatch.setattr(data_module, "DataLoader", loader)
    value = 3 if key in ("batch_size", "num_workers") else f"a {key}"
    build_dataloader(loader_cfg(**{key: value}))
    assert seen[key] == value


def test_a_built_loader_passes_through():
    loader = DataLoader(Numbers())
    assert build_dataloader(loader) is loader


def test_the_config_is_left_as_it_was():
    cfg = loader_cfg()
    keys = list(cfg)
    build_dataloader(cfg)
    assert list(cfg) == keys
    assert cfg["sampler"] == {"type": "DefaultSampler", "shuffle": False}


def test_num_batch_per_epoch_cuts_the_data():
    assert list(build_dataloader(loader_cfg(num_batch_per_epoch=2))) == [[0, 1], [2, 3]]


def test_a_cut_dataset_keeps_the_datasets_attributes():
    assert SlicedDataset(Numbers(), 2).kind == "numbers"


def test_a_loader_without_a_sampler_takes_the_samples_in_order():
    cfg = loader_cfg()
    del cfg["sampler"]
    assert isinstance(build_dataloader(cfg).sampler, SequentialSampler)


def test_a_missing_dataset_is_named():
    cfg = loader_cfg()
    del cfg["dataset"]
    with pytest.raises(ConfigError, match="dataset"):
        build_dataloader(cfg)


def test_an_empty_dataset_is_an_error_with_a_hint():
    with pytest.raises(DataError, match="no samples") as caught:
        build_dataloader(loader_cfg(dataset=Numbers(0)))
    assert "data_root" in caught.value.hint


def test_opening_a_late_loader_draws_no_random_number():
    loop = SimpleNamespace(dataloader=DataLoader(Numbers(), batch_size=2))
    before = torch.random.get_rng_state()
    batches = iter(LateLoader(lambda: loop))
    assert torch.equal(torch.random.get_rng_state(), before)
    next(batches)
    assert not torch.equal(torch.random.get_rng_state(), before)


def test_a_late_loader_reads_the_loader_that_stands_there_then():
    loop = SimpleNamespace(dataloader=[1, 2])
    batches = iter(LateLoader(lambda: loop))
    loop.dataloader = [3, 4]
    assert list(batches) == [3, 4]


def test_finishing_a_late_loader_runs_it_to_its_end():
    ended = []

    class Source:
        def __iter__(self):
            yield 1
            ended.append(True)

    late = LateLoader(lambda: SimpleNamespace(dataloader=Source()))
    next(iter(late))
    late.finish()
    assert ended == [True]


def iteration_loop(batches, max_iters):
    loop = IterBasedTrainLoop.__new__(IterBasedTrainLoop)
    loop._runner = SimpleNamespace(model=torch.nn.Linear(1, 1).eval())
    loop.dataloader_iterator, loop._iter, loop._max_iters = batches, 0, max_iters
    return loop


def test_an_iteration_loader_follows_a_swapped_iterator_and_sets_train_mode():
    loop = iteration_loop(iter([1, 1, 1]), 3)
    batches = iter(IterationLoader(loop))
    assert next(batches) == 1
    assert loop.runner.model.training
    loop._iter, loop.dataloader_iterator = 1, iter([2, 2])
    assert next(batches) == 2


@pytest.mark.parametrize(("max_iters", "length"), [(5, 5), (1, 1), (0, 1)])
def test_an_iteration_loader_is_as_long_as_the_loop_says_in_mid_run(max_iters, length):
    loop = iteration_loop(iter(range(9)), 3)
    late = IterationLoader(loop)
    batches = iter(late)
    next(batches)
    loop._iter, loop._max_iters = 1, max_iters
    assert len(late) == length
    assert len(list(zip(batches, range(length - 1), strict=False))) == length - 1


# --------------------------------------------------------------------------- mistakes


def test_a_loader_that_drops_all_samples_is_refused():
    with pytest.raises(DataError, match="5 samples make no batch of 6") as caught:
        build_dataloader(loader_cfg(batch_size=6, drop_last=True))
    assert caught.value.key_path == "drop_last"


def test_an_argument_that_torchs_loader_does_not_take_is_named():
    with pytest.raises(ConfigTypeError, match="unexpected keyword argument 'num_worker'") as caught:
        build_dataloader(loader_cfg(num_worker=2))
    assert (caught.value.key_path, caught.value.choices[0]) == ("num_worker", "num_workers")


@pytest.mark.parametrize("by_epoch", [True, False])
def test_an_error_of_the_data_says_whose_data(by_epoch):
    def fail():
        yield 1
        raise IndexError("image 1 is broken")

    loop = iteration_loop(fail(), 2)
    loop.dataloader = fail()
    with pytest.raises(IndexError) as caught:
        for _ in LateLoader(lambda: loop) if by_epoch else IterationLoader(loop):
            pass
    assert trail_of(caught.value).path == "train_dataloader"


def test_a_loader_without_batches_is_still_gone_through():
    # Another rank may have some, and MMEngine calls its hooks all the same.
    late = LateLoader(lambda: SimpleNamespace(dataloader=DataLoader([]), stage="val"))
    assert len(late) == UNKNOWN
