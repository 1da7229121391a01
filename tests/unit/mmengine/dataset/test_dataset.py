"""What our datasets do beyond, or better than, MMEngine's."""

from __future__ import annotations

import gc
import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from mm2pl.errors import ConfigTypeError, DataError
from mm2pl.mmengine.dataset import BaseDataset, ConcatDataset, DefaultSampler, InfiniteSampler


def _dataset(folder: Path, count: int = 3, **settings: Any) -> BaseDataset:
    content = {"metainfo": {}, "data_list": [{"n": i} for i in range(count)]}
    (folder / "ann.json").write_text(json.dumps(content))
    return BaseDataset(str(folder / "ann.json"), data_prefix={}, **settings)


@pytest.mark.parametrize("kind", [DefaultSampler, InfiniteSampler])
def test_an_empty_dataset_can_be_given_to_a_sampler_but_not_be_read(kind: Any) -> None:
    sampler = kind([], seed=0)
    with pytest.raises(DataError, match="dataset is empty"):
        next(iter(sampler))


def test_an_empty_annotation_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ann\.json: The dataset is empty"):
        _dataset(tmp_path, 0)


def test_no_datasets_to_join_is_a_clear_error() -> None:
    with pytest.raises(DataError, match="at least one dataset"):
        ConcatDataset([])


def test_what_is_no_dataset_is_named_by_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigTypeError) as caught:
        ConcatDataset([_dataset(tmp_path, 1), "mnist"])  # type: ignore[list-item]
    assert caught.value.key_path == "datasets[1]"


def test_the_infinite_order_goes_on_after_an_iterator_is_thrown_away() -> None:
    whole = list(itertools.islice(InfiniteSampler(range(4), seed=1), 8))
    sampler = InfiniteSampler(range(4), seed=1)
    first = list(itertools.islice(sampler, 3))
    gc.collect()
    assert first + list(itertools.islice(sampler, 5)) == whole


def test_two_loaders_in_turn_continue_the_infinite_order() -> None:
    sampler = InfiniteSampler(range(6), shuffle=False, seed=1)
    loader = DataLoader(list(range(6)), batch_size=2, sampler=sampler)
    first = next(iter(loader))
    assert first.tolist() == [0, 1]
    assert next(iter(loader)).tolist() == [2, 3]


@pytest.mark.parametrize("serialize", [True, False])
def test_the_first_sample_can_be_read_from_the_end(tmp_path: Path, serialize: bool) -> None:
    dataset = _dataset(tmp_path, serialize_data=serialize)
    assert dataset.get_data_info(-3) == {"n": 0, "sample_idx": 0}


@pytest.mark.parametrize("indices", [3, -3])
def test_a_subset_may_be_the_whole(tmp_path: Path, indices: int) -> None:
    subset = _dataset(tmp_path).get_subset(indices)
    assert [subset[i]["n"] for i in range(len(subset))] == [0, 1, 2]


def test_copies_of_datasets_share_no_state(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path, filter_cfg={"keys": [1]})
    first, second = dataset.get_subset(1), dataset.get_subset(1)
    assert first.filter_cfg == second.filter_cfg
    assert first.filter_cfg is not second.filter_cfg


def test_a_folder_as_metainfo_is_text(tmp_path: Path) -> None:
    assert _dataset(tmp_path, metainfo={"root": str(tmp_path)}).metainfo == {"root": str(tmp_path)}


def test_a_dataset_can_be_iterated_to_its_end(tmp_path: Path) -> None:
    samples: Any = _dataset(tmp_path)
    assert [sample["n"] for sample in samples] == [0, 1, 2]
