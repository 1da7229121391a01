"""Times blocks of code."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import torch

from mm2pl.mmengine.device import is_cuda_available, is_musa_available
from mm2pl.mmengine.dist import is_main_process
from mm2pl.mmengine.logging import MMLogger, print_log

P = ParamSpec("P")
R = TypeVar("R")


class TimeCounter:
    """Logs the average time of a function (as a decorator) or of a block (in ``with``).

    Counters of one ``tag`` are one object. Only the main process counts.

    Args:
        log_interval: Log at every so many runs.
        warmup_interval: The run from which on times count, at least 1.
        with_sync: Whether to wait for the device before reading the clock.
        tag: Name in the log; the function's by default, needed in ``with``.
        logger: Where to log; standard output if ``None``.
    """

    instance_dict: dict[str | None, TimeCounter] = {}

    log_interval: int
    warmup_interval: int
    with_sync: bool
    tag: str | None
    logger: MMLogger | None
    _count: int
    _seconds: float
    _started: float

    def __new__(
        cls,
        log_interval: int = 1,
        warmup_interval: int = 1,
        with_sync: bool = True,
        tag: str | None = None,
        logger: MMLogger | None = None,
    ) -> TimeCounter:
        if warmup_interval < 1:
            raise AssertionError(f"warmup_interval should be 1 at least, not {warmup_interval}")
        if tag is not None and tag in cls.instance_dict:
            return cls.instance_dict[tag]
        counter = cls.instance_dict[tag] = super().__new__(cls)
        counter.log_interval = log_interval
        counter.warmup_interval = warmup_interval
        counter.with_sync = with_sync
        counter.tag = tag
        counter.logger = logger
        counter._count = 0
        counter._seconds = 0.0
        return counter

    def __call__(self, fn: Callable[P, R]) -> Callable[P, R]:
        """Return ``fn`` with its runs timed.

        Differs: processes other than the main one get ``fn`` itself; MMEngine gives them ``None``.
        """
        if not is_main_process():
            return fn
        if self.tag is None:
            self.tag = fn.__name__

        @functools.wraps(fn)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            self._count += 1
            started = self._now()
            result = fn(*args, **kwargs)
            self.print_time(self._now() - started)
            return result

        return wrapper

    def __enter__(self) -> None:
        if is_main_process():
            if self.tag is None:
                raise AssertionError(
                    "In order to clearly distinguish printing information in different contexts, "
                    "please specify the tag parameter"
                )
            self._count += 1
            self._started = self._now()

    def __exit__(self, *exc_info: Any) -> None:
        if is_main_process():
            self.print_time(self._now() - self._started)

    def _now(self) -> float:
        if self.with_sync:
            if is_cuda_available():
                torch.cuda.synchronize()
            elif is_musa_available():
                getattr(torch, "musa").synchronize()  # noqa: B009 (torch_musa adds it)
        return time.perf_counter()

    def print_time(self, elapsed: float) -> None:
        """Add the seconds of one run, and log the average when it is time to."""
        if self._count < self.warmup_interval:
            return
        self._seconds += elapsed
        if self._count % self.log_interval == 0:
            average = 1000 * self._seconds / (self._count - self.warmup_interval + 1)
            print_log(
                f"[{self.tag}]-time per run averaged in the past {self._count} runs: "
                f"{average:.1f} ms",
                self.logger,
            )
