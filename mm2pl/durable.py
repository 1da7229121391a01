"""Files that are complete or absent, whatever ends the process or the machine."""

from __future__ import annotations

import io
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

_MARK = ".incomplete"
_BUFFER = 2**20  # of a checkpoint's many small parts
_PART = 2**22  # of a file, which the disk can begin with


class _Eager(io.FileIO):
    """A new file that goes to the disk while it is written, which leaves ``fsync`` less to do."""

    _written = _begun = 0

    def write(self, data: Any, /) -> int:
        count = super().write(data) or 0
        self._written += count
        if self._written - self._begun >= _PART:
            _leave_memory(self.fileno(), self._begun, self._written - self._begun)
            self._begun = self._written
        return count


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
        with io.BufferedWriter(_Eager(partial, "wb"), _BUFFER) as file:
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


def copy(source: str | os.PathLike[str], path: str | os.PathLike[str]) -> None:
    """Copy a file, by the rule of :func:`replacing`.

    Raises:
        OSError: There is no such file, or no space.
    """
    with open(source, "rb", buffering=0) as old, replacing(path) as new:
        shutil.copyfileobj(old, new, _BUFFER)


def leave_memory(path: str | os.PathLike[str]) -> None:
    """Let the system take back the memory in which it keeps a file that is on the disk.

    What is written next gets that memory; memory that nobody had lately can take longer to get
    than to fill. A file that is not there, or a system that cannot be asked, is left alone.
    """
    with suppress(OSError), open(path, "rb", buffering=0) as file:
        _leave_memory(file.fileno(), 0, 0)


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


def _leave_memory(handle: int, start: int, size: int) -> None:
    """Ask for this of a part of a file; Linux first begins to write what is not on the disk."""
    if hasattr(os, "posix_fadvise"):
        with suppress(OSError):
            os.posix_fadvise(handle, start, size, os.POSIX_FADV_DONTNEED)


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
