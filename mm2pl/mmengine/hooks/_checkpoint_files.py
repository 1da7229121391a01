"""How CheckpointHook writes: at once or in the background, and equal files once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from mm2pl import checkpoint, durable
from mm2pl.background_writing import Background, Snapshot


class CheckpointFiles:
    """Writes a hook's files, and does what may only happen once they are complete.

    Args:
        in_background: Let the training go on with a copy of the run's state being written.
    """

    def __init__(self, in_background: bool) -> None:
        self._background = Background() if in_background else None
        self._steps: list[Callable[[], None]] | None = None  # while being collected
        self._expected = ""
        self._first: tuple[str, Any] | None = None  # path and content of what the others equal
        self._last = ""  # the file written last
        # Of the last snapshot, for the next one.
        self._memory: list[torch.UntypedStorage] = []
        self._spare: list[torch.UntypedStorage] = []

    @property
    def busy(self) -> bool:
        """Whether a file is being written in the background."""
        return self._background is not None and self._background.busy

    def check(self) -> None:
        """Raise what has failed in the background; does not wait."""
        if self._background is not None:
            self._background.check()

    def wait(self) -> None:
        """Wait for what is being written, and raise what has failed."""
        if self._background is not None:
            self._background.wait()

    def release(self) -> None:
        """Wait, and give back the memory that is kept for the next snapshot."""
        try:
            self.wait()
        finally:
            self._memory = []

    @contextmanager
    def together(self) -> Iterator[None]:
        """Take the files that are saved within as one state of the run under several names.

        In the background they are written as one piece of work, which the next one waits for.
        """
        if self._steps is not None:
            yield
            return
        self.wait()
        self._steps = []
        self._spare, self._memory = self._memory, []
        try:
            yield
            if self._background is not None and self._steps:
                self._background.start(self._steps)
        finally:
            self._steps = self._first = None
            self._spare = []

    @contextmanager
    def writing(self, path: str, alike: bool = True) -> Iterator[None]:
        """Take charge of the checkpoint that is saved to a path within.

        Args:
            path: Where it is saved to.
            alike: Whether it holds what the last one of :meth:`together` holds.
        """
        self._expected = path
        if not alike:
            self._first = None
        with checkpoint.handing_to(self._take):
            yield

    def then(self, step: Callable[[], None]) -> None:
        """Do something once what was saved so far is complete."""
        if self._background is None or self._steps is None:
            step()
        else:
            self._steps.append(step)

    def _take(self, content: Mapping[str, Any], path: str, backend_args: Any) -> None:
        if path != self._expected:  # a file of someone else's, saved from within the hooks
            checkpoint.write_now(content, path, backend_args)
            return
        if self._first is not None:
            first, content = self._first
            self.then(partial(_write_again, first, content, path, backend_args))
            return
        kept: Any = content
        if self._background is not None:
            kept = Snapshot(content, self._spare)
            self._spare = []
            self._memory += kept.storages
        self._first = path, kept
        if self._last:
            self.then(partial(durable.leave_memory, self._last))
        self._last = path
        self.then(partial(_write, kept, path, backend_args))


def _write(content: Any, path: str, backend_args: Any) -> None:
    value = content.value() if isinstance(content, Snapshot) else content
    checkpoint.write_now(value, path, backend_args)


def _write_again(first: str, content: Any, path: str, backend_args: Any) -> None:
    """Give a file that was just written a second name, where names can be given."""
    try:
        durable.link(first, path)
    except OSError:
        _write(content, path, backend_args)


def finish_writing(hooks: Iterable[Any], log: logging.Logger | None = None) -> None:
    """Wait until what hooks write in the background is complete, and give their memory back.

    Args:
        hooks: A run's.
        log: Is told of what fails, where an error of the run's own is on its way.
    """
    for hook in hooks:
        files = getattr(hook, "checkpoint_files", None)
        if not isinstance(files, CheckpointFiles):
            continue
        try:
            files.release()
        except Exception as error:
            if log is None:
                raise
            log.error(f"Beside the error that ends the run: {error}")
