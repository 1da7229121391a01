"""Files on the web."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import urlopen

from mm2pl.mmengine.fileio.backends.base import BaseStorageBackend, StrPath


class HTTPBackend(BaseStorageBackend):
    """Files on the web, which can only be read."""

    def get(self, filepath: StrPath) -> bytes:
        """Return the bytes at a URL."""
        with urlopen(str(filepath)) as response:
            data: bytes = response.read()
        return data

    def get_text(self, filepath: StrPath, encoding: str = "utf-8") -> str:
        """Return the text at a URL."""
        return self.get(filepath).decode(encoding)

    @contextmanager
    def get_local_path(self, filepath: StrPath) -> Iterator[str]:
        """Give the path of a download, which is removed afterwards."""
        with temporary_file() as path:
            with open(path, "wb") as file:
                file.write(self.get(filepath))
            yield path


@contextmanager
def temporary_file() -> Iterator[str]:
    """Give the path of an empty file, closed so that others may open it; remove it afterwards."""
    handle, path = tempfile.mkstemp()
    os.close(handle)
    try:
        yield path
    finally:
        os.remove(path)
