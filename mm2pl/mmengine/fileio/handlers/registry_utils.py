"""The registry of file formats."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from mm2pl.mmengine.fileio.handlers.base import BaseFileHandler
from mm2pl.mmengine.fileio.handlers.json_handler import JsonHandler
from mm2pl.mmengine.fileio.handlers.pickle_handler import PickleHandler
from mm2pl.mmengine.fileio.handlers.yaml_handler import YamlHandler
from mm2pl.mmengine.utils import is_list_of

Handler = TypeVar("Handler", bound=type[BaseFileHandler])

file_handlers: dict[str, BaseFileHandler] = {
    "json": JsonHandler(),
    "yaml": YamlHandler(),
    "yml": YamlHandler(),
    "pickle": PickleHandler(),
    "pkl": PickleHandler(),
}


def register_handler(file_formats: str | list[str], **kwargs: Any) -> Callable[[Handler], Handler]:
    """Decorate a handler's class to register it.

    Args:
        file_formats: Endings of file names, without the dot.
        **kwargs: For the handler's constructor.
    """

    def register(cls: Handler) -> Handler:
        handler: Any = cls(**kwargs)
        if not isinstance(handler, BaseFileHandler):
            raise TypeError(f"handler must be a child of BaseFileHandler, not {type(handler)}")
        formats = [file_formats] if isinstance(file_formats, str) else file_formats
        if not is_list_of(formats, str):
            raise TypeError("file_formats must be a str or a list of str")
        file_handlers.update(dict.fromkeys(formats, handler))
        return cls

    return register
