"""The interface of storage backends, and how a folder is listed by any of them."""

from __future__ import annotations

import logging
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

StrPath = str | Path
# Name, path and type ("file", "directory" or other) of something in a folder.
Entry = tuple[str, str, str]


class BaseStorageBackend(metaclass=ABCMeta):
    """Reads, and perhaps writes, files in some kind of storage."""

    _allow_symlink = False

    @property
    def allow_symlink(self) -> bool:
        """Whether the storage can link to files; deprecated in MMEngine."""
        # Imported late: config files are read without torch, which logging needs.
        from mm2pl.mmengine.logging import print_log

        print_log(
            "allow_symlink will be deprecated in future", logger="current", level=logging.WARNING
        )
        return self._allow_symlink

    @property
    def name(self) -> str:
        """Name of the class."""
        return type(self).__name__

    @abstractmethod
    def get(self, filepath: StrPath) -> Any:
        """Return the bytes of a file."""

    @abstractmethod
    def get_text(self, filepath: StrPath) -> str:
        """Return the text of a file."""


def list_folder(
    entries: Callable[[str], Iterable[Entry]],
    folder: str,
    list_dir: bool,
    list_file: bool,
    suffix: str | tuple[str, ...] | None,
    recursive: bool,
) -> Iterator[str]:
    """Iterate over what is in a folder, relative to it.

    Args:
        entries: Gives what is directly in a folder of the storage.
        folder: Path of the folder.
        list_dir: Whether to give folders.
        list_file: Whether to give files; hidden ones are left out.
        suffix: Endings of the files wanted; all if ``None``.
        recursive: Also look into subfolders.

    Raises:
        TypeError: ``suffix`` is given with ``list_dir``, or is no string or tuple.
    """
    if list_dir and suffix is not None:
        raise TypeError("`suffix` should be None when `list_dir` is True")
    if suffix is not None and not isinstance(suffix, (str, tuple)):
        raise TypeError("`suffix` must be a string or tuple of strings")

    def wanted(relative: str) -> bool:
        return suffix is None or relative.endswith(suffix)

    def walk(path: str, prefix: str) -> Iterator[str]:
        for name, inner, kind in entries(path):
            relative = prefix + name
            if kind == "directory":
                if list_dir:
                    yield relative
                if recursive:
                    yield from walk(inner, f"{relative}/")
            elif kind == "file" and list_file and not name.startswith(".") and wanted(relative):
                yield relative

    return walk(folder, "")
