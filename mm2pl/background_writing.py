"""Copies of values that nothing changes any more, and work done beside the training."""

from __future__ import annotations

import io
import pickle
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.storage import TypedStorage


class Snapshot:
    """What a value is at this moment, as :func:`torch.save` would write it.

    A pickle that is made now holds everything but the tensors' storages, which are copied to the
    CPU, each once: tensors that share one go on sharing it, and keep their class, strides and
    attributes. What cannot be pickled is an error here, as it is when saving.

    Args:
        value: What to copy.
        spare: Memory to copy to, such as an earlier snapshot's; the first touch of new memory
            takes longer than the copy.
    """

    def __init__(self, value: Any, spare: Sequence[torch.UntypedStorage] = ()) -> None:
        self._pickled = io.BytesIO()
        pickler = _Taking(self._pickled, spare)
        pickler.dump(value)
        self.storages = pickler.finish()

    def value(self) -> Any:
        """Return the copy; there is one of each storage."""
        self._pickled.seek(0)
        return _Giving(self._pickled, self.storages).load()


class _Taking(pickle.Pickler):
    def __init__(self, file: io.BytesIO, spare: Sequence[torch.UntypedStorage]) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._spare: dict[int, list[torch.UntypedStorage]] = defaultdict(list)
        for storage in spare:
            self._spare[storage.nbytes()].append(storage)
        # With the storage itself: the number is another's once it is gone.
        self._numbers: dict[int, tuple[int, torch.UntypedStorage]] = {}
        self._copies: list[torch.UntypedStorage] = []

    def persistent_id(self, obj: Any) -> tuple[int, torch.dtype | None] | None:
        # Both kinds as torch.save tells them apart; typed.untyped() warns from torch 2.0 on.
        if isinstance(obj, TypedStorage):
            return self._number(obj._untyped_storage), obj.dtype
        if isinstance(obj, torch.UntypedStorage):
            return self._number(obj), None
        return None

    def _number(self, storage: torch.UntypedStorage) -> int:
        key = storage._cdata
        if key not in self._numbers:
            self._numbers[key] = (len(self._copies), storage)
            self._copies.append(self._copy(storage))
        return self._numbers[key][0]

    def _copy(self, storage: torch.UntypedStorage) -> torch.UntypedStorage:
        same_size = self._spare[storage.nbytes()]
        copy = same_size.pop() if same_size else _new(storage.nbytes())
        # From an accelerator too this ends when the bytes are here: it is no non-blocking copy.
        return copy.copy_(storage, False)

    def finish(self) -> list[torch.UntypedStorage]:
        """Return the copies, by number."""
        return self._copies


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


def _new(size: int) -> torch.UntypedStorage:
    return torch.empty(size, dtype=torch.uint8).untyped_storage()


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
