"""A progress bar drawn by rich, over tasks in one or several processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sized
from multiprocessing import Pool
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.progress import Progress


class _Worker:
    """Calls ``func`` with one task's arguments; of module level, to be sent to processes."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func

    def __call__(self, numbered: tuple[int, Any]) -> tuple[int, Any]:
        index, inputs = numbered
        if not isinstance(inputs, (tuple, list)):
            inputs = (inputs,)
        return index, self.func(*inputs)


def _progress(skip_times: int) -> Progress:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        Task,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class TimeRemainingAfterStart(TimeRemainingColumn):
        """Says nothing until each process has started up and done its first chunk."""

        def render(self, task: Task) -> Text:
            if task.completed <= skip_times:
                return Text("-:--:--", style="progress.remaining")
            return super().render(task)

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeRemainingAfterStart(),
        MofNCompleteColumn(),
        TaskProgressColumn(show_speed=True),
    )


def _numbered_tasks(tasks: Any, task_num: int | None) -> tuple[Any, int | None]:
    """Check ``tasks`` against their number; make empty ones for a function without arguments."""
    if not isinstance(tasks, Iterable):
        raise TypeError(f"tasks must be an iterable object, but got {type(tasks)}")
    if not isinstance(tasks, Sized):
        return tasks, task_num
    if len(tasks) == 0:
        if task_num is None:
            raise ValueError("If tasks is an empty iterable, task_num must be set")
        return [()] * task_num, task_num
    if task_num not in (None, len(tasks)):
        raise ValueError("task_num does not match the length of tasks")
    return tasks, len(tasks)


def track_progress_rich(
    func: Callable[..., Any],
    tasks: Iterable[Any] = (),
    task_num: int | None = None,
    nproc: int = 1,
    chunksize: int = 1,
    description: str = "Processing",
    color: str = "blue",
) -> list[Any]:
    """Call ``func`` for each task, in several processes if asked, under a progress bar.

    Args:
        func: What to call.
        tasks: One element a call: an argument, or a tuple or list of positional arguments.
        task_num: Number of tasks, for iterators without a length; with no tasks at all, ``func``
            is called that often without arguments.
        nproc: Number of processes.
        chunksize: Number of tasks that a process takes at once.
        description: Text before the bar.
        color: Passed on to rich as a field of the task.

    Returns:
        The results in the order of the tasks.
    """
    if not callable(func):
        raise TypeError("func must be a callable object")
    tasks, task_num = _numbered_tasks(tasks, task_num)
    if nproc <= 0:
        raise ValueError("nproc must be a positive number")

    bar = _progress(skip_times=nproc * chunksize if nproc > 1 else 0)
    task_id = bar.add_task(total=task_num, color=color, description=description)
    worker = _Worker(func)
    results: dict[int, Any] = {}

    def collect(pairs: Iterable[tuple[int, Any]]) -> None:
        for index, result in pairs:
            results[index] = result
            bar.update(task_id, advance=1, refresh=True)

    with bar:
        if nproc == 1:
            collect(map(worker, enumerate(tasks)))
        else:
            with Pool(nproc) as pool:
                collect(pool.imap_unordered(worker, enumerate(tasks), chunksize))
    return [results[index] for index in range(len(results))]
