"""Paths and directories of the local file system."""

from __future__ import annotations

import os
import os.path as osp
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any


def is_filepath(x: Any) -> bool:
    """Tell whether ``x`` is a string or a ``Path``."""
    return isinstance(x, (str, Path))


def fopen(filepath: str | Path, *args: Any, **kwargs: Any) -> IO[Any]:
    """Open a file given by string or ``Path``, with the arguments of ``open``."""
    if not is_filepath(filepath):
        raise ValueError("`filepath` should be a string or a Path")
    file: IO[Any] = open(filepath, *args, **kwargs)  # noqa: SIM115 (the caller closes it)
    return file


def check_file_exist(filename: str | Path, msg_tmpl: str = 'file "{}" does not exist') -> None:
    """Raise ``FileNotFoundError`` unless ``filename`` is a file."""
    if not osp.isfile(filename):
        raise FileNotFoundError(msg_tmpl.format(filename))


def mkdir_or_exist(dir_name: str | Path, mode: int = 0o777) -> None:
    """Make a directory and its parents, ``~`` expanded; an empty name does nothing."""
    if dir_name != "":
        os.makedirs(osp.expanduser(dir_name), mode=mode, exist_ok=True)


def symlink(src: str | Path, dst: str | Path, overwrite: bool = True, **kwargs: Any) -> None:
    """Let ``dst`` link to ``src``; a file or link at ``dst`` is removed if ``overwrite``."""
    if overwrite and osp.lexists(dst):
        os.remove(dst)
    os.symlink(src, dst, **kwargs)


def scandir(
    dir_path: str | Path,
    suffix: str | tuple[str, ...] | None = None,
    recursive: bool = False,
    case_sensitive: bool = True,
) -> Iterator[str]:
    """Iterate over the files below a directory, relative to it.

    Args:
        dir_path: Where to look.
        suffix: Endings of the files wanted; all if ``None``.
        recursive: Also look into subdirectories, hidden ones included.
        case_sensitive: Whether endings must match in case.

    Returns:
        An iterator over relative paths; hidden files are left out.
    """
    if not isinstance(dir_path, (str, Path)):
        raise TypeError('"dir_path" must be a string or Path object')
    if suffix is not None and not isinstance(suffix, (str, tuple)):
        raise TypeError('"suffix" must be a string or tuple of strings')
    endings = (suffix,) if isinstance(suffix, str) else suffix
    if endings is not None and not case_sensitive:
        endings = tuple(ending.lower() for ending in endings)

    def walk(folder: str) -> Iterator[str]:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_file() and not entry.name.startswith("."):
                    relative = osp.relpath(entry.path, dir_path)
                    compared = relative if case_sensitive else relative.lower()
                    if endings is None or compared.endswith(endings):
                        yield relative
                elif recursive and entry.is_dir():
                    yield from walk(entry.path)

    return walk(str(dir_path))


def find_vcs_root(path: str, markers: Sequence[str] = (".git",)) -> str | None:
    """Return the nearest folder at or above ``path`` that holds one of the markers."""
    start = Path(osp.abspath(osp.expanduser(path)))
    for folder in [start, *start.parents]:
        if any((folder / marker).exists() for marker in markers):
            return str(folder)
    return None


def is_abs(path: str) -> bool:
    """Tell whether ``path`` is absolute, on the local disk or as a URL of http(s) or s3."""
    return osp.isabs(path) or path.startswith(("http://", "https://", "s3://"))
