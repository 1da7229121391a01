"""Reads a training loader and knows the place, so that a resumed run goes on there.

Skipped batches are not read: only their indices are drawn. What worker processes have drawn at
random comes back from them with each batch.
"""

from __future__ import annotations

import logging
import pickle
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from itertools import chain, islice
from typing import Any

import torch
from torch.utils.data import DataLoader

from mm2pl.mmengine.logging import print_log
from mm2pl.resume import own_states, random_states
from mm2pl.resume.in_workers import Stream
from mm2pl.resume.loaders import has_pool
from mm2pl.resume.opening import Rest, is_plain, is_stream, opened
from mm2pl.resume.random_states import States

_READ_AGAIN = (
    "The {} batches that come before in the data are read again: {} cannot tell where it is. With"
    " state_dict and load_state_dict it goes on without reading."
)


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
        samplers: What else samplers kept when the round began.
        own: What dataset and transforms keep, in each worker.
        loader: What a loader that tells its state says.
        last: The worker that the last batch came from, for a dataset without indices.
        ended: The workers that have no more for this round then.
        told: Whether such a dataset said where it is.
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
    samplers: own_states.States = field(default_factory=dict)
    own: dict[int, own_states.States] = field(default_factory=dict)
    loader: own_states.States = field(default_factory=dict)
    last: int | None = None
    ended: list[int] = field(default_factory=list)
    told: bool = False
    now: States | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return what a checkpoint holds of it."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        del values["now"]
        kept = {name: values.pop(name) for name in _KEPT}
        plain: dict[str, Any] = random_states.to_plain(values)
        return plain | kept

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Place:
        """Undo :meth:`to_plain`."""
        kept = {name: own_states.on_cpu(plain[name]) for name in _KEPT if name in plain}
        rest = {name: value for name, value in plain.items() if name not in _KEPT}
        return cls(**random_states.from_plain(rest), **kept)


_KEPT = ("samplers", "own", "loader")  # the user's values, which are not converted


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


class Reading:
    """Reads a loader round by round.

    Attributes:
        place: Where it is; ``given`` is 0 between two rounds.
        skipped: Batches of this round that were not read, being trained on before.
        ahead: Where the next round is to begin, if not at its beginning.
        reasons: Why runs that go on from here cannot be exact.
    """

    def __init__(self) -> None:
        self.place = Place()
        self.skipped = 0
        self.ahead: Place | None = None
        self.reasons: set[str] = set()
        # Weakly: whoever has the iterator decides how long the workers live.
        self._source: Callable[[], Any] = lambda: None
        self._watch: own_states.Watch | None = None

    def go_to(self, place: Place, loader: Any = None) -> None:
        """Let the next round begin there, to be called before samplers are told their round.

        Args:
            place: The place.
            loader: The loader, if its samplers are to be as they were.
        """
        if place.samplers and is_plain(loader):
            own_states.give(_samplers(loader), place.samplers)
        self.ahead = place
        self.skipped = place.given

    def batches(self, loader: Any, next_round: Callable[[], None] | None = None) -> Iterator[Any]:
        """Open the loader, and read it to the end of the round.

        Args:
            loader: The loader.
            next_round: Called where more is to be skipped than a round has.
        """
        return self._read(self._open(loader, next_round), loader)

    def _read(self, batches: Iterator[Any], loader: Any) -> Iterator[Any]:
        place = self.place
        if not getattr(loader, "num_workers", 1):
            batches = self._watched(batches, getattr(loader, "dataset", None))
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

    def _watched(self, batches: Iterator[Any], dataset: Any) -> Iterator[Any]:
        if self._watch is None:
            self._watch = own_states.Watch(dataset)
        for batch in batches:
            self.reasons.update(self._watch.end())
            yield batch
            self._watch.begin()

    def _open(self, loader: Any, next_round: Callable[[], None] | None) -> Iterator[Any]:
        """Open the loader where the round is to begin; return what reads its batches."""
        ahead, self.ahead = self.ahead, None
        before, self.place = self.place, Place()
        if not is_plain(loader) and not is_stream(loader):
            return self._read_past(loader, ahead)
        if ahead is not None:
            _set_generators(loader, ahead.generators)
            if ahead.given and not knows(loader, ahead):
                return self._read_past(loader, ahead)
            if ahead.given or ahead.reused:
                return self._open_at(loader, ahead, next_round)
        place, workers = self.place, loader.num_workers
        place.num_workers = workers
        place.generators = generators_of(loader)
        place.samplers = own_states.take(_samplers(loader), self.reasons)
        if workers:
            place.created = place.opened = random_states.take()
            if has_pool(loader):
                place.created, place.reused = before.created, True
        return self._opened(loader, place)

    def _opened(self, loader: Any, place: Place, stand: Any = None) -> Iterator[Any]:
        batches = opened(loader, place.workers, place.own, stand)
        self._source = weakref.ref(batches)
        return batches

    def _read_past(self, loader: Any, ahead: Place | None) -> Iterator[Any]:
        """Read what was trained on once more, where indices cannot be told from data."""
        if ahead is not None and ahead.opened is not None:
            random_states.give(ahead.opened)
        told = ahead is not None and ahead.loader and own_states.tells_state(loader)
        if ahead is not None and told:
            loader.load_state_dict(ahead.loader["loader"])
        self.place.opened = random_states.take()
        batches: Iterator[Any] = iter(loader)
        if ahead is not None:
            if not told and ahead.given:
                tell_read_again(loader, ahead.given)
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
        stand: Rest | Stream
        if is_stream(loader):
            stand, voids = _stream(loader, ahead)
        else:
            sampler = _index_sampler(loader)
            indices = _skip(sampler, ahead, next_round)
            if now is None:
                # Samplers may draw when they are first asked.
                indices = chain(list(islice(indices, 1)), indices)
            # Batch n of a round goes to worker n % workers: empty ones stand for those left out.
            voids = ahead.given % workers if workers else 0
            stand = Rest(sampler, chain([[]] * voids, indices))
        if now is None:
            now = random_states.take()
        if ahead.created is not None:
            random_states.give(ahead.created)
        if ahead.num_workers != workers:
            ahead.workers, ahead.own = {}, {}
        batches = self._opened(loader, ahead, stand)
        for _ in islice(batches, voids):
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
            self._ask(loader, place)
            return place
        if not is_plain(loader) and not is_stream(loader):
            return Place()
        between = Place(num_workers=loader.num_workers, generators=generators_of(loader))
        between.samplers = own_states.take(_samplers(loader), self.reasons)
        if loader.num_workers and has_pool(loader):
            self._ask(loader, place)
            between.created, between.workers, between.reused = place.created, place.workers, True
            between.own = place.own
        return between

    def _ask(self, loader: Any, place: Place) -> None:
        """Ask workers, or a loader that can tell, for what was trained on last."""
        source = self._source()
        carrying = getattr(source, "carrying", None)
        if carrying is None:
            if own_states.tells_state(loader):
                found = own_states.keepers(loader=loader)
                place.loader = own_states.take({"loader": found["loader"]}, self.reasons)
            return
        if not loader.num_workers:
            place.ended = [0] if carrying.ended else []
            return
        self.reasons |= source.changed
        place.last, place.ended = source.last, sorted(source.ended)
        found = own_states.keepers(dataset=loader.dataset)
        names = {path: keeper.name for path, keeper in found.items()}
        for worker, number in source.numbers.items():
            place.own.pop(worker, None)
            try:
                states = _told(source, worker, number)
            except RuntimeError as error:
                self.reasons.add(f"worker {worker} of the dataset cannot tell its state: {error}")
            else:
                place.own[worker] = own_states.only_plain(states, names, self.reasons)
        place.told = all("dataset" in place.own.get(worker, ()) for worker in source.numbers)


def _told(source: Any, worker: int, number: int) -> own_states.States:
    """Return what a worker's dataset and transforms kept after one of its batches."""
    packed = source.packed.get(worker)
    if isinstance(packed, str):
        raise RuntimeError(packed)
    if packed is not None:
        states: own_states.States = pickle.loads(packed)
        return states
    return {} if source.channel is None else source.channel.ask(worker, number)


def knows(loader: Any, place: Place) -> bool:
    """Whether a loader can go on at a place within a round without reading what comes before."""
    if is_plain(loader):
        return True
    return is_stream(loader) and place.told and place.num_workers == loader.num_workers


def _stream(loader: DataLoader[Any], ahead: Place) -> tuple[Stream, int]:
    """Return what stands for a dataset without indices, and how many batches of it to leave out.

    Workers take turns, beginning with the first, and those without data are left out.
    """
    after = 0 if ahead.last is None else (ahead.last + 1) % loader.num_workers
    waiting = [worker for worker in range(after) if worker not in ahead.ended]
    samples = loader.batch_size or 1
    stream = Stream(loader.dataset, dict.fromkeys(waiting, samples), ahead.ended)
    return stream, len(waiting)


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


def tell_read_again(loader: Any, count: int) -> None:
    """Say that batches are read which the run was trained on, and why."""
    who = type(getattr(loader, "dataset", loader)).__name__
    print_log(_READ_AGAIN.format(count, who), logger="current", level=logging.WARNING)


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


def _samplers(loader: DataLoader[Any]) -> dict[str, own_states.Keeper]:
    """Return what samplers keep beyond torch's generators; the dataset is not theirs."""
    below = own_states.keepers(dataset=loader.dataset)
    roots = {"sampler": loader.sampler, "batch_sampler": loader.batch_sampler}
    found = own_states.keepers(dataset=loader.dataset, **roots)
    return {path: keeper for path, keeper in found.items() if path not in below}


def generators_of(loader: DataLoader[Any]) -> list[bytes]:
    """Return the states of the generators that loader and samplers have of their own."""
    return [one.get_state().numpy().tobytes() for one in _generators(loader)]


def _set_generators(loader: DataLoader[Any], states: list[bytes]) -> None:
    for generator, state in zip(_generators(loader), states, strict=False):
        generator.set_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))
