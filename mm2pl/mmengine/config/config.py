"""Config: what a config file says, with the interface of a dict and of an object."""

from __future__ import annotations

import os
import sys
import warnings
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from mm2pl.errors import ConfigKeyError, ConfigTypeError
from mm2pl.mmengine.config._action import DictAction
from mm2pl.mmengine.config._dict import DELETE_KEY, ConfigDict
from mm2pl.mmengine.config._errors import ConfigFileError, at, described, kind_of
from mm2pl.mmengine.config._format import python_code
from mm2pl.mmengine.config._lazy_load import load_lazy
from mm2pl.mmengine.config._lines import line_of
from mm2pl.mmengine.config._load import (
    BASE_KEY,
    DEPRECATION_KEY,
    Options,
    check_suffix,
    is_lazy,
    load,
    log,
    read,
)
from mm2pl.mmengine.config._merge import merge, scoped, tree

__all__ = [
    "BASE_KEY",
    "DELETE_KEY",
    "DEPRECATION_KEY",
    "RESERVED_KEYS",
    "Config",
    "ConfigDict",
    "DictAction",
    "add_args",
    "read_base",
]

RESERVED_KEYS = ["filename", "text", "pretty_text", "env_variables"]


class Config:
    """A config: a tree of :class:`ConfigDict`, and where it came from.

    Args:
        cfg_dict: The values.
        cfg_text: The text of the file and its bases; by default read from ``filename``.
        filename: The file.
        env_variables: The environment variables that the values depend on.
        format_python_code: Taken for compatibility; code is always formatted.

    Raises:
        ConfigTypeError: ``cfg_dict`` is no dict.
        ConfigKeyError: A key is one of :data:`RESERVED_KEYS`.
    """

    def __init__(
        self,
        cfg_dict: dict[str, Any] | None = None,
        cfg_text: str | None = None,
        filename: str | Path | None = None,
        env_variables: dict[str, str] | None = None,
        format_python_code: bool = True,
    ) -> None:
        filename = str(filename) if isinstance(filename, Path) else filename
        cfg_dict = {} if cfg_dict is None else cfg_dict
        if not isinstance(cfg_dict, dict):
            raise ConfigTypeError(f"cfg_dict must be a dict, but got {type(cfg_dict)}")
        if cfg_text is None:
            cfg_text = read(filename) if filename else ""
        for key in RESERVED_KEYS:
            if key in cfg_dict:
                raise ConfigKeyError(
                    f"{key} is reserved for config file",
                    file=filename,
                    key_path=key,
                    hint="give the key another name.",
                )
        values = cfg_dict if isinstance(cfg_dict, ConfigDict) else ConfigDict(cfg_dict)
        self.__setstate__(
            (values, filename, cfg_text, env_variables or {}, format_python_code, set())
        )

    _cfg_dict: ConfigDict
    _filename: str | None
    _text: str
    _env_variables: dict[str, str]
    _imported_names: set[str]

    # --------------------------------------------------------------------------------- reading
    @staticmethod
    def fromfile(
        filename: str | Path,
        use_predefined_variables: bool = True,
        import_custom_modules: bool = True,
        use_environment_variables: bool = True,
        lazy_import: bool | None = None,
        format_python_code: bool = True,
    ) -> Config:
        """Read a config file and its bases.

        Args:
            filename: A Python, YAML or JSON file.
            use_predefined_variables: Whether to fill in ``{{ fileDirname }}`` and its kin.
            import_custom_modules: Whether to import what ``custom_imports`` names.
            use_environment_variables: Whether to fill in ``{{$NAME:default}}``.
            lazy_import: Whether the config is in pure Python; None to find out.
            format_python_code: Taken for compatibility.

        Raises:
            ConfigError: Of the kind that fits, with file and, where known, line.
        """
        options = Options(use_predefined_variables, use_environment_variables, lazy_import is None)
        return _read(str(filename), None, options, lazy_import, import_custom_modules)

    @staticmethod
    def fromstring(cfg_str: str, file_format: str) -> Config:
        """Read a config from a string; relative bases are looked up in the current folder.

        Args:
            cfg_str: What the file would hold.
            file_format: ``.py``, ``.json``, ``.yaml`` or ``.yml``.

        Raises:
            ConfigFileError: Another ``file_format``.
        """
        if file_format not in (".py", ".json", ".yaml", ".yml"):
            raise ConfigFileError(
                f"Only py/yml/yaml/json type are supported now, not {file_format!r}"
            )
        if file_format != ".py" and "dict(" in cfg_str:
            warnings.warn('Please check "file_format", the file format may be .py')
        return _read(f"<string>{file_format}", cfg_str, Options(), None, True)

    @staticmethod
    def auto_argparser(description: str | None = None) -> tuple[ArgumentParser, Config]:
        """Read the config that the command line names; return it and a parser with its keys."""
        first = ArgumentParser(description=description)
        first.add_argument("config", help="config file path")
        cfg = Config.fromfile(first.parse_known_args()[0].config)
        parser = ArgumentParser(description=description)
        parser.add_argument("config", help="config file path")
        return add_args(parser, cfg), cfg

    # --------------------------------------------------------------------------------- writing
    @property
    def filename(self) -> str | None:
        """The file that the config was read from."""
        return self._filename

    @property
    def text(self) -> str:
        """The text of the bases and the file."""
        return self._text

    @property
    def env_variables(self) -> dict[str, str]:
        """The environment variables that were filled in."""
        return self._env_variables

    @property
    def pretty_text(self) -> str:
        """Python code that reads back as this config."""
        return python_code(self.to_dict())

    def dump(self, file: str | Path | None = None) -> str | None:
        """Write the config to a file; without one, return the text.

        The suffix decides on the format; without ``file`` that of :attr:`filename`.
        """
        if file is None:
            if self.filename is None or self.filename.endswith(".py"):
                return self.pretty_text
            return _dump(self.to_dict(), None, self.filename)
        file = str(file)
        if not file.endswith(".py"):
            return _dump(self.to_dict(), file, file)
        text = self.pretty_text
        with open(file, "w", encoding="utf-8") as opened:
            opened.write(text)
        return None

    def to_dict(self, keep_imported: bool = False) -> dict[str, Any]:
        """Return plain dicts, with dotted names for lazy objects.

        Args:
            keep_imported: Whether to keep the names that the config imported.
        """
        return self._without_imported(self._cfg_dict.to_dict(), keep_imported)

    def _to_lazy_dict(self, keep_imported: bool = False) -> dict[str, Any]:
        """Return plain dicts, with lazy objects as they are."""
        return self._without_imported(self._cfg_dict._to_lazy_dict(), keep_imported)

    def _without_imported(self, values: dict[str, Any], keep: bool) -> dict[str, Any]:
        return {k: v for k, v in values.items() if keep or k not in self._imported_names}

    @staticmethod
    def diff(cfg1: str | Config, cfg2: str | Config) -> str:
        """Return the lines in which two configs (or files) differ, coloured on a terminal."""
        import difflib

        from rich.console import Console
        from rich.text import Text

        one, two = (c if isinstance(c, Config) else Config.fromfile(c) for c in (cfg1, cfg2))
        colours = {"+": "bright_green", "-": "bright_red"}
        text = Text()
        lines = difflib.unified_diff(one.pretty_text.split("\n"), two.pretty_text.split("\n"))
        for line in lines:
            text.append(f"{line}\n", style=colours.get(line[:1], "bright_white"))
        console = Console()
        with console.capture() as capture:
            console.print(text)
        return capture.get()

    # --------------------------------------------------------------------------------- merging
    def merge_from_dict(self, options: dict[str, Any], allow_list_keys: bool = True) -> None:
        """Merge values in, given by dotted keys, as :class:`DictAction` returns them.

        Args:
            options: E.g. ``{"model.depth": 50, "pipeline.0.type": "X"}``.
            allow_list_keys: Whether numbers in keys stand for elements of lists.

        Raises:
            ConfigTypeError: A dict is to be merged into something that is none.
            ConfigKeyError: A list is shorter than the index.
        """
        nested = ConfigDict()
        for full_key, value in options.items():
            *parents, last = full_key.split(".")
            place: Any = nested
            for parent in parents:
                place = place.setdefault(parent, ConfigDict())
                if not isinstance(place, dict):
                    raise ConfigTypeError(
                        f"{parent!r} is set to {place!r} and to a dict", key_path=full_key
                    )
            place[last] = value
        object.__setattr__(self, "_cfg_dict", merge(nested, self._cfg_dict, allow_list_keys))

    # --------------------------------------------------------------- the interface of a dict
    def __repr__(self) -> str:
        return f"Config (path: {self.filename}): {self._cfg_dict!r}"

    def __len__(self) -> int:
        return len(self._cfg_dict)

    def __getattr__(self, name: str) -> Any:
        if name in _STATE:  # not there yet: while being copied or unpickled
            raise AttributeError(name)
        return getattr(self._cfg_dict, name)

    def __getitem__(self, name: str) -> Any:
        return self._cfg_dict[name]

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._cfg_dict, name, ConfigDict(value) if isinstance(value, dict) else value)

    def __setitem__(self, name: str, value: Any) -> None:
        self._cfg_dict[name] = ConfigDict(value) if isinstance(value, dict) else value

    def __iter__(self) -> Iterator[str]:
        return iter(self._cfg_dict)

    # -------------------------------------------------------------------------------- copying
    def __getstate__(self) -> tuple[Any, ...]:
        return tuple(self.__dict__[name] for name in _STATE)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__dict__.update(zip(_STATE, state, strict=True))

    def __deepcopy__(self, memo: dict[int, Any]) -> Config:
        other = memo[id(self)] = self.__class__.__new__(self.__class__)
        other.__dict__.update(deepcopy(self.__dict__, memo))
        return other

    def __copy__(self) -> Config:
        other = self.__class__.__new__(self.__class__)
        other.__dict__.update(self.__dict__, _cfg_dict=self._cfg_dict.copy())
        return other

    copy = __copy__

    # --------------------------------------- MMEngine's private names that other code calls
    @staticmethod
    def _file2dict(
        filename: str,
        use_predefined_variables: bool = True,
        use_environment_variables: bool = True,
        lazy_import: bool | None = None,
    ) -> tuple[dict[str, Any], str, dict[str, str]]:
        options = Options(use_predefined_variables, use_environment_variables, lazy_import is None)
        loaded = load(filename, options)
        return loaded.values, loaded.text, loaded.env

    @staticmethod
    def _is_lazy_import(filename: str) -> bool:
        return is_lazy(filename)

    @staticmethod
    def _merge_a_into_b(a: dict[str, Any], b: Any, allow_list_keys: bool = False) -> Any:
        return merge(a, b, allow_list_keys)

    _dict_to_config_dict = staticmethod(scoped)
    _dict_to_config_dict_lazy = staticmethod(tree)


_STATE = (
    "_cfg_dict",
    "_filename",
    "_text",
    "_env_variables",
    "_format_python_code",
    "_imported_names",
)


def _read(
    filename: str, text: str | None, options: Options, lazy_import: bool | None, custom: bool
) -> Config:
    """Read a config, from ``text`` if given."""
    path = filename if text is not None else os.path.expanduser(filename)
    if text is None:
        if os.path.isfile(path):
            check_suffix(path)
        text = read(path)
    if lazy_import or (lazy_import is None and is_lazy(path, text)):
        return _read_lazy(filename, path, text, options)
    loaded = load(path, options, text=text)
    try:
        cfg = Config(loaded.values, loaded.text, filename, loaded.env)
    except ConfigKeyError as error:
        error.file = at(path, line_of(text, error.key_path, path))
        raise
    if custom and cfg.get("custom_imports"):
        _import_custom_modules(cfg, text)
    return cfg


def _read_lazy(filename: str, path: str, text: str, options: Options) -> Config:
    before, ConfigDict.lazy = ConfigDict.lazy, True
    try:
        values, imported = load_lazy(path, text=text, reader=options.reader)
    finally:
        ConfigDict.lazy = before
    # Differs: MMEngine keeps modules, and such a config cannot be copied or pickled.
    items: dict[str, Any] = values
    for name in [key for key, value in dict.items(items) if isinstance(value, ModuleType)]:
        del items[name]
    cfg = Config(values, text, filename)
    cfg._imported_names.update(imported)
    return cfg


def _import_custom_modules(cfg: Config, text: str) -> None:
    from mm2pl.mmengine.utils import import_modules_from_strings

    custom = cfg.custom_imports
    try:
        import_modules_from_strings(**custom)
    except Exception as error:
        kind = kind_of(error)
        cause = described(error.__context__ if isinstance(error.__context__, Exception) else error)
        raise kind(
            f"Failed to import custom modules from {custom}: {cause}",
            file=at(cfg.filename or "", line_of(text, "custom_imports", cfg.filename or "")),
            key_path="custom_imports",
            hint="You should set `PYTHONPATH` to make `sys.path` include the directory which "
            f"contains your custom module; {_own_paths()}",
        ) from error


def _own_paths() -> str:
    """Return the folders of ``sys.path`` that hold neither Python itself nor its packages."""
    installed = {sys.prefix, sys.base_prefix, sys.exec_prefix}
    own = [path for path in sys.path if not path.startswith(tuple(installed))]
    return f"beside installed packages it has {', '.join(own[:5]) or 'nothing'}"


def _dump(values: dict[str, Any], file: str | None, name: str) -> str | None:
    from mm2pl.mmengine.fileio import dump

    return cast("str | None", dump(values, file=file, file_format=name.rsplit(".", 1)[-1]))


def add_args(parser: ArgumentParser, cfg: Any, prefix: str = "") -> ArgumentParser:
    """Add an option for each key of a config, ``--a.b`` for nested ones.

    Args:
        parser: What to add to; it is returned.
        cfg: The config.
        prefix: Put before each key.
    """
    for key, value in cfg.items():
        name = f"--{prefix}{key}"
        if isinstance(value, bool):
            parser.add_argument(name, action="store_true")
        elif isinstance(value, (str, int, float)):
            parser.add_argument(name, type=type(value))
        elif isinstance(value, dict):
            add_args(parser, value, f"{prefix}{key}.")
        elif isinstance(value, Iterable):
            parser.add_argument(name, type=type(next(iter(value), "")), nargs="+")
        else:
            log(f"cannot parse key {prefix}{key} of type {type(value)}")
    return parser


@contextmanager
def read_base() -> Iterator[None]:
    """Mark the imports of base configs in a config in pure Python; does nothing when run."""
    yield
