"""What runs in the worker processes of a training loader, and how they are asked for their states.

Random states come with each batch, being small. What dataset and transforms keep may be large (a
mosaic's cache): each worker keeps copies of it as it was after its last few batches, for it reads
ahead, and is asked for one of them when a checkpoint is saved. A dataset without indices sends it
with each batch: its workers end when they have no more, before their last batches are trained on.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import Any, NamedTuple

import numpy as np
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from mm2pl.resume import own_states, random_states
from mm2pl.resume.random_states import States
from mm2pl.resume.sigterm import OutliveOneSigterm

_PATIENCE = 60.0


class Carried(NamedTuple):
    """A batch from a worker, with what it left behind there.

    Attributes:
        batch: The batch.
        worker: The worker's id.
        number: Which of the worker's batches it is.
        states: Random states; None if they are as after the worker's batch before.
        changed: What dataset and transforms were found to keep without telling it.
        ended: Whether a dataset without indices has no more for this worker.
        own: What such a dataset and its transforms keep, pickled; a text says why it cannot be.
    """

    batch: Any
    worker: int
    number: int
    states: States | None
    changed: tuple[str, ...]
    ended: bool
    own: bytes | str | None


class Carrying:
    """Collates in a worker, and adds to the batch what :class:`Carried` holds.

    Args:
        loader: The loader.
        resumed: Whether empty batches stand for skipped ones.
        channel: By which the workers are asked for what dataset and transforms keep.
    """

    def __init__(self, loader: DataLoader[Any], resumed: bool, channel: Channel | None) -> None:
        self._collate: Callable[[Any], Any] = loader.collate_fn
        self._resumed = resumed
        self._streams = isinstance(loader.dataset, IterableDataset)
        self._batch_size = loader.batch_size or 0
        self._theirs = None if channel is None else channel.theirs
        self._kept = (loader.prefetch_factor or 0) + 2
        self._last: States | None = None
        self._number = 0
        self._ring: _Ring | None = None
        self._keepers: dict[str, own_states.Keeper] = {}
        self._watch: own_states.Watch | None = None
        self.ended = False

    def __call__(self, samples: Any) -> Any:
        info = get_worker_info()
        if self._resumed and _is_void(samples):
            return None  # stands for a skipped batch
        batch = self._collate(samples)
        self.ended = self._streams and isinstance(samples, list) and len(samples) < self._batch_size
        if info is None:
            return batch
        self._number += 1
        if self._watch is None:
            self._watch = own_states.Watch(info.dataset)
            if self._streams:
                self._keepers = own_states.keepers(dataset=info.dataset)
            elif self._theirs is not None:
                self._ring = _Ring(info.dataset, self._kept, self._theirs[info.id])
        changed = self._watch.end()
        self._watch.begin()
        if self._ring is not None:
            self._ring.note(self._number)
        states = random_states.take(cuda=False)
        news, self._last = None if states == self._last else states, states
        own = _pickled(self._keepers) if self._keepers else None
        return Carried(batch, info.id, self._number, news, changed, self.ended, own)


def _pickled(keepers: dict[str, own_states.Keeper]) -> bytes | str:
    try:
        return pickle.dumps({path: keeper.get() for path, keeper in keepers.items()})
    # The state is whatever the user's class returns.
    except Exception as error:
        return f"{type(error).__name__}: {error}"


class _Void:
    """Stands for a sample of a batch that is left out."""


def _is_void(samples: Any) -> bool:
    first = samples[0] if isinstance(samples, list) and samples else samples
    return isinstance(first, _Void) or (isinstance(samples, list) and not samples)


class _Ring:
    """The last few states of what a worker's dataset and transforms keep, and who asks for them."""

    def __init__(self, dataset: Any, size: int, connection: Connection) -> None:
        self._keepers = own_states.keepers(dataset=dataset)
        self._size = size
        self._kept: dict[int, _Packed | str] = {}
        self._connection = connection
        threading.Thread(target=self._answer, daemon=True, name="mm2pl-states").start()

    def note(self, number: int) -> None:
        """Keep the states as they are after a batch."""
        before = self._kept.get(number - 1)
        try:
            states = {path: keeper.get() for path, keeper in self._keepers.items()}
            found: _Packed | str = _Packed(states, before if isinstance(before, _Packed) else None)
        # The state is whatever the user's class returns.
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        self._kept[number] = found
        self._kept.pop(number - self._size, None)

    def _answer(self) -> None:
        while True:
            try:
                number = self._connection.recv()
                found = self._kept.get(number, "its states are not there any more")
                if isinstance(found, str):
                    self._connection.send(found)
                    continue
                self._connection.send((found.head, len(found.arrays)))
                for array in found.arrays:
                    self._connection.send_bytes(array)
            except (EOFError, OSError):
                return  # the training is over


class _Packed:
    """A pickle, whose arrays are shared with the pickle before where they are equal."""

    def __init__(self, states: Any, before: _Packed | None) -> None:
        buffers: list[pickle.PickleBuffer] = []
        self.head = pickle.dumps(states, protocol=5, buffer_callback=buffers.append)
        known = {} if before is None else before._by_place
        self._by_place: dict[tuple[int, int], Any] = {}
        self.arrays = []
        for buffer in buffers:
            raw = buffer.raw()
            # In words it takes half the time.
            now = np.frombuffer(raw, dtype=np.uint8 if raw.nbytes % 8 else np.uint64)
            place = (now.ctypes.data, now.nbytes)
            was = known.get(place)
            same = was is not None and np.array_equal(was, now)
            kept: Any = was if same else now.copy()
            self._by_place[place] = kept
            self.arrays.append(kept)


class Channel:
    """Asks the workers of a loader for what their datasets and transforms keep.

    Args:
        workers: How many there are.
    """

    def __init__(self, workers: int) -> None:
        pairs = [Pipe() for _ in range(workers)]
        self._mine = [mine for mine, _ in pairs]
        self.theirs = [theirs for _, theirs in pairs]
        self._processes: list[Any] = []

    def started(self, processes: list[Any]) -> None:
        """Give the workers' ends out of hand, once they have them."""
        self._processes = processes
        for connection in self.theirs:
            connection.close()

    def ask(self, worker: int, number: int) -> own_states.States:
        """Return the states after one of the last batches of a worker.

        Raises:
            RuntimeError: The worker cannot tell.
        """
        connection = self._mine[worker]
        try:
            connection.send(number)
            # The end of the pipe is not seen: other workers may have inherited it.
            waited = wait([connection, self._processes[worker].sentinel], _PATIENCE)
            if connection not in waited and not connection.poll():
                connection.close()  # a late answer would be taken for the next
                raise RuntimeError("it has ended" if waited else "it does not answer")
            answer = connection.recv()
            if isinstance(answer, str):
                raise RuntimeError(answer)
            head, arrays = answer
            buffers = [bytearray(connection.recv_bytes()) for _ in range(arrays)]
        except (EOFError, OSError) as error:
            raise RuntimeError(f"it has ended ({error})") from error
        states: own_states.States = pickle.loads(head, buffers=buffers)
        return states


class Start:
    """Initializes a worker as ever, then lets it begin where it was.

    Args:
        loader: The loader.
        states: Random states of the workers.
        own: What datasets and transforms kept, by worker.
    """

    def __init__(
        self,
        loader: DataLoader[Any],
        states: dict[int, States],
        own: dict[int, own_states.States],
    ) -> None:
        self._init = OutliveOneSigterm(loader.worker_init_fn)
        self._states = states
        self._own = own

    def __call__(self, worker: int) -> None:
        info: Any = get_worker_info()
        if isinstance(info.dataset, Stream):
            # What the user's functions know; it is not meant to be set.
            object.__setattr__(info, "dataset", info.dataset.dataset)
        self._init(worker)
        if worker in self._own:
            own_states.give(own_states.keepers(dataset=info.dataset), self._own[worker])
        if worker in self._states:
            random_states.give(self._states[worker])


class Stream(IterableDataset[Any]):
    """Stands for a dataset without indices that goes on in the middle of a round.

    Args:
        dataset: The dataset.
        voids: By worker, how many samples make up a batch that stands for a skipped one.
        ended: Workers that have no more in this round.
    """

    def __init__(self, dataset: Any, voids: dict[int, int], ended: Sequence[int]) -> None:
        self.dataset = dataset
        self._voids = voids
        self.ended = ended
        self._first = True

    def __iter__(self) -> Iterator[Any]:
        first, self._first = self._first, False
        if not first:
            return iter(self.dataset)
        return self._rest()

    def _rest(self) -> Iterator[Any]:
        info = get_worker_info()
        worker = 0 if info is None else info.id
        if worker in self.ended:
            return
        yield from repeat(_Void(), self._voids.get(worker, 0))
        yield from self.dataset
