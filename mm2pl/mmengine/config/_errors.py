"""Errors of reading configs, each also an instance of what MMEngine raises in its place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from mm2pl.errors import (
    ConfigAssertionError,
    ConfigError,
    ConfigFileNotFoundError,
    ConfigKeyError,
    ConfigSyntaxError,
    ConfigTypeError,
    Mm2plError,
    nearest,
)


class ConfigParsingError(ConfigError, RuntimeError):
    """A config mixes styles or uses syntax that configs do not have."""


class ConfigImportError(ConfigError, ModuleNotFoundError):
    """A module or package that a config names cannot be imported or found."""


class ConfigFileError(ConfigError, OSError):
    """A file cannot be read, or its suffix is none of ``.py``, ``.yaml``, ``.yml``, ``.json``."""


class ConfigAttributeError(ConfigError, AttributeError):
    """The code of a config reads an attribute that does not exist."""


class ConfigNameError(ConfigError, NameError):
    """The code of a config reads a name that does not exist."""


# A KeyError is also a LookupError and so on: the first that fits counts.
_KINDS: tuple[tuple[type[Exception], type[ConfigError]], ...] = (
    (KeyError, ConfigKeyError),
    (TypeError, ConfigTypeError),
    (SyntaxError, ConfigSyntaxError),
    (FileNotFoundError, ConfigFileNotFoundError),
    (OSError, ConfigFileError),
    (ImportError, ConfigImportError),
    (AttributeError, ConfigAttributeError),
    (NameError, ConfigNameError),
    (AssertionError, ConfigAssertionError),
    (RuntimeError, ConfigParsingError),
)


def kind_of(error: Exception) -> type[ConfigError]:
    """Return the config error that is caught by the same ``except`` as ``error``."""
    return next((ours for theirs, ours in _KINDS if isinstance(error, theirs)), ConfigError)


def described(error: Exception) -> str:
    """Return ``KeyError: 'x'`` and the like: a type and its message in one line."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


@contextmanager
def running(filename: str) -> Iterator[None]:
    """Turn errors that the code of a config raises into ones that say file and line."""
    try:
        yield
    except Mm2plError:
        raise
    except Exception as error:
        raise _in_config(error, filename) from error


def _in_config(error: Exception, filename: str) -> ConfigError:
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == filename:
            line = trace.tb_lineno
        trace = trace.tb_next
    return kind_of(error)(
        f"the config raised {described(error)}", file=at(filename, line), hint=_hint(error)
    )


def _hint(error: Exception) -> str | None:
    if isinstance(error, KeyError) or "'ConfigDict'" in str(error):
        return "a key read through _base_ must be set by one of the files that _base_ lists."
    if isinstance(error, NameError):
        return "values of a base config are read as _base_.name."
    return None


def at(filename: str, line: int | None) -> str:
    """Return ``file:line``, or the file alone."""
    return f"{filename}:{line}" if line else filename


def missing_file(
    path: str, *, named_by: str | None = None, line: int | None = None
) -> ConfigFileNotFoundError:
    """Say that ``path`` does not exist, with the files of its folder that look like it."""
    folder, name = os.path.split(path)
    if not os.path.isdir(folder or "."):
        hint = f"the folder {folder} does not exist."
        choices: list[str] = []
    else:
        hint = f"the folder {folder or os.getcwd()} exists; check the name."
        choices = nearest(name, _config_names(folder or "."))
    what = "config file" if named_by is None else "base config"
    wrong = "is a folder" if os.path.isdir(path) else "does not exist"
    if os.path.isdir(path):
        hint = "name a file in it."
    return ConfigFileNotFoundError(
        f'{what} "{path}" {wrong}',
        file=None if named_by is None else at(named_by, line),
        choices=choices,
        hint=hint,
    )


def _config_names(folder: str) -> Iterable[str]:
    return (name for name in os.listdir(folder) if name.endswith((".py", ".yaml", ".yml", ".json")))
