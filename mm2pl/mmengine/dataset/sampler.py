"""The order in which samples are read: epoch by epoch, or without an end."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sized

import torch
from torch.utils.data import Sampler

from mm2pl.errors import DataError
from mm2pl.mmengine.dist import get_dist_info, sync_random_seed
from mm2pl.mmengine.registry import DATA_SAMPLERS


def _require_samples(dataset: Sized) -> None:
    if len(dataset) == 0:
        raise DataError(
            f"The dataset is empty: {type(dataset).__name__} has no samples to draw from",
            hint="Check its annotation file, its filter and its indices.",
        )


@DATA_SAMPLERS.register_module()
class DefaultSampler(Sampler[int]):
    """Draws every sample once an epoch; each process gets every n-th of the same order.

    Args:
        dataset: What to draw from.
        shuffle: Shuffle, by ``seed`` plus the epoch.
        seed: The same on all processes; by default they agree on a random one.
        round_up: Repeat samples from the start until all processes have equally many.

    Raises:
        DataError: The dataset is empty (raised when it is iterated).
    """

    def __init__(
        self,
        dataset: Sized,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
    ) -> None:
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.round_up = round_up
        size = len(dataset)
        if round_up:
            self.num_samples = math.ceil(size / self.world_size)
            self.total_size = self.num_samples * self.world_size
        else:
            self.num_samples = math.ceil((size - self.rank) / self.world_size)
            self.total_size = size

    def __iter__(self) -> Iterator[int]:
        _require_samples(self.dataset)
        size = len(self.dataset)
        if self.shuffle:
            generator = torch.Generator()
            generator.manual_seed(self.seed + self.epoch)
            indices = torch.randperm(size, generator=generator).tolist()
        else:
            indices = list(range(size))
        if self.round_up:
            indices = (indices * (self.total_size // size + 1))[: self.total_size]
        return iter(indices[self.rank : self.total_size : self.world_size])

    def __len__(self) -> int:
        """Return the number of samples that this process gets."""
        return int(self.num_samples)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of that epoch for the next iteration."""
        self.epoch = epoch


@DATA_SAMPLERS.register_module()
class InfiniteSampler(Sampler[int]):
    """Draws without an end, shuffled anew after each pass over the dataset.

    All iterators of one sampler continue the same sequence.

    Args:
        dataset: What to draw from.
        shuffle: Shuffle.
        seed: The same on all processes; by default they agree on a random one.

    Raises:
        DataError: The dataset is empty (raised when it is iterated).

    Differs: an iterator that is thrown away does not end the sequence for those after it.
    """

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else seed
        self.size = len(dataset)
        self.indices = self._indices_of_rank()

    def _infinite_indices(self) -> Iterator[int]:
        """Yield the order of all processes together."""
        _require_samples(self.dataset)
        generator = torch.Generator()
        generator.manual_seed(self.seed)
        while True:
            if self.shuffle:
                yield from torch.randperm(self.size, generator=generator).tolist()
            else:
                yield from range(self.size)

    def _indices_of_rank(self) -> Iterator[int]:
        return itertools.islice(self._infinite_indices(), self.rank, None, self.world_size)

    def __iter__(self) -> Iterator[int]:
        return self.indices

    def __len__(self) -> int:
        """Return the size of the dataset, on every process."""
        return self.size

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: there are no epochs."""
