"""Data workers live on when a scheduler takes the node away, until the run has saved itself."""

from __future__ import annotations

import ctypes
import signal
import sys
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from torch.utils.data._utils import signal_handling

from mm2pl.resume.loaders import has_pool, is_torchs, opening_with


class OutliveOneSigterm:
    """Initializes a data worker, and lets it ignore the next SIGTERM and die of the one after it.

    A scheduler may send it to the workers too, which the run still needs to save itself. Who opens
    a loader with this must call :func:`end_by_kill`: torch's and Python's ways to end a worker are
    one SIGTERM, and a wait for it without end.

    Args:
        init: The loader's own ``worker_init_fn``.
    """

    def __init__(self, init: Callable[[int], Any] | None) -> None:
        self._init = init

    def __call__(self, worker: int) -> None:
        before = signal.getsignal(signal.SIGTERM)  # the run's, in a fork
        if self._init is not None:
            self._init(worker)
        if signal.getsignal(signal.SIGTERM) == before:  # no handler of the user's
            _outlive_one_sigterm()


def _outlive_one_sigterm() -> None:
    # Not by signal.signal, whose handlers wait for the interpreter: a worker that hangs in native
    # code must stay one that can be ended.
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    one_shot = getattr(libc, "sysv_signal", None)
    if one_shot is None:
        return
    one_shot.argtypes, one_shot.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    # Any function that does nothing and is safe in a handler.
    one_shot(signal.SIGTERM, ctypes.cast(libc.getpid, ctypes.c_void_p))  # type: ignore[union-attr]


def end_by_kill(batches: Any) -> None:
    """Let the workers of an open loader die where this process ends them, of whatever they ignore.

    Args:
        batches: torch's iterator over a loader with workers.
    """
    if sys.platform == "linux":
        for worker in batches._workers:
            popen = worker._popen
            popen.terminate = partial(_kill, weakref.ref(batches), weakref.ref(popen))


def _kill(batches: weakref.ref[Any], popen: weakref.ref[Any]) -> None:
    opened, process = batches(), popen()
    if opened is not None and opened._worker_pids_set:
        # Else torch takes it for a worker that failed.
        signal_handling._remove_worker_pids(id(opened))  # type: ignore[attr-defined]
        opened._worker_pids_set = False
    if process is not None:
        process.kill()


def sheltered(loader: Any) -> Iterator[Any]:
    """Open a loader whose workers outlive one SIGTERM.

    Args:
        loader: The loader; it is left as it was.
    """
    if not is_torchs(loader) or not loader.num_workers or has_pool(loader):
        return iter(loader)
    with opening_with(loader, worker_init_fn=OutliveOneSigterm(loader.worker_init_fn)):
        batches: Iterator[Any] = iter(loader)
    end_by_kill(batches)
    return batches
