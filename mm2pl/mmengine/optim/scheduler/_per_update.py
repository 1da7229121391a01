"""Schedules that step once per update of their optimizer, as ``trainer.schedule_per_update`` asks.

MMEngine steps them per iteration, also while gradients accumulate. An update is a call of the
optimizer wrapper's ``step``; one that a loss scaler skips counts too, so that how many there are is
known before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import total_ordering
from typing import Any

PER_UPDATE = "per_update"


@total_ordering
@dataclass(frozen=True)
class EpochOfUpdates:
    """The length of an epoch, whose multiples are the updates that so many epochs have.

    Accumulation goes on over the borders of epochs, so an epoch need not have a whole number of
    updates: of 10 iterations by fours, two epochs have 5. Multiples are rounded down, to the update
    that sees the border; those of the whole training count its last, shorter window too.

    It is no ``int``, since a float of epochs times one would not ask it.

    Attributes:
        iterations: Iterations in an epoch.
        counts: Iterations of an update.
        total: Iterations of the training, after which the optimizer steps in any case; ``None`` if
            it does not.
    """

    iterations: int
    counts: int
    total: int | None

    def __mul__(self, epochs: float) -> int:
        return updates_in(self.iterations * epochs, self.counts, self.total)

    __rmul__ = __mul__

    def __int__(self) -> int:
        return -(-self.iterations // self.counts)

    def __lt__(self, other: float) -> bool:
        return int(self) < other


def updates_in(iterations: float, counts: int, total: int | None) -> int:
    """Return how many updates are made in the first iterations of a training.

    Args:
        iterations: How many.
        counts, total: As for :class:`EpochOfUpdates`.
    """
    if total is not None and iterations >= total:
        return int(-(-iterations // counts))
    return int(iterations // counts)


def in_updates(lengths: Mapping[str, Any], wrapper: Any, *, alone: bool) -> Mapping[str, Any]:
    """Return the lengths of a training, counted in updates.

    Args:
        lengths: ``epoch_length`` and, where known, ``max_iters``, in iterations.
        wrapper: The optimizer wrapper, which makes one backward pass per iteration.
        alone: Whether it is the only one; of several none steps at the end of an unfinished window.
    """
    counts: int = getattr(wrapper, "_accumulative_counts", 1)
    total = lengths.get("max_iters") if alone else None
    known = dict(lengths)
    if "max_iters" in known:
        known["max_iters"] = max(1, updates_in(known["max_iters"], counts, total))
    if "epoch_length" in known:
        known["epoch_length"] = EpochOfUpdates(known["epoch_length"], counts, total)
    return known


def step_per_update(schedulers: Iterable[Any]) -> None:
    """Step each schedule as often as its optimizer did since the last call."""
    schedulers = list(schedulers)
    for scheduler in schedulers:
        for _ in range(scheduler.optimizer._updates_due):
            scheduler.step()
    for scheduler in schedulers:
        scheduler.optimizer._updates_due = 0
