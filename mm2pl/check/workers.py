"""Processes that read configs: what a config does, looping or dying, does not harm the check."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import TracebackType
from typing import Any, NamedTuple

from mm2pl.alias import install_as_mmengine
from mm2pl.check.findings import FileReport, FreshProcessNeeded, Settings, examine_file, unreadable
from mm2pl.errors import ConfigError

# With the paths of this process, so that libraries and mm2pl are found where it finds them.
_START = "import sys; sys.path[:] = {path!r}; from mm2pl.check.workers import serve; serve()"
_FILES_PER_WORKER = 16  # starting a process costs as much as reading some files


class Request(NamedTuple):
    """A file to look at."""

    file: str
    in_folder: bool


def default_jobs(files: int) -> int:
    """Return how many processes to start for this many files."""
    usable = getattr(os, "sched_getaffinity", None)
    processors = len(usable(0)) if usable else os.cpu_count() or 1
    return max(1, min(processors, -(-files // _FILES_PER_WORKER)))


class Workers:
    """A pool of processes, each driven by a thread; to be used in ``with``.

    Args:
        settings: What to look for.
        jobs: How many processes.
        timeout: Seconds that one file may take.
    """

    def __init__(self, settings: Settings, jobs: int, timeout: float) -> None:
        self.settings = settings
        self.timeout = timeout
        self._threads = ThreadPoolExecutor(jobs, "mm2pl-check")
        self._own = threading.local()
        self._started: list[_Worker] = []
        self._ended = threading.Event()

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        for worker in self._started:
            worker.kill()
        self._threads.shutdown(cancel_futures=True)
        for worker in self._started:
            worker.close()

    def examine(self, requests: Sequence[Request]) -> Iterator[FileReport]:
        """Yield a report for each file, in order."""
        return self._threads.map(self._ask, requests)

    def _ask(self, request: Request) -> FileReport:
        while not self._ended.is_set():
            worker: _Worker | None = getattr(self._own, "worker", None)
            if worker is None or worker.has_ended:
                worker = self._own.worker = _Worker(self.settings)
                self._started.append(worker)
                if self._ended.is_set():  # since: nobody else ends this one
                    worker.kill()
            report = worker.ask(request, self.timeout)
            if report is not None:
                return report
            worker.kill()
        return FileReport(request.file)  # nobody waits for it any more


class _Worker:
    """One process."""

    def __init__(self, settings: Settings) -> None:
        # Nothing is left behind: no compiled files either.
        command = [sys.executable, "-B", "-c", _START.format(path=sys.path)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._requests, self._replies = self.process.stdin, self.process.stdout
        self.has_ended = False
        self._send(settings)

    def ask(self, request: Request, timeout: float) -> FileReport | None:
        """Return the report, or None if the file wants a process of its own."""
        overdue = threading.Event()
        timer = threading.Timer(timeout, self._end, [overdue])
        timer.start()
        try:
            self._send(request)
            report: FileReport | None = pickle.load(self._replies)
        except (EOFError, OSError, pickle.UnpicklingError):
            self.kill()
            status = self.process.wait()
            what = f"reading it took longer than {timeout:g} seconds"
            if not overdue.is_set():
                what = f"it ended the process that read it ({_how_it_ended(status)})"
            return unreadable(request.file, ConfigError(what, file=request.file))
        finally:
            timer.cancel()
        return report

    def _send(self, what: Any) -> None:
        pickle.dump(what, self._requests)
        self._requests.flush()

    def _end(self, overdue: threading.Event) -> None:
        overdue.set()
        self.kill()

    def kill(self) -> None:
        self.has_ended = True
        self.process.kill()

    def close(self) -> None:
        self.process.wait()
        for pipe in (self._requests, self._replies):
            try:
                pipe.close()
            except OSError:  # what was still to be written has no reader
                continue


def _how_it_ended(status: int) -> str:
    if status >= 0:
        return f"exit status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


# --------------------------------------------------------------------------- in the worker


def serve() -> None:
    """Look at files as asked, until the other side goes away."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends this
    requests, replies = _take_channels()
    settings: Settings = pickle.load(requests)
    look_at = _prepared(settings)
    for request in _received(requests):
        with _as_found(forget=not settings.build):
            report = look_at(request)
        pickle.dump(report, replies)
        replies.flush()
    os._exit(0)  # a thread that a config has started holds up nothing


def _prepared(settings: Settings) -> Callable[[Request], FileReport | None]:
    """Let configs find what they find in a run: ``mmengine``, and the working directory."""
    install_as_mmengine()
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    if not settings.build:
        return lambda one: examine_file(one.file, settings, in_folder=one.in_folder)
    from mm2pl.check.build import Builder

    builder = Builder(relax_version_gates=settings.relax_version_gates)

    def look_at(one: Request) -> FileReport | None:
        try:
            return examine_file(one.file, settings, in_folder=one.in_folder, builder=builder)
        except FreshProcessNeeded:
            return None

    return look_at


@contextmanager
def _as_found(*, forget: bool) -> Iterator[None]:
    """Put back what one config may change and the next would be read with.

    Args:
        forget: Whether to forget modules that were found by a path that the config added.
    """
    paths, modules = list(sys.path), set(sys.modules)
    variables, arguments = dict(os.environ), list(sys.argv)
    level, handlers = logging.root.level, list(logging.root.handlers)
    try:
        yield
    finally:
        added = tuple(os.path.join(os.path.abspath(one), "") for one in {*sys.path} - {*paths})
        sys.path[:], sys.argv[:] = paths, arguments
        for name in set(sys.modules) - modules if added and forget else ():
            file = getattr(sys.modules[name], "__file__", None)
            if file and os.path.abspath(file).startswith(added):
                del sys.modules[name]  # the next config's folder may have one of this name
        if dict(os.environ) != variables:
            os.environ.clear()
            os.environ.update(variables)
        logging.root.setLevel(level)
        logging.root.handlers[:] = handlers


def _take_channels() -> tuple[Any, Any]:
    """Return standard input and output; for configs the one is empty and the other's an error's."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


def _received(requests: Any) -> Iterable[Request]:
    while True:
        try:
            yield pickle.load(requests)
        except EOFError:
            return
