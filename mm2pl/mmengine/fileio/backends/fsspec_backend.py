"""Files wherever fsspec reaches: s3://, gs://, hdfs://, memory://, ..."""

from __future__ import annotations

import os.path as osp
import posixpath
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mm2pl.errors import MissingPackageError
from mm2pl.mmengine.fileio.backends.base import BaseStorageBackend, Entry, StrPath, list_folder
from mm2pl.mmengine.fileio.backends.http_backend import temporary_file
from mm2pl.mmengine.fileio.backends.petrel_backend import PetrelBackend
from mm2pl.mmengine.utils import mkdir_or_exist


class FsspecBackend(BaseStorageBackend):
    """Any storage that fsspec knows; some need a package of their own, as s3:// needs s3fs.

    Args:
        **storage_options: For the file system of fsspec, e.g. ``anon=True`` for s3.
    """

    def __init__(self, **storage_options: Any) -> None:
        self.storage_options = storage_options

    def _at(self, uri: StrPath) -> tuple[Any, str]:
        """Return the file system of a URI and the path in it."""
        import fsspec

        prefix = str(uri).partition("://")[0]
        if ":" in prefix and "::" not in prefix:
            PetrelBackend()  # which alone knows of clusters, as in cluster:s3://..., and refuses
        try:
            fs, path = fsspec.core.url_to_fs(str(uri), **self.storage_options)
        except ImportError as error:
            raise MissingPackageError(str(error), file=str(uri)) from error
        return fs, path

    def _for_writing(self, uri: StrPath) -> tuple[Any, str]:
        fs, path = self._at(uri)
        fs.makedirs(posixpath.dirname(path), exist_ok=True)
        return fs, path

    def get(self, filepath: StrPath) -> bytes:
        """Return the bytes of a file."""
        fs, path = self._at(filepath)
        data: bytes = fs.cat_file(path)
        return data

    def get_text(self, filepath: StrPath, encoding: str = "utf-8") -> str:
        """Return the text of a file."""
        fs, path = self._at(filepath)
        with fs.open(path, "r", encoding=encoding) as file:
            text: str = file.read()
        return text

    def put(self, obj: bytes, filepath: StrPath) -> None:
        """Write bytes to a file."""
        fs, path = self._for_writing(filepath)
        fs.pipe_file(path, obj)

    def put_text(self, obj: str, filepath: StrPath, encoding: str = "utf-8") -> None:
        """Write text to a file."""
        self.put(obj.encode(encoding), filepath)

    def exists(self, filepath: StrPath) -> bool:
        """Tell whether there is a file or folder."""
        fs, path = self._at(filepath)
        return bool(fs.exists(path))

    def isdir(self, filepath: StrPath) -> bool:
        """Tell whether there is a folder."""
        fs, path = self._at(filepath)
        return bool(fs.isdir(path))

    def isfile(self, filepath: StrPath) -> bool:
        """Tell whether there is a file."""
        fs, path = self._at(filepath)
        return bool(fs.isfile(path))

    def join_path(self, filepath: StrPath, *filepaths: StrPath) -> str:
        """Join parts of a URI."""
        return posixpath.join(str(filepath), *map(str, filepaths))

    @contextmanager
    def get_local_path(self, filepath: StrPath) -> Iterator[str]:
        """Give the path of a download, which is removed afterwards."""
        fs, path = self._at(filepath)
        with temporary_file() as local:
            fs.get_file(path, local)
            yield local

    def copyfile(self, src: StrPath, dst: StrPath) -> str:
        """Copy a file within one storage, to a file or into a folder; return where it is now."""
        fs, source = self._at(src)
        target = self._file_at(src, dst)
        path = self._for_writing(target)[1]
        if path == source:
            raise shutil.SameFileError(f"{src} and {dst} are the same file")
        fs.cp_file(source, path)
        return target

    def copytree(self, src: StrPath, dst: StrPath) -> StrPath:
        """Copy a folder within one storage to one that does not exist yet; return it."""
        self._refuse_existing(dst)
        for relative in self._files_below(src):
            self.copyfile(self.join_path(src, relative), self.join_path(dst, relative))
        return dst

    def copyfile_from_local(self, src: StrPath, dst: StrPath) -> str:
        """Upload a file, to a file or into a folder; return where it is now."""
        target = self._file_at(src, dst)
        fs, path = self._for_writing(target)
        fs.put_file(str(src), path)
        return target

    def copytree_from_local(self, src: StrPath, dst: StrPath) -> StrPath:
        """Upload a folder to one that does not exist yet; return it."""
        self._refuse_existing(dst)
        for file in Path(src).rglob("*"):
            if file.is_file():
                relative = file.relative_to(src).as_posix()
                self.copyfile_from_local(file, self.join_path(dst, relative))
        return dst

    def copyfile_to_local(self, src: StrPath, dst: StrPath) -> StrPath:
        """Download a file, to a file or into a folder; return where it is now."""
        if osp.isdir(dst):
            dst = osp.join(dst, posixpath.basename(str(src)))
        fs, path = self._at(src)
        mkdir_or_exist(osp.dirname(dst))
        fs.get_file(path, str(dst))
        return dst

    def copytree_to_local(self, src: StrPath, dst: StrPath) -> StrPath:
        """Download a folder; return where it is now."""
        for relative in self._files_below(src):
            self.copyfile_to_local(self.join_path(src, relative), osp.join(dst, relative))
        return dst

    def remove(self, filepath: StrPath) -> None:
        """Remove a file.

        Raises:
            FileNotFoundError: There is none.
            IsADirectoryError: It is a folder.
        """
        if self.isdir(filepath):
            raise IsADirectoryError(f"filepath should be a file, but {filepath} is a folder")
        fs, path = self._at(filepath)
        if not fs.exists(path):
            raise FileNotFoundError(f"filepath {filepath} does not exist")
        fs.rm_file(path)

    def rmtree(self, dir_path: StrPath) -> None:
        """Remove a folder and all in it."""
        fs, path = self._at(dir_path)
        fs.rm(path, recursive=True)

    def copy_if_symlink_fails(self, src: StrPath, dst: StrPath) -> bool:
        """Copy a file or folder, as there are no links here; return ``False``."""
        if self.isfile(src):
            self.copyfile(src, dst)
        else:
            self.copytree(src, dst)
        return False

    def list_dir_or_file(
        self,
        dir_path: StrPath,
        list_dir: bool = True,
        list_file: bool = True,
        suffix: str | tuple[str, ...] | None = None,
        recursive: bool = False,
    ) -> Iterator[str]:
        """Iterate over what is in a folder; arguments as for :func:`list_folder`."""
        fs, root = self._at(dir_path)

        def entries(folder: str) -> Iterator[Entry]:
            for info in fs.ls(folder, detail=True):
                path = info["name"].rstrip("/")
                yield posixpath.basename(path), path, info["type"]

        return list_folder(entries, root, list_dir, list_file, suffix, recursive)

    def generate_presigned_url(
        self, url: str, client_method: str = "get_object", expires_in: int = 3600
    ) -> str:
        """Return a URL that gives access for ``expires_in`` seconds, where fsspec can sign."""
        fs, path = self._at(url)
        # Only s3fs knows methods, and takes get_object by default.
        options = {} if client_method == "get_object" else {"client_method": client_method}
        return str(fs.sign(path, expiration=expires_in, **options))

    def _file_at(self, src: StrPath, dst: StrPath) -> str:
        """Return where a copy of ``src`` goes: to ``dst``, or into it if it is a folder."""
        if self.isdir(dst):
            return self.join_path(dst, osp.basename(src))
        return str(dst)

    def _files_below(self, folder: StrPath) -> list[str]:
        """Return all files below a folder, hidden ones too, relative to it."""
        fs, root = self._at(folder)
        return [posixpath.relpath(path, root) for path in fs.find(root)]

    def _refuse_existing(self, dst: StrPath) -> None:
        if self.exists(dst):
            raise FileExistsError(f"{dst} should not exist")
