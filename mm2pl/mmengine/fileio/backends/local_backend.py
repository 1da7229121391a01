"""Files on the local disk."""

from __future__ import annotations

import os
import os.path as osp
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mm2pl.mmengine.fileio.backends.base import BaseStorageBackend, Entry, StrPath, list_folder
from mm2pl.mmengine.utils import mkdir_or_exist


class LocalBackend(BaseStorageBackend):
    """Files on the local disk; writing a file makes the folders above it."""

    _allow_symlink = True

    def get(self, filepath: StrPath) -> bytes:
        """Return the bytes of a file."""
        with open(filepath, "rb") as file:
            return file.read()

    def get_text(self, filepath: StrPath, encoding: str = "utf-8") -> str:
        """Return the text of a file."""
        with open(filepath, encoding=encoding) as file:
            return file.read()

    def put(self, obj: bytes, filepath: StrPath) -> None:
        """Write bytes to a file."""
        mkdir_or_exist(osp.dirname(filepath))
        with open(filepath, "wb") as file:
            file.write(obj)

    def put_text(self, obj: str, filepath: StrPath, encoding: str = "utf-8") -> None:
        """Write text to a file."""
        mkdir_or_exist(osp.dirname(filepath))
        with open(filepath, "w", encoding=encoding) as file:
            file.write(obj)

    def exists(self, filepath: StrPath) -> bool:
        """Tell whether there is a file or folder."""
        return osp.exists(filepath)

    def isdir(self, filepath: StrPath) -> bool:
        """Tell whether there is a folder."""
        return osp.isdir(filepath)

    def isfile(self, filepath: StrPath) -> bool:
        """Tell whether there is a file."""
        return osp.isfile(filepath)

    def join_path(self, filepath: StrPath, *filepaths: StrPath) -> str:
        """Join parts of a path."""
        return osp.join(filepath, *filepaths)

    @contextmanager
    def get_local_path(self, filepath: StrPath) -> Iterator[StrPath]:
        """Give the path itself."""
        yield filepath

    def copyfile(self, src: StrPath, dst: StrPath) -> Any:
        """Copy a file to a file or into a folder; return where it is now."""
        return shutil.copy(src, dst)

    def copytree(self, src: StrPath, dst: StrPath) -> Any:
        """Copy a folder to one that does not exist yet; return it."""
        return shutil.copytree(src, dst)

    def copyfile_from_local(self, src: StrPath, dst: StrPath) -> Any:
        """Copy a file; see :meth:`copyfile`."""
        return self.copyfile(src, dst)

    def copytree_from_local(self, src: StrPath, dst: StrPath) -> Any:
        """Copy a folder; see :meth:`copytree`."""
        return self.copytree(src, dst)

    def copyfile_to_local(self, src: StrPath, dst: StrPath) -> Any:
        """Copy a file; see :meth:`copyfile`."""
        return self.copyfile(src, dst)

    def copytree_to_local(self, src: StrPath, dst: StrPath) -> Any:
        """Copy a folder; see :meth:`copytree`."""
        return self.copytree(src, dst)

    def remove(self, filepath: StrPath) -> None:
        """Remove a file.

        Raises:
            FileNotFoundError: There is none.
            IsADirectoryError: It is a folder.
        """
        if not osp.exists(filepath):
            raise FileNotFoundError(f"filepath {filepath} does not exist")
        if osp.isdir(filepath):
            raise IsADirectoryError(f"filepath should be a file, but {filepath} is a folder")
        os.remove(filepath)

    def rmtree(self, dir_path: StrPath) -> None:
        """Remove a folder and all in it."""
        shutil.rmtree(dir_path)

    def copy_if_symlink_fails(self, src: StrPath, dst: StrPath) -> bool:
        """Let ``dst`` link to ``src``, or copy if that fails; tell whether it is a link."""
        try:
            os.symlink(src, dst)
        except OSError:
            copy = self.copyfile if self.isfile(src) else self.copytree
            copy(src, dst)
            return False
        return True

    def list_dir_or_file(
        self,
        dir_path: StrPath,
        list_dir: bool = True,
        list_file: bool = True,
        suffix: str | tuple[str, ...] | None = None,
        recursive: bool = False,
    ) -> Iterator[str]:
        """Iterate over what is in a folder; arguments as for :func:`list_folder`."""
        return list_folder(_entries, str(dir_path), list_dir, list_file, suffix, recursive)


def _entries(folder: str) -> Iterator[Entry]:
    with os.scandir(folder) as found:
        for entry in found:
            kind = "file" if entry.is_file() else "directory" if entry.is_dir() else "other"
            yield entry.name, entry.path, kind
