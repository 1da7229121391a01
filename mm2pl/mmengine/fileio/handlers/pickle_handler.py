"""Pickles."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any

from mm2pl.mmengine.fileio.handlers.base import BaseFileHandler
from mm2pl.mmengine.logging import _pickling

# What MMEngine writes, so that old readers of annotation files keep working.
_PROTOCOL = 2


class PickleHandler(BaseFileHandler):
    """Pickles, by default of protocol 2."""

    str_like = False

    def load_from_fileobj(self, file: IO[bytes], **kwargs: Any) -> Any:
        """Return the object in an open file."""
        return _pickling.load(file, **kwargs)

    def load_from_path(self, filepath: str | Path, mode: str = "rb", **kwargs: Any) -> Any:
        """Return the object in a file."""
        return super().load_from_path(filepath, mode, **kwargs)

    def dump_to_str(self, obj: Any, **kwargs: Any) -> bytes:
        """Return an object as bytes."""
        return _pickling.dumps(obj, **{"protocol": _PROTOCOL, **kwargs})

    def dump_to_fileobj(self, obj: Any, file: IO[bytes], **kwargs: Any) -> None:
        """Write an object to an open file."""
        file.write(self.dump_to_str(obj, **kwargs))

    def dump_to_path(self, obj: Any, filepath: str | Path, mode: str = "wb", **kwargs: Any) -> None:
        """Write an object to a file."""
        super().dump_to_path(obj, filepath, mode, **kwargs)
