"""Data workers live on when a scheduler takes the node away, until the run has saved itself."""

from __future__ import annotations

import ctypes
import signal
import sys


def outlive_one_sigterm() -> None:
    """Let this process ignore the next SIGTERM, and die of the one after it.

    A scheduler may send it to the workers too, which the run still needs to save itself. Not by
    :func:`signal.signal`, whose handlers wait for the interpreter: a worker that hangs in native
    code must stay one that can be ended.
    """
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    one_shot = getattr(libc, "sysv_signal", None)
    if one_shot is None:
        return
    one_shot.argtypes, one_shot.restype = (ctypes.c_int, ctypes.c_void_p), ctypes.c_void_p
    # Any function that does nothing and is safe in a handler.
    one_shot(signal.SIGTERM, ctypes.cast(libc.getpid, ctypes.c_void_p))  # type: ignore[union-attr]
