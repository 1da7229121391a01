"""Schedules that step once per update of their optimizer, as ``trainer.schedule_per_update`` asks.

MMEngine steps them per iteration, also while gradients accumulate. An update is a call of the
optimizer wrapper's ``step``; one that a loss scaler skips counts too, so that how many there are is
known before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

PER_UPDATE = "per_update"


class EpochOfUpdates(int):
    """The length of an epoch, whose multiples are the updates that so many epochs have.

    Accumulation goes on over the borders of epochs, so an epoch need not have a whole number of
    updates: of 10 iterations by fours, two epochs have 5. Multiples are rounded down, to the update
    that sees the border; those of the whole training count its last, shorter window too.

    Args:
        iterations: Iterations in an epoch.
        counts: Iterations of an update.
        total: Iterations of the training, after which the optimizer steps in any case; ``None`` if
            it does not.
    """

    def __new__(cls, iterations: int, counts: int, total: int | None) -> EpochOfUpdates:
        """Make the number, by itself the updates that one epoch has at most."""
        made = super().__new__(cls, -(-iterations // counts))
        made._of = (iterations, counts, total)
        return made

    _of: tuple[int, int, int | None]

    def __mul__(self, epochs: Any) -> int:
        iterations, counts, total = self._of
        return updates_in(iterations * epochs, counts, total)

    __rmul__ = __mul__


def updates_in(iterations: float, counts: int, total: int | None) -> int:
    """Return how many updates are made in the first iterations of a training.

    Args:
        iterations: How many.
        counts, total: As for :class:`EpochOfUpdates`.
    """
    if total is not None and iterations >= total:
        return int(-(-iterations // counts))
    return int(iterations // counts)


def in_updates(lengths: Mapping[str, int], wrapper: Any, *, alone: bool) -> Mapping[str, int]:
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
