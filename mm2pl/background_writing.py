"""Copies of values that nothing changes any more, and work done beside the training."""

from __future__ import annotations

import io
import pickle
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.storage import TypedStorage


class Pickled:
    """A value as :func:`torch.save` would write it: a pickle, and the storages of its tensors.

    What cannot be pickled is an error here, as it is when saving.

    Args:
        value: What to pickle.

    Attributes:
        text: The pickle, which names storages by their number.
        storages: The tensors' own memory, each once.
    """

    def __init__(self, value: Any) -> None:
        file = io.BytesIO()
        pickler = _Taking(file)
        pickler.dump(value)
        self.text = file.getvalue()
        self.storages = pickler.storages

    def equals(self, other: Pickled) -> bool:
        """Whether both hold the same, in the same memory or in other."""
        # Equal pickles name as many storages.
        return self.text == other.text and all(map(_alike, self.storages, other.storages))


class Snapshot:
    """What a value was when it was pickled, whatever becomes of it.

    The tensors' storages are copied to the CPU, each once: tensors that share one go on sharing
    it, and keep their class, strides and attributes.

    Args:
        pickled: What to copy.
        spare: Memory to copy to, such as an earlier snapshot's; the first touch of new memory
            takes longer than the copy.
    """

    def __init__(self, pickled: Pickled, spare: Sequence[torch.UntypedStorage] = ()) -> None:
        self._text = pickled.text
        unused: dict[int, list[torch.UntypedStorage]] = defaultdict(list)
        for storage in spare:
            unused[storage.nbytes()].append(storage)
        self.storages = [_copy(one, unused[one.nbytes()]) for one in pickled.storages]

    def value(self) -> Any:
        """Return the copy; there is one of each storage."""
        return _Giving(io.BytesIO(self._text), self.storages).load()


class _Taking(pickle.Pickler):
    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._numbers: dict[int, int] = {}
        self.storages: list[torch.UntypedStorage] = []

    def persistent_id(self, obj: Any) -> tuple[int, torch.dtype | None] | None:
        # Both kinds as torch.save tells them apart; typed.untyped() warns from torch 2.0 on.
        if isinstance(obj, TypedStorage):
            return self._number(obj._untyped_storage), obj.dtype
        if isinstance(obj, torch.UntypedStorage):
            return self._number(obj), None
        return None

    def _number(self, storage: torch.UntypedStorage) -> int:
        # Of no other one: it is kept in the list.
        key = storage._cdata
        if key not in self._numbers:
            self._numbers[key] = len(self.storages)
            self.storages.append(storage)
        return self._numbers[key]


class _Giving(pickle.Unpickler):
    """Reads what this very process has pickled."""

    def __init__(self, file: io.BytesIO, storages: Sequence[torch.UntypedStorage]) -> None:
        super().__init__(file)
        self._storages = storages

    def persistent_load(self, pid: Any) -> Any:
        number, dtype = pid
        storage = self._storages[number]
        if dtype is None:
            return storage
        typed: Any = TypedStorage  # torch does not say what it takes
        return typed(wrap_storage=storage, dtype=dtype, _internal=True)


def _copy(
    storage: torch.UntypedStorage, unused: list[torch.UntypedStorage]
) -> torch.UntypedStorage:
    size = storage.nbytes()
    copy = unused.pop() if unused else torch.empty(size, dtype=torch.uint8).untyped_storage()
    # From an accelerator too this ends when the bytes are here: it is no non-blocking copy.
    return copy.copy_(storage, False)


def _alike(one: torch.UntypedStorage, other: torch.UntypedStorage) -> bool:
    if one._cdata == other._cdata:
        return True
    first, second = (torch.empty(0, dtype=torch.uint8, device=s.device) for s in (one, other))
    return torch.equal(first.set_(one), second.set_(other))


class Background:
    """Does one piece of work at a time in a thread of its own.

    What fails there is raised by the next call of any method here. A process that ends waits.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether work is under way."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, steps: Sequence[Callable[[], Any]]) -> None:
        """Do one step after the other, once earlier work has ended."""
        self.wait()
        _STARTED.add(self)
        self._thread = threading.Thread(target=self._do, args=(steps,), name="mm2pl-checkpoint")
        self._thread.start()

    def _do(self, steps: Sequence[Callable[[], Any]]) -> None:
        try:
            for step in steps:
                step()
        # It is raised in the training's thread.
        except BaseException as error:
            self._error = error

    def check(self) -> None:
        """Raise what has failed; does not wait."""
        if self._thread is not None and not self._thread.is_alive():
            self.wait()

    def wait(self) -> None:
        """Wait until nothing is under way, and raise what has failed."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error


_STARTED: weakref.WeakSet[Background] = weakref.WeakSet()


def finish_all() -> None:
    """Wait for whatever is under way in this process, as who reads files that are written must."""
    for one in list(_STARTED):
        one.wait()
