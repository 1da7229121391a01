"""Forks and the end of a process that has worked with others over gloo.

A thread of gloo's lets go of a collective's tensors only after the caller has gone on, and takes
Python's locks for it. Two things go wrong then, in plain torch as well (2.13):

- If the interpreter is being torn down, Python before 3.14 ends the thread within a C++ destructor,
  and the process aborts: "terminate called without an active exception". Closing the groups does
  not help, as a wrapped model holds them.
- If the process forks at that moment, such as for data workers, the child finds a lock of the
  interpreter's taken for ever (Python 3.11, ``_PyThreadState_DeleteExcept``), and the run hangs.
"""

from __future__ import annotations

import atexit
import functools
import os
import time
from pathlib import Path

_PAUSES, _LONGEST = 5, 2.0
_AT_EXIT, _AT_FORK = 0.01, 0.002  # seconds of a pause
_TASKS = Path("/proc/self/task")


@functools.cache
def wait_for_gloo() -> None:
    """See to it that this process waits for gloo's threads before it forks and when it exits.

    Functions given to :mod:`atexit` later run before that.
    """
    atexit.register(_let_go, _AT_EXIT)
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=functools.partial(_let_go, _AT_FORK))


def _let_go(pause: float) -> None:
    """Leave Python's lock to the others until gloo's threads have been asleep for some pauses.

    One that waits for another process is asleep too, so nothing holds up the process.

    Args:
        pause: In seconds.
    """
    end = time.monotonic() + _LONGEST
    quiet = 0
    while quiet < _PAUSES and time.monotonic() < end:
        time.sleep(pause)
        quiet = 0 if _gloo_is_awake() else quiet + 1


def _gloo_is_awake() -> bool:
    """Return whether a thread of gloo's runs or is to run; ``False`` where that is not known."""
    for task in _TASKS.glob("*/stat"):
        try:
            told = task.read_text()
        except OSError:  # the thread has ended
            continue
        name, _, rest = told.rpartition(") ")
        if "gloo" in name and not rest.startswith("S"):
            return True
    return False
