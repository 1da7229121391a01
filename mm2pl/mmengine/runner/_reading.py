"""How loops read their loaders."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.registry.errors import used_at
from mm2pl.mmengine.runner.base_loop import BaseLoop


class _InfiniteDataloaderIterator:
    """Reads a loader over and over, telling its sampler the round.

    Differs: MMEngine sleeps two seconds between rounds.
    """

    def __init__(self, dataloader: DataLoader[Any]) -> None:
        self._dataloader = dataloader
        # Started here, not at the first batch: it draws the workers' base seed from torch's RNG.
        self._iterator = iter(dataloader)
        self._epoch = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._iterator)
        except StopIteration:
            print_log(
                "Reach the end of the dataloader, it will be restarted and continue to iterate."
                " It is recommended to use `mmengine.dataset.InfiniteSampler` to enable the"
                " dataloader to iterate infinitely.",
                logger="current",
                level=logging.WARNING,
            )
            self._epoch += 1
            set_sampler_epoch(self._dataloader, self._epoch)
            self._iterator = iter(self._dataloader)
            return next(self._iterator)


def batches(loop: BaseLoop, place: int | None = None) -> Iterator[Any]:
    """Read the loop's loader, or that of one of its sets; an error says whose it is."""
    try:
        yield from loop.dataloader if place is None else loop.loader(place)  # type: ignore[attr-defined]
    except Exception as error:
        used_at(error, f"{loop.stage}_dataloader")
        raise


def set_sampler_epoch(dataloader: Any, epoch: int) -> None:
    """Tell the loader's sampler, or else its batch sampler's, which round over the data it is."""
    for sampler in (
        getattr(dataloader, "sampler", None),
        getattr(getattr(dataloader, "batch_sampler", None), "sampler", None),
    ):
        if sampler is not None and hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)
            return
