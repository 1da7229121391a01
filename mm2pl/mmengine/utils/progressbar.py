"""Progress bars in plain text."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from multiprocessing import Pool
from multiprocessing.pool import Pool as PoolType
from shutil import get_terminal_size
from typing import Any, TextIO

from mm2pl.mmengine.utils.timer import Timer


class ProgressBar:
    """Prints how many of a number of tasks are done, their rate and the time left.

    Args:
        task_num: Number of tasks; 0 if unknown, then without a bar.
        bar_width: Width in characters; a narrow terminal makes it narrower.
        start: Whether to print the empty bar at once.
        file: Where to write, the current ``sys.stdout`` by default.
    """

    def __init__(
        self,
        task_num: int = 0,
        bar_width: int = 50,
        start: bool = True,
        file: TextIO | None = None,
    ) -> None:
        self.task_num = task_num
        self.bar_width = bar_width
        self.completed = 0
        self.file = sys.stdout if file is None else file
        if start:
            self.start()

    @property
    def terminal_width(self) -> int:
        """Columns of the terminal."""
        return get_terminal_size().columns

    def start(self) -> None:
        """Print the empty bar and start the clock."""
        if self.task_num > 0:
            self.file.write(f"[{' ' * self.bar_width}] 0/{self.task_num}, elapsed: 0s, ETA:")
        else:
            self.file.write("completed: 0, elapsed: 0s")
        self.file.flush()
        self.timer = Timer()

    def update(self, num_tasks: int = 1) -> None:
        """Count ``num_tasks`` more as done and print the bar anew."""
        if num_tasks <= 0:
            raise AssertionError(f"num_tasks should be positive, but got {num_tasks}")
        self.completed += num_tasks
        elapsed = self.timer.since_start()
        fps = self.completed / elapsed if elapsed > 0 else float("inf")
        seconds = int(elapsed + 0.5)
        if self.task_num > 0:
            share = self.completed / self.task_num
            eta = int(elapsed * (1 - share) / share + 0.5)
            text = (
                f"] {self.completed}/{self.task_num}, {fps:.1f} task/s, "
                f"elapsed: {seconds}s, ETA: {eta:5}s"
            )
            self.file.write(f"\r[{self._marks(share, len(text))}{text}")
        else:
            self.file.write(f"completed: {self.completed}, elapsed: {seconds}s, {fps:.1f} tasks/s")
        self.file.flush()

    def _marks(self, share: float, text_length: int) -> str:
        # The bar takes what a line has left beside "\r[" and the text, at most 60% of it.
        columns = self.terminal_width
        room = min(self.bar_width, columns - text_length - 2, int(columns * 0.6))
        width = max(2, room)
        return (">" * int(width * share)).ljust(width)


def _counted(tasks: Any) -> tuple[Iterable[Any], int]:
    """Split ``tasks`` into the tasks and their number."""
    if isinstance(tasks, tuple):
        if not (len(tasks) == 2 and isinstance(tasks[0], Iterable) and isinstance(tasks[1], int)):
            raise AssertionError('a tuple of "tasks" must hold an iterable and its length')
        return tasks
    if isinstance(tasks, Sequence):
        return tasks, len(tasks)
    raise TypeError(f'"tasks" must be a tuple object or a sequence object, but got {type(tasks)}')


def track_progress(
    func: Callable[..., Any],
    tasks: Sequence[Any] | tuple[Iterable[Any], int],
    bar_width: int = 50,
    file: TextIO | None = None,
    **kwargs: Any,
) -> list[Any]:
    """Call ``func(task, **kwargs)`` for each task under a progress bar; return the results.

    Args:
        func: What to call.
        tasks: The tasks, or a tuple of an iterable over them and their number.
        bar_width: Width of the bar.
        file: Where to write, the current ``sys.stdout`` by default.
    """
    return [func(task, **kwargs) for task in track_iter_progress(tasks, bar_width, file)]


def track_iter_progress(
    tasks: Sequence[Any] | tuple[Iterable[Any], int],
    bar_width: int = 50,
    file: TextIO | None = None,
) -> Iterator[Any]:
    """Iterate over tasks under a progress bar; arguments as for :func:`track_progress`."""
    items, number = _counted(tasks)
    bar = ProgressBar(number, bar_width, file=file)
    for item in items:
        yield item
        bar.update()
    bar.file.write("\n")


def init_pool(
    process_num: int,
    initializer: Callable[..., Any] | None = None,
    initargs: tuple[Any, ...] | None = None,
) -> PoolType:
    """Make a pool of processes."""
    if initargs is not None and not isinstance(initargs, tuple):
        raise TypeError('"initargs" must be a tuple')
    return Pool(process_num, initializer, initargs or ())


def track_parallel_progress(
    func: Callable[[Any], Any],
    tasks: Sequence[Any] | tuple[Iterable[Any], int],
    nproc: int,
    initializer: Callable[..., Any] | None = None,
    initargs: tuple[Any, ...] | None = None,
    bar_width: int = 50,
    chunksize: int = 1,
    skip_first: bool = False,
    keep_order: bool = True,
    file: TextIO | None = None,
) -> list[Any]:
    """Call ``func`` for each task in several processes under a progress bar.

    Args:
        func: What to call.
        tasks: The tasks, or a tuple of an iterable over them and their number.
        nproc: Number of processes.
        initializer: Called once in each process.
        initargs: Arguments for it.
        bar_width: Width of the bar.
        chunksize: Number of tasks that a process takes at once.
        skip_first: Leave the first task of each process out of bar and rate, as they start slowly.
        keep_order: Whether results come in the order of the tasks.
        file: Where to write, the current ``sys.stdout`` by default.

    Returns:
        The results.
    """
    items, number = _counted(tasks)
    skipped = nproc * chunksize if skip_first else 0
    results = []
    with init_pool(nproc, initializer, initargs) as pool:
        bar = ProgressBar(number - skipped, bar_width, not skip_first, file=file)
        run = pool.imap if keep_order else pool.imap_unordered
        for result in run(func, items, chunksize):
            results.append(result)
            if len(results) > skipped:
                bar.update()
            elif len(results) == skipped:
                bar.start()
        bar.file.write("\n")
        pool.close()
        pool.join()
    return results
