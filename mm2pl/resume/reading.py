"""Reads a training loader and knows the place, so that a resumed run goes on there.

Skipped batches are not read: only their indices are drawn. What worker processes have drawn at
random comes back from them with each batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from typing import Any, NamedTuple

import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from mm2pl.resume import random_states
from mm2pl.resume.random_states import States


@dataclass
class Place:
    """A place in the data.

    Attributes:
        given: Batches of this round that were trained on.
        round: Which round over the data it is, for a loop that counts iterations.
        opened: Random states when the round began; samplers may draw from them.
        created: Random states when the worker processes were made: their seeds come from these.
        workers: Random states of each worker after its last batch that was trained on.
        num_workers: How many workers there are.
        reused: Whether they are older than this round (``persistent_workers``).
        generators: States of the samplers' own generators when the round began.
        now: Random states to go on with; None keeps those at hand.
    """

    given: int = 0
    round: int = 0
    opened: States | None = None
    created: States | None = None
    workers: dict[int, States] = field(default_factory=dict)
    num_workers: int = 0
    reused: bool = False
    generators: list[Any] = field(default_factory=list)
    now: States | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return what a checkpoint holds of it."""
        plain: dict[str, Any] = random_states.to_plain(asdict(self))
        del plain["now"]
        return plain

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Place:
        """Undo :meth:`to_plain`."""
        return cls(**random_states.from_plain(plain))


@dataclass
class Resumed:
    """What a training loop takes up from a checkpoint.

    Attributes:
        place: The place in the data of a loop that counts iterations, if it is known.
        now: Random states to go on with, if they are known.
        pending: Whether a validation may have been due that was not begun.
        put: Puts back gradients, which Lightning clears when a run begins.
    """

    place: Place | None = None
    now: States | None = None
    pending: bool = False
    put: Callable[[], None] | None = None


class Carried(NamedTuple):
    """A batch from a worker, with the random states that it left behind there.

    Attributes:
        batch: The batch.
        worker: The worker's id.
        states: None if they are as after the worker's batch before.
    """

    batch: Any
    worker: int
    states: States | None


class _Carrying:
    """Collates in a worker, and adds the worker's random states to the batch."""

    def __init__(self, collate: Callable[[Any], Any], resumed: bool) -> None:
        self._collate = collate
        self._resumed = resumed
        self._last: States | None = None

    def __call__(self, samples: Any) -> Any:
        info = get_worker_info()
        if self._resumed and isinstance(samples, list) and not samples:
            return None  # stands for a skipped batch
        batch = self._collate(samples)
        if info is None:
            return batch
        states = random_states.take(cuda=False)
        changed, self._last = states != self._last, states
        return Carried(batch, info.id, states if changed else None)


class _StartAt:
    """Initializes a worker as ever, then puts its generators to where they were."""

    def __init__(self, init: Callable[[int], Any] | None, states: dict[int, States]) -> None:
        self._init = init
        self._states = states

    def __call__(self, worker: int) -> None:
        if self._init is not None:
            self._init(worker)
        if worker in self._states:
            random_states.give(self._states[worker])


class _Rest:
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


class Reading:
    """Reads a loader round by round.

    Attributes:
        place: Where it is; ``given`` is 0 between two rounds.
        skipped: Batches of this round that were not read, being trained on before.
        ahead: Where the next round is to begin, if not at its beginning.
    """

    def __init__(self) -> None:
        self.place = Place()
        self.skipped = 0
        self.ahead: Place | None = None

    def go_to(self, place: Place) -> None:
        """Let the next round begin there."""
        self.ahead = place
        self.skipped = place.given

    def batches(self, loader: Any, next_round: Callable[[], None] | None = None) -> Iterator[Any]:
        """Open the loader, and read it to the end of the round.

        Args:
            loader: The loader.
            next_round: Called where more is to be skipped than a round has.
        """
        return self._read(self._open(loader, next_round))

    def _read(self, batches: Iterator[Any]) -> Iterator[Any]:
        place = self.place
        if place.opened is None:
            # Here, not when it was opened: without workers samplers draw at the first batch.
            place.opened = random_states.take()
        try:
            for batch in batches:
                place.given += 1
                yield batch
        finally:
            if place is self.place:
                place.given = self.skipped = 0

    def _open(self, loader: Any, next_round: Callable[[], None] | None) -> Iterator[Any]:
        """Open the loader where the round is to begin; return what reads its batches."""
        ahead, self.ahead = self.ahead, None
        before, self.place = self.place, Place()
        if not is_plain(loader):
            return self._read_past(loader, ahead)
        if ahead is not None:
            _set_generators(loader, ahead.generators)
            if ahead.given or ahead.reused:
                return self._open_at(loader, ahead, next_round)
        place, workers = self.place, loader.num_workers
        place.num_workers = workers
        place.generators = generators_of(loader)
        if workers:
            place.created = place.opened = random_states.take()
            if _has_pool(loader):
                place.created, place.reused = before.created, True
        return _opened(loader, place.workers)

    def _read_past(self, loader: Any, ahead: Place | None) -> Iterator[Any]:
        """Read what was trained on once more, where indices cannot be told from data."""
        if ahead is not None and ahead.opened is not None:
            random_states.give(ahead.opened)
        self.place.opened = random_states.take()
        batches: Iterator[Any] = iter(loader)
        if ahead is not None:
            for _ in islice(batches, ahead.given):
                pass
            self.place.given = ahead.given
            if ahead.now is not None:
                random_states.give(ahead.now)
        return batches

    def _open_at(
        self, loader: DataLoader[Any], ahead: Place, next_round: Callable[[], None] | None
    ) -> Iterator[Any]:
        self.place = ahead
        workers, now = loader.num_workers, ahead.now
        if ahead.opened is None:
            ahead.opened = random_states.take()
        else:
            random_states.give(ahead.opened)
            if workers and not ahead.reused:
                draw_base_seed(loader)
        sampler = _index_sampler(loader)
        indices = _skip(sampler, ahead, next_round)
        if now is None:
            # Samplers may draw when they are first asked.
            indices = chain(list(islice(indices, 1)), indices)
            now = random_states.take()
        if ahead.created is not None:
            random_states.give(ahead.created)
        # Batch n of a round goes to worker n % workers: empty ones stand for those left out.
        voids: list[list[Any]] = [[]] * (ahead.given % workers if workers else 0)
        if ahead.num_workers != workers:
            ahead.workers = {}
        batches = _opened(loader, ahead.workers, _Rest(sampler, chain(voids, indices)))
        for _ in islice(batches, len(voids)):
            pass
        random_states.give(now)
        ahead.num_workers, ahead.now = workers, None
        return batches

    def state(self, loader: Any) -> Place:
        """Return the place, between two rounds what the next one needs to know.

        Args:
            loader: The loader.
        """
        place = self.place
        if place.given:
            return place
        if not is_plain(loader):
            return Place()
        between = Place(num_workers=loader.num_workers, generators=generators_of(loader))
        if loader.num_workers and _has_pool(loader):
            between.created, between.workers, between.reused = place.created, place.workers, True
        return between


def is_plain(loader: Any) -> bool:
    """Whether indices can be drawn apart from data."""
    return (
        isinstance(loader, DataLoader)
        and type(loader).__iter__ is DataLoader.__iter__
        and not isinstance(loader.dataset, IterableDataset)
        and (loader.batch_sampler is not None or not loader.num_workers)
    )


def _has_pool(loader: DataLoader[Any]) -> bool:
    """Whether the loader's workers are there already."""
    return loader.persistent_workers and getattr(loader, "_iterator", None) is not None


def _index_sampler(loader: DataLoader[Any]) -> Any:
    return loader.sampler if loader.batch_sampler is None else loader.batch_sampler


def _skip(sampler: Any, ahead: Place, next_round: Callable[[], None] | None) -> Iterator[Any]:
    """Draw the indices of what was trained on; return the rest of the round."""
    left = ahead.given
    while True:
        indices: Iterator[Any] = iter(sampler)
        found = sum(1 for _ in islice(indices, left))
        left -= found
        if not left or not found or next_round is None:
            return indices
        ahead.given = left
        next_round()


def draw_base_seed(loader: DataLoader[Any]) -> None:
    """Draw what a loader draws when it is opened."""
    torch.empty((), dtype=torch.int64).random_(generator=loader.generator)


def _generators(loader: DataLoader[Any]) -> list[torch.Generator]:
    """Return the generators that loader and samplers have of their own."""
    batch_sampler = loader.batch_sampler
    owners = [loader, loader.sampler, batch_sampler, getattr(batch_sampler, "sampler", None)]
    found = {
        id(value): value
        for owner in owners
        for value in getattr(owner, "__dict__", {}).values()
        if isinstance(value, torch.Generator)
    }
    return list(found.values())


def generators_of(loader: DataLoader[Any]) -> list[bytes]:
    """Return the states of the generators that loader and samplers have of their own."""
    return [one.get_state().numpy().tobytes() for one in _generators(loader)]


def _set_generators(loader: DataLoader[Any], states: list[bytes]) -> None:
    for generator, state in zip(_generators(loader), states, strict=False):
        generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


@functools.cache
def _telling(kind: Any) -> Any:
    """Return a loader's kind of iterator that gives plain batches and notes what came with them.

    Whoever else reads a loader whose workers stay is given the same iterator.
    """

    def following(self: Any) -> Any:
        batch = kind.__next__(self)
        if type(batch) is not Carried:
            return batch
        if batch.states is not None:
            self.random_states[batch.worker] = batch.states
        return batch.batch

    return type(kind.__name__, (kind,), {"__next__": following, "__module__": kind.__module__})


def _opened(
    loader: DataLoader[Any], states: dict[int, States], rest: _Rest | None = None
) -> Iterator[Any]:
    """Open a loader whose workers send their random states along.

    Args:
        loader: The loader; it is left as it was.
        states: Where the workers' generators are to begin; then where they are.
        rest: Takes the place of its sampler.
    """
    attributes = loader.__dict__
    changed: dict[str, Any] = {}
    if loader.num_workers:
        changed["collate_fn"] = _Carrying(loader.collate_fn, resumed=rest is not None)
        if states:
            changed["worker_init_fn"] = _StartAt(loader.worker_init_fn, states)
    if rest is not None:
        changed["sampler" if loader.batch_sampler is None else "batch_sampler"] = rest
    before = {name: attributes[name] for name in changed}
    # Past DataLoader.__setattr__, which forbids it: the iterator keeps what it finds here.
    attributes.update(changed)
    try:
        batches: Any = iter(loader)
    finally:
        attributes.update(before)
        if rest is not None:
            rest.rest = None
    if loader.num_workers:
        if not hasattr(batches, "random_states"):
            batches.__class__ = _telling(batches.__class__)
        else:
            states |= batches.random_states  # its workers are older than this round
        batches.random_states = states
    return batches  # type: ignore[no-any-return]
