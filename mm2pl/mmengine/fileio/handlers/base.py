"""The interface of handlers of file formats."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from pathlib import Path
from typing import IO, Any


class BaseFileHandler(metaclass=ABCMeta):
    """Reads and writes objects in one format.

    ``str_like`` tells whether that is text; it is bytes otherwise.
    """

    str_like = True

    @abstractmethod
    def load_from_fileobj(self, file: IO[Any], **kwargs: Any) -> Any:
        """Return the object in an open file."""

    @abstractmethod
    def dump_to_fileobj(self, obj: Any, file: IO[Any], **kwargs: Any) -> None:
        """Write an object to an open file."""

    @abstractmethod
    def dump_to_str(self, obj: Any, **kwargs: Any) -> Any:
        """Return an object as text or bytes."""

    def load_from_path(self, filepath: str | Path, mode: str = "r", **kwargs: Any) -> Any:
        """Return the object in a file."""
        with open(filepath, mode) as file:
            return self.load_from_fileobj(file, **kwargs)

    def dump_to_path(self, obj: Any, filepath: str | Path, mode: str = "w", **kwargs: Any) -> None:
        """Write an object to a file."""
        with open(filepath, mode) as file:
            self.dump_to_fileobj(obj, file, **kwargs)
