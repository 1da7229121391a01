"""Turning samples into a batch, and seeding the workers that read them."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import default_collate as torch_default_collate

from mm2pl.errors import DataError
from mm2pl.mmengine.registry import FUNCTIONS
from mm2pl.mmengine.structures import BaseDataElement

COLLATE_FUNCTIONS = FUNCTIONS


class _UnequalSamplesError(DataError, RuntimeError):
    """Samples of a batch have different numbers of parts."""


def worker_init_fn(
    worker_id: int,
    num_workers: int,
    rank: int,
    seed: int,
    disable_subprocess_warning: bool = False,
) -> None:
    """Seed numpy, ``random`` and torch in a worker with ``num_workers * rank + worker_id + seed``.

    Args:
        worker_id: Counts the workers of one loader from 0.
        num_workers: Number of workers of the loader.
        rank: Rank of the process, 0 in a single one.
        seed: The run's seed.
        disable_subprocess_warning: Let worker 0 alone show warnings.
    """
    worker_seed = num_workers * rank + worker_id + seed
    np.random.seed(worker_seed)
    random.seed(worker_seed)
    torch.manual_seed(worker_seed)
    if disable_subprocess_warning and worker_id != 0:
        warnings.simplefilter("ignore")


@FUNCTIONS.register_module()
def pseudo_collate(data_batch: Sequence[Any]) -> Any:
    """Swap the levels of a batch: a list of samples becomes a sample of lists.

    Nothing is stacked or converted: ``[{"x": a}, {"x": b}]`` becomes ``{"x": [a, b]}``.

    Raises:
        DataError: Samples that are sequences differ in length.
    """
    return _collate(data_batch, lambda values: values)


@FUNCTIONS.register_module()
def default_collate(data_batch: Sequence[Any]) -> Any:
    """Swap the levels of a batch and make tensors of its numbers, arrays and tensors.

    Data elements and strings stay as they are; the rest becomes tensors of shape ``(B, ...)``,
    as by torch's own ``default_collate``.

    Raises:
        DataError: Samples that are sequences differ in length.
    """
    return _collate(data_batch, torch_default_collate)


def _collate(batch: Sequence[Any], join: Callable[[Any], Any]) -> Any:
    first = batch[0]
    kind: Any = type(first)
    if isinstance(first, (BaseDataElement, str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return kind({key: _collate([sample[key] for sample in batch], join) for key in first})
    if not isinstance(first, Sequence):
        return join(batch)
    if any(len(sample) != len(first) for sample in batch):
        raise _UnequalSamplesError(
            "each element in list of batch should be of equal size, but got "
            f"{[len(sample) for sample in batch]}"
        )
    parts = [_collate(values, join) for values in zip(*batch, strict=True)]
    if isinstance(first, tuple):
        return kind(*parts) if hasattr(first, "_fields") else parts
    try:
        return kind(parts)
    except TypeError:  # A sequence that is not made from its items, such as a range.
        return parts
