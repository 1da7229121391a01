"""Handlers of file formats."""

from mm2pl.mmengine.fileio.handlers.base import BaseFileHandler
from mm2pl.mmengine.fileio.handlers.json_handler import JsonHandler
from mm2pl.mmengine.fileio.handlers.pickle_handler import PickleHandler
from mm2pl.mmengine.fileio.handlers.registry_utils import file_handlers, register_handler
from mm2pl.mmengine.fileio.handlers.yaml_handler import YamlHandler

__all__ = [
    "BaseFileHandler",
    "JsonHandler",
    "PickleHandler",
    "YamlHandler",
    "file_handlers",
    "register_handler",
]
