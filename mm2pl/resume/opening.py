"""Opens a training loader whose workers send along what belongs to their states."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader, IterableDataset

from mm2pl.resume import own_states
from mm2pl.resume.in_workers import Carried, Carrying, Channel, Start, Stream
from mm2pl.resume.loaders import has_pool, is_torchs, opening_with
from mm2pl.resume.random_states import States
from mm2pl.resume.sigterm import end_by_kill


class Rest:
    """Stands for a sampler while a loader opens: its first round is what is left of it."""

    def __init__(self, sampler: Any, rest: Iterator[Any]) -> None:
        self._sampler = sampler
        self.rest: Iterator[Any] | None = rest

    def __iter__(self) -> Iterator[Any]:
        return iter(self._sampler) if self.rest is None else self.rest

    def __len__(self) -> int:
        return len(self._sampler)

    def __getattr__(self, name: str) -> Any:
        if name == "_sampler":
            raise AttributeError(name)
        return getattr(self._sampler, name)


def is_plain(loader: Any) -> bool:
    """Whether indices can be drawn apart from data."""
    return (
        is_torchs(loader)
        and not isinstance(loader.dataset, IterableDataset)
        and (loader.batch_sampler is not None or not loader.num_workers)
    )


def is_stream(loader: Any) -> bool:
    """Whether the dataset has no indices, but can tell where it is."""
    return (
        is_torchs(loader)
        and isinstance(loader.dataset, IterableDataset)
        and own_states.tells_state(loader.dataset)
    )


@functools.cache
def _telling(kind: Any) -> Any:
    """Return a loader's kind of iterator that gives plain batches and notes what came with them.

    Whoever else reads a loader whose workers stay is given the same iterator.
    """

    def following(self: Any) -> Any:
        batch = kind.__next__(self)
        if type(batch) is not Carried:
            return batch
        self.last = worker = batch.worker
        self.numbers[worker] = batch.number
        self.changed.update(batch.changed)
        if batch.ended:
            self.ended.add(worker)
        if batch.own is not None:
            self.packed[worker] = batch.own
        if batch.states is not None:
            self.random_states[worker] = batch.states
        return batch.batch

    return type(kind.__name__, (kind,), {"__next__": following, "__module__": kind.__module__})


def opened(
    loader: DataLoader[Any],
    states: dict[int, States],
    own: dict[int, own_states.States],
    stand: Rest | Stream | None = None,
) -> Iterator[Any]:
    """Open a loader whose workers send their random states along.

    Args:
        loader: The loader; it is left as it was.
        states: Where the workers' generators are to begin; then where they are.
        own: What dataset and transforms are to begin with in the workers.
        stand: Takes the place of its sampler, or of its dataset.
    """
    workers = loader.num_workers
    new = bool(workers) and not has_pool(loader)
    streams = isinstance(loader.dataset, IterableDataset)
    keeps = new and not streams and own_states.keepers(dataset=loader.dataset)
    channel = Channel(workers) if keeps else None
    carrying = Carrying(loader, stand is not None, channel)
    changed: dict[str, Any] = {}
    if workers or streams:
        changed["collate_fn"] = carrying
    if new:
        changed["worker_init_fn"] = Start(loader, states, own)
    if isinstance(stand, Rest):
        changed["sampler" if loader.batch_sampler is None else "batch_sampler"] = stand
    elif stand is not None:
        changed["dataset"] = stand
    try:
        with opening_with(loader, **changed):
            batches: Any = iter(loader)
    finally:
        if isinstance(stand, Rest):
            stand.rest = None
    if workers and not hasattr(batches, "random_states"):
        batches.__class__ = _telling(batches.__class__)
        batches.channel, batches.numbers, batches.changed = channel, {}, set[str]()
        batches.packed = {}
        end_by_kill(batches)
        if channel is not None:
            channel.started(batches._workers)
    elif workers:
        states |= batches.random_states  # its workers are older than this round
        own |= batches.own
    if not hasattr(batches, "carrying"):
        batches.carrying = carrying
    batches.last, batches.ended = None, set(stand.ended if isinstance(stand, Stream) else ())
    batches.random_states, batches.own = states, own
    return batches  # type: ignore[no-any-return]
