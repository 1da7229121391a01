"""The end of a process that has worked with others over gloo.

A thread of gloo's lets go of a collective's tensors only after the caller has gone on, and needs
Python's lock for it. If the interpreter is being torn down by then, Python before 3.14 ends the
thread within a C++ destructor, and the process aborts: "terminate called without an active
exception" (torch 2.13, in plain torch as well; closing the groups does not help, as a wrapped model
holds them).
"""

from __future__ import annotations

import atexit
import functools
import time
from pathlib import Path

_PAUSE, _PAUSES, _LONGEST = 0.01, 5, 2.0
_TASKS = Path("/proc/self/task")


@functools.cache
def end_after_gloo() -> None:
    """See to it that this process, when it exits, waits for gloo's threads to have let go.

    Functions given to :mod:`atexit` later run before that.
    """
    atexit.register(_let_go)


def _let_go() -> None:
    """Leave Python's lock to the others until gloo's threads have been asleep for some pauses.

    One that waits for another process is asleep too, so nothing holds up the exit.
    """
    end = time.monotonic() + _LONGEST
    quiet = 0
    while quiet < _PAUSES and time.monotonic() < end:
        time.sleep(_PAUSE)
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
