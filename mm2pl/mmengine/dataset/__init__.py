"""Datasets, their wrappers, samplers and collate functions."""

from __future__ import annotations

from mm2pl.mmengine.dataset.base_dataset import BaseDataset, Compose, force_full_init
from mm2pl.mmengine.dataset.dataset_wrapper import (
    ClassBalancedDataset,
    ConcatDataset,
    RepeatDataset,
)
from mm2pl.mmengine.dataset.sampler import DefaultSampler, InfiniteSampler
from mm2pl.mmengine.dataset.utils import (
    COLLATE_FUNCTIONS,
    default_collate,
    pseudo_collate,
    worker_init_fn,
)

__all__ = [
    "COLLATE_FUNCTIONS",
    "BaseDataset",
    "ClassBalancedDataset",
    "Compose",
    "ConcatDataset",
    "DefaultSampler",
    "InfiniteSampler",
    "RepeatDataset",
    "default_collate",
    "force_full_init",
    "pseudo_collate",
    "worker_init_fn",
]
