"""Timers."""

from __future__ import annotations

import sys
from time import time
from typing import Any

from typing_extensions import Self


class TimerError(Exception):
    """A timer was read before it was started."""

    def __init__(self, message: str) -> None:
        self.message = message
        super().__init__(message)


class Timer:
    """Measures seconds since its start and since it was last read.

    As a context manager it prints the seconds that its block took.

    Args:
        start: Whether to start at once.
        print_tmpl: Template for what is printed, ``"{:.3f}"`` by default.
    """

    def __init__(self, start: bool = True, print_tmpl: str | None = None) -> None:
        self._is_running = False
        self.print_tmpl = print_tmpl or "{:.3f}"
        if start:
            self.start()

    @property
    def is_running(self) -> bool:
        """Whether the timer has been started."""
        return self._is_running

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: Any) -> None:
        sys.stdout.write(self.print_tmpl.format(self.since_last_check()) + "\n")
        self._is_running = False

    def start(self) -> None:
        """Start, or, if running already, count this as a reading."""
        now = time()
        if not self._is_running:
            self._t_start = now
            self._is_running = True
        self._t_last = now

    def since_start(self) -> float:
        """Return the seconds since the start."""
        self._read()
        return self._t_last - self._t_start

    def since_last_check(self) -> float:
        """Return the seconds since the start or the last reading, whichever came later."""
        return self._read()

    def _read(self) -> float:
        if not self._is_running:
            raise TimerError("timer is not running")
        last, self._t_last = self._t_last, time()
        return self._t_last - last


_g_timers: dict[Any, Timer] = {}


def check_time(timer_id: Any) -> float:
    """Return the seconds since the last call with this id, 0 at the first call."""
    if timer_id not in _g_timers:
        _g_timers[timer_id] = Timer()
        return 0
    return _g_timers[timer_id].since_last_check()
