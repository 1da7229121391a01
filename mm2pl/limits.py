"""Loaders that end early, for ``trainer = dict(limit_train_batches=..., overfit_batches=...)``."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from torch.utils.data import DataLoader, IterableDataset

from mm2pl.errors import ConfigError, ConfigTypeError


class FirstBatches:
    """The first batches that a sampler gives; everything else is the sampler's.

    Cut here, before data are read, a loader knows its new length and its workers read no more.

    Args:
        sampler: A batch sampler, or the sampler of a loader that does not batch.
        count: How many batches to give.
        same: Whether to give those of the first round in every round.
        endless: Whether to begin anew when they end; the length stays that of one round.

    Attributes:
        whole: The sampler.
    """

    def __init__(self, sampler: Any, count: int, same: bool = False, endless: bool = False) -> None:
        self.whole = sampler
        self._count = count
        self._same = same
        self._endless = endless
        self._first: list[Any] | None = None

    def __getattr__(self, name: str) -> Any:
        if name == "whole":  # while unpickling, in a spawned worker
            raise AttributeError(name)
        return getattr(self.whole, name)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Any]:
        if not self._same:
            return itertools.islice(iter(self.whole), self._count)
        if self._first is None:
            self._first = list(itertools.islice(iter(self.whole), self._count))
        return itertools.cycle(self._first) if self._endless else iter(self._first)


def shortened(loader: Any, amount: int | float, argument: str, **options: bool) -> DataLoader[Any]:
    """Return a loader that gives only the first batches.

    Args:
        loader: The loader, which is not changed.
        amount: How many batches, or as a float which share of them.
        argument: The Trainer's argument, for errors.
        options: ``same`` and ``endless`` of :class:`FirstBatches`.

    Raises:
        ConfigError: The loader's batches cannot be counted, or none is left.
    """
    place = f"trainer.{argument}"
    if not isinstance(loader, DataLoader) or isinstance(loader.dataset, IterableDataset):
        what = "a loader of an IterableDataset" if isinstance(loader, DataLoader) else repr(loader)
        raise ConfigTypeError(
            f"needs a DataLoader with a sampler, got {what}",
            key_path=place,
            hint="limit the dataset itself",
        )
    total = len(loader)
    count = int(total * amount) if isinstance(amount, float) else min(amount, total)
    if count < 1:
        raise ConfigError(
            f"{amount} of {total} batches is less than one", key_path=place, hint="give a number"
        )
    name = "sampler" if loader.batch_sampler is None else "batch_sampler"
    short = copy.copy(loader)
    # DataLoader forbids to set it from outside, where it would not be seen; this is before its use.
    short.__dict__[name] = FirstBatches(getattr(loader, name), count, **options)
    return short


def limit_of(stage: str, settings: Mapping[str, Any]) -> tuple[str, int | float] | None:
    """Return the Trainer's argument that limits a stage's data, and its value; None if none does.

    Args:
        stage: ``train``, ``val`` or ``test``.
        settings: The plan's ``runtime.trainer``.
    """
    if stage != "test" and "overfit_batches" in settings:
        return "overfit_batches", settings["overfit_batches"]
    name = f"limit_{stage}_batches"
    return (name, settings[name]) if name in settings else None
