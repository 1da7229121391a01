"""Files that are complete or absent, whatever ends the process or the machine."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

_MARK = ".incomplete"
_BUFFER = 2**20  # of a checkpoint's many small parts


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Give a file to write, which takes the place of ``path`` once it is on the disk as a whole.

    Until then an older file stays as it was, and so it does if the body fails. What a killed
    process leaves is called ``.NAME.PID.incomplete``; :func:`remove_leftovers` takes it away.

    Args:
        path: The file to be; folders above it are made, a link to a file is followed.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}{_MARK}")
    try:
        with partial.open("wb", buffering=_BUFFER) as file:
            _lock(file)
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
    _sync_folder(target.parent)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Replace a text file, by the rule of :func:`replacing`."""
    with replacing(path) as file:
        file.write(text.encode())


def link(source: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Give a file a second name, by the rule of :func:`replacing`: it is not written again.

    Raises:
        OSError: There is no such file, or its file system has no second names.
    """
    target = Path(os.path.realpath(path))
    partial = target.with_name(f".{target.name}.{os.getpid()}{_MARK}")
    try:
        os.link(os.path.realpath(source), partial)
        os.replace(partial, target)
    finally:
        # Nothing is renamed where both stand for one file already.
        partial.unlink(missing_ok=True)
    _sync_folder(target.parent)


def leave_memory(path: str | os.PathLike[str]) -> None:
    """Let the system take back the memory in which it keeps a file that is on the disk.

    What is written next gets that memory; memory that nobody had lately can take longer to get
    than to fill. A file that is not there, or a system that cannot be asked, is left alone.
    """
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError), open(path, "rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def remove_leftovers(folder: str | os.PathLike[str], name: str | None = None) -> list[str]:
    """Remove what killed processes left half written in a folder; return the names.

    Args:
        folder: Where to look.
        name: Only what was to be the file of this name.
    """
    removed = []
    pattern = r"\..*" if name is None else rf"\.{re.escape(name)}\.\d+{re.escape(_MARK)}"
    for path in sorted(Path(folder).glob(f".*{_MARK}")):
        if not re.fullmatch(pattern, path.name):
            continue
        # A file that is being written is locked; the lock ends with its process.
        with suppress(OSError), path.open("rb") as file:
            _lock(file)
            path.unlink()
            removed.append(path.name)
    return removed


def check_writable(folder: str | os.PathLike[str]) -> None:
    """Write and remove a small file.

    Raises:
        OSError: The folder cannot be made or written to.
    """
    Path(folder).mkdir(parents=True, exist_ok=True)
    probe = Path(folder, f".probe.{os.getpid()}{_MARK}")
    try:
        probe.write_bytes(b"?")
    finally:
        probe.unlink(missing_ok=True)


def _lock(file: IO[bytes]) -> None:
    """Lock an open file; raises OSError if another one has."""
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            return  # a file system without locks


def _sync_folder(folder: Path) -> None:
    """Put a folder's list of names on the disk; file systems that cannot do so are left alone."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
