"""Datasets made of others: joined, repeated, or with rare classes repeated."""

from __future__ import annotations

import bisect
import copy
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np
from torch.utils.data import ConcatDataset as _ConcatDataset

from mm2pl.errors import ConfigTypeError, DataError, UnsupportedError
from mm2pl.mmengine.dataset.base_dataset import (
    BaseDataset,
    _DataTypeError,
    ask_for_full_init,
    force_full_init,
)
from mm2pl.mmengine.registry import DATASETS


class _Wrapper:
    """What all wrappers do: know which sample of which dataset one of theirs is."""

    _metainfo: dict[str, Any]
    _fully_initialized: bool = False

    @property
    def metainfo(self) -> dict[str, Any]:
        """A copy of the meta information, that of the (first) wrapped dataset."""
        return copy.deepcopy(self._metainfo)

    def full_init(self) -> None:
        """Initialize the wrapped datasets, once."""
        raise NotImplementedError

    def _locate(self, idx: int) -> tuple[Any, int]:
        """Return a wrapped dataset and the position in it."""
        raise NotImplementedError

    @force_full_init
    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return the annotation of one sample."""
        dataset, position = self._locate(idx)
        info: dict[str, Any] = dataset.get_data_info(position)
        return info

    def __getitem__(self, idx: int) -> Any:
        if not self._fully_initialized:
            ask_for_full_init()
            self.full_init()
        dataset, position = self._locate(idx)
        return dataset[position]

    def get_subset_(self, indices: Sequence[int] | int) -> NoReturn:
        """Refuse: it is not clear what of which dataset to keep."""
        self._refuse_subset()

    def get_subset(self, indices: Sequence[int] | int) -> NoReturn:
        """Refuse: it is not clear what of which dataset to keep."""
        self._refuse_subset()

    def _refuse_subset(self) -> NoReturn:
        name = type(self).__name__
        raise UnsupportedError(
            f"`{name}` does not support `get_subset` and `get_subset_`",
            hint=f"Take the subset of the wrapped dataset (its `indices`), then use `{name}`.",
        )


def _build(dataset: Any, key: str = "dataset") -> Any:
    """Return a dataset that is given, for the argument ``key``, as a config or as an object."""
    if isinstance(dataset, dict):
        return DATASETS.build(dataset)
    if isinstance(dataset, BaseDataset):
        return dataset
    raise ConfigTypeError(
        "elements in datasets sequence should be config or `BaseDataset` instance, "
        f"but got {type(dataset)}",
        key_path=key,
    )


@DATASETS.register_module()
class ConcatDataset(_Wrapper, _ConcatDataset[Any]):
    """Several datasets, one after the other.

    Args:
        datasets: Configs or datasets; their meta information must be equal.
        lazy_init: Do not load annotations until they are needed.
        ignore_keys: Keys of the meta information that may differ.

    Raises:
        DataError: There is no dataset, or the meta information differs.
    """

    def __init__(
        self,
        datasets: Sequence[BaseDataset | dict[str, Any]],
        lazy_init: bool = False,
        ignore_keys: str | list[str] | None = None,
    ) -> None:
        self.datasets: list[Any] = [
            _build(dataset, f"datasets[{index}]") for index, dataset in enumerate(datasets)
        ]
        if not self.datasets:
            raise DataError("ConcatDataset needs at least one dataset", key_path="datasets")
        if ignore_keys is not None and not isinstance(ignore_keys, (str, list)):
            raise ConfigTypeError(
                f"ignore_keys should be a list or str, but got {type(ignore_keys)}",
                key_path="ignore_keys",
            )
        self.ignore_keys = [ignore_keys] if isinstance(ignore_keys, str) else ignore_keys or []
        # Only the first one's is used.
        self._metainfo = self.datasets[0].metainfo
        self._check_metainfo()
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def _check_metainfo(self) -> None:
        metas = [dataset.metainfo for dataset in self.datasets]
        keys = {key: None for meta in metas for key in meta if key not in self.ignore_keys}
        for position, meta in enumerate(metas, 1):
            for key in keys:
                where = f"the {position}-th dataset"
                if key not in meta:
                    raise DataError(f"{key} is not in the meta information of {where}")
                first, this = metas[0][key], meta[key]
                if type(first) is not type(this):
                    raise _DataTypeError(
                        f"The type {type(this)} of {key} in {where} should be the same as in the "
                        f"first dataset, {type(first)}"
                    )
                is_array = isinstance(first, np.ndarray)
                if not (np.array_equal(first, this) if is_array else first == this):
                    raise DataError(
                        f"The meta information of {where} does not match that of the first "
                        f"dataset in {key}: {this} and {first}",
                        hint=f"If that is right, set ignore_keys=['{key}'].",
                    )

    def full_init(self) -> None:
        """Initialize the wrapped datasets, once."""
        if self._fully_initialized:
            return
        for dataset in self.datasets:
            dataset.full_init()
        super().__init__(self.datasets)  # sets cumulative_sizes, which needs the lengths
        self._fully_initialized = True

    @force_full_init
    def _get_ori_dataset_idx(self, idx: int) -> tuple[int, int]:
        """Return which dataset a sample is in, and its position there."""
        if idx < 0:
            if -idx > len(self):
                raise DataError(
                    f"absolute value of index({idx}) should not exceed dataset length({len(self)})."
                )
            idx += len(self)
        which = bisect.bisect_right(self.cumulative_sizes, idx)
        return which, idx - self.cumulative_sizes[which - 1] if which else idx

    def _locate(self, idx: int) -> tuple[Any, int]:
        which, position = self._get_ori_dataset_idx(idx)
        return self.datasets[which], position

    @force_full_init
    def __len__(self) -> int:
        return super().__len__()


@DATASETS.register_module()
class RepeatDataset(_Wrapper):
    """A dataset repeated, for fewer but longer epochs.

    Args:
        dataset: A config or a dataset.
        times: How often.
        lazy_init: Do not load annotations until they are needed.
    """

    def __init__(
        self, dataset: BaseDataset | dict[str, Any], times: int, lazy_init: bool = False
    ) -> None:
        self.dataset = _build(dataset)
        self.times = times
        self._metainfo = self.dataset.metainfo
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Initialize the wrapped dataset, once."""
        if self._fully_initialized:
            return
        self.dataset.full_init()
        self._ori_len = len(self.dataset)
        self._fully_initialized = True

    @force_full_init
    def _get_ori_dataset_idx(self, idx: int) -> int:
        """Return a sample's position in the wrapped dataset."""
        return idx % self._ori_len

    def _locate(self, idx: int) -> tuple[Any, int]:
        return self.dataset, self._get_ori_dataset_idx(idx)

    @force_full_init
    def __len__(self) -> int:
        return self.times * self._ori_len


@DATASETS.register_module()
class ClassBalancedDataset(_Wrapper):
    """A dataset in which samples of rare classes are repeated (https://arxiv.org/abs/1908.03195).

    A class in a fraction ``f`` of the samples has the repeat factor ``max(1, sqrt(t / f))``; a
    sample is repeated by the largest factor of its classes, rounded up.

    Args:
        dataset: A config or a dataset that implements ``get_cat_ids``.
        oversample_thr: The fraction ``t`` below which a class counts as rare.
        lazy_init: Do not load annotations until they are needed.
    """

    def __init__(
        self, dataset: BaseDataset | dict[str, Any], oversample_thr: float, lazy_init: bool = False
    ) -> None:
        self.dataset = _build(dataset)
        self.oversample_thr = oversample_thr
        self._metainfo = self.dataset.metainfo
        self._fully_initialized = False
        if not lazy_init:
            self.full_init()

    def full_init(self) -> None:
        """Initialize the wrapped dataset and count its classes, once."""
        if self._fully_initialized:
            return
        self.dataset.full_init()
        factors = self._get_repeat_factors(self.dataset, self.oversample_thr)
        self.repeat_indices = [
            idx for idx, factor in enumerate(factors) for _ in range(math.ceil(factor))
        ]
        self._fully_initialized = True

    def _get_repeat_factors(self, dataset: Any, repeat_thr: float) -> list[float]:
        """Return the repeat factor of each sample; 1 for one without classes."""
        size = len(dataset)
        classes = [set(self.dataset.get_cat_ids(idx)) for idx in range(size)]
        counts = Counter(name for names in classes for name in names)
        factors = {
            name: max(1.0, math.sqrt(repeat_thr / (count / size))) for name, count in counts.items()
        }
        return [max((factors[name] for name in names), default=1.0) for names in classes]

    @force_full_init
    def _get_ori_dataset_idx(self, idx: int) -> int:
        """Return a sample's position in the wrapped dataset."""
        return self.repeat_indices[idx]

    def _locate(self, idx: int) -> tuple[Any, int]:
        return self.dataset, self._get_ori_dataset_idx(idx)

    @force_full_init
    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the categories in one sample."""
        ids: list[int] = self.dataset.get_cat_ids(self._get_ori_dataset_idx(idx))
        return ids

    @force_full_init
    def __len__(self) -> int:
        return len(self.repeat_indices)
