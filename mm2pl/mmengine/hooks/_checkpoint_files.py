"""How CheckpointHook writes: at once or in the background, and equal files once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from mm2pl import checkpoint, durable
from mm2pl.background_writing import Background, Pickled, Snapshot


class CheckpointFiles:
    """Writes a hook's files, and does what may only happen once they are complete.

    Args:
        in_background: Let the training go on with a copy of the run's state being written.
    """

    def __init__(self, in_background: bool) -> None:
        self._in_background = in_background
        self._background = Background() if in_background else None
        self._steps: list[Callable[[], None]] | None = None  # while being collected
        self._expected = ""
        self._several = False
        self._time: str | None = None  # of the first of several
        self._first: tuple[str, Pickled, Any] | None = None  # path, and content twice
        self._written: list[str] = []  # files, by the last piece of work
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
    def together(self, several: bool = False) -> Iterator[None]:
        """Take the files that are saved within as one piece of work.

        In the background the next one waits for it.

        Args:
            several: Whether to expect more than one file, which may be equal.
        """
        if self._steps is not None:
            yield
            return
        self.wait()
        self._steps, self._several, self._time = [], several, None
        for path in self._written:
            self.then(partial(durable.leave_memory, path))
        self._written = []
        self._spare, self._memory = self._memory, []
        try:
            yield
            if self._in_background and self._background is not None and self._steps:
                self._background.start(self._steps)
        finally:
            self._steps = self._first = None
            self._spare = []

    @contextmanager
    def writing(self, path: str) -> Iterator[None]:
        """Take charge of the checkpoint that is saved to a path within.

        Args:
            path: Where it is saved to.
        """
        self._expected = path
        with checkpoint.handing_to(self._take):
            yield

    def then(self, step: Callable[[], None]) -> None:
        """Do something once what was saved so far is complete."""
        if not self._in_background or self._steps is None:
            step()
        else:
            self._steps.append(step)

    def _take(self, content: Mapping[str, Any], path: str, backend_args: Any) -> None:
        if path != self._expected:  # a file of someone else's, saved from within the hooks
            checkpoint.write_now(content, path, backend_args)
            return
        self._written.append(path)
        if self._several and "time" in content.get("meta", ()):
            # One state of the run has one time, or it would not be equal where a second ends.
            self._time = self._time or content["meta"]["time"]
            content = {**content, "meta": {**content["meta"], "time": self._time}}
        needed = self._in_background or self._several
        pickled = Pickled(content) if needed else None
        if pickled is not None and self._first is not None and self._first[1].equals(pickled):
            first, _, kept = self._first
            self.then(partial(_write_again, first, kept, path, backend_args))
            return
        kept = content
        if pickled is not None and self._in_background:
            kept = Snapshot(pickled, self._spare)
            self._spare = []
            self._memory += kept.storages
        if pickled is not None:
            self._first = path, pickled, kept
        self.then(partial(_write, kept, path, backend_args))


def _write(content: Any, path: str, backend_args: Any) -> None:
    value = content.value() if isinstance(content, Snapshot) else content
    checkpoint.write_now(value, path, backend_args)


def _write_again(first: str, content: Any, path: str, backend_args: Any) -> None:
    """Copy a local file that was just written, which takes less time than pickling it again."""
    try:
        durable.copy(first, path)
    except OSError:
        _write(content, path, backend_args)


def take_turns(hooks: Iterable[Any]) -> None:
    """Let hooks write one after the other: all write ``last_checkpoint``, for what came last.

    Args:
        hooks: A run's.
    """
    files = list(_files_of(hooks))
    shared = next((one._background for one in files if one._background is not None), None)
    for one in files:
        one._background = shared


def finish_writing(hooks: Iterable[Any], log: logging.Logger | None = None) -> None:
    """Wait until what hooks write in the background is complete, and give their memory back.

    Args:
        hooks: A run's.
        log: Is told of what fails, where an error of the run's own is on its way.
    """
    for files in _files_of(hooks):
        try:
            files.release()
        except Exception as error:
            if log is None:
                raise
            log.error(f"Beside the error that ends the run: {error}")


def _files_of(hooks: Iterable[Any]) -> Iterator[CheckpointFiles]:
    for hook in hooks:
        files = getattr(hook, "checkpoint_files", None)
        if isinstance(files, CheckpointFiles):
            yield files
