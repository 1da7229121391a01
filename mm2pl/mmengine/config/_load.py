"""Reads configs in the style of ``_base_ = [...]``: Python, YAML and JSON files and their bases."""

from __future__ import annotations

import ast
import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import FunctionType, ModuleType
from typing import Any, Protocol

from mm2pl.errors import ConfigError, ConfigKeyError, ConfigSyntaxError, ConfigTypeError
from mm2pl.mmengine.config import _source
from mm2pl.mmengine.config._bounds import too_large
from mm2pl.mmengine.config._dict import ConfigDict
from mm2pl.mmengine.config._errors import (
    ConfigFileError,
    ConfigParsingError,
    at,
    missing_file,
    running,
)
from mm2pl.mmengine.config._lines import line_of
from mm2pl.mmengine.config._merge import merge, scoped, substituted
from mm2pl.mmengine.config.utils import (
    _get_external_cfg_base_path,
    _get_package_and_cfg_path,
    package_folder,
)

BASE_KEY = _source.BASE_KEY
DEPRECATION_KEY = "_deprecation_"
_SUFFIXES = (".py", ".json", ".yaml", ".yml")


class Reader(Protocol):
    """Finds out what files say in another way than by running them."""

    def expression(self, node: ast.expr, filename: str) -> Any:
        """Return what stands right of ``_base_ =``."""

    def variables(self, tree: ast.Module, filename: str, variables: dict[str, Any]) -> None:
        """Put the variables of a config into ``variables``."""

    def data(self, text: str, filename: str) -> Any:
        """Return what a YAML or JSON file holds."""


@dataclass(frozen=True)
class Options:
    """How to read: the arguments of ``Config.fromfile``, and what only mm2pl itself asks for.

    Attributes:
        reader: What reads in place of running the code.
        quiet: Whether warnings and remarks are left out: the config was read before.
    """

    predefined: bool = True
    environment: bool = True
    check_style: bool = True
    reader: Reader | None = None
    quiet: bool = False


@dataclass
class Loaded:
    """What a config and its bases say."""

    values: dict[str, Any]
    text: str
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Template:
    """The text of one file with its templates put in: all that is known before running it."""

    filename: str
    raw: str
    text: str
    env: dict[str, str]
    base_variables: dict[str, str]


def absolute(filename: str) -> str:
    return os.path.abspath(os.path.expanduser(filename))


def read(filename: str) -> str:
    """Return the text of a file.

    Raises:
        ConfigFileNotFoundError: There is none.
        ConfigSyntaxError: It is no UTF-8.
    """
    try:
        with open(filename, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError as error:
        raise missing_file(filename) from error
    except OSError as error:
        raise ConfigFileError(
            f"the file cannot be read: {error.strerror}", file=filename
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigSyntaxError(f"the file is not UTF-8 text: {error}", file=filename) from error


def check_suffix(filename: str) -> None:
    """Raise ConfigFileError unless the suffix is one of a config's."""
    if not filename.endswith(_SUFFIXES):
        raise ConfigFileError(
            f"Only py/yml/yaml/json type are supported now, not {os.path.basename(filename)!r}",
            file=filename,
        )


def is_lazy(filename: str, text: str | None = None) -> bool:
    """Tell whether a file is a config in pure Python.

    Raises:
        ConfigParsingError: It uses a ``with`` that is not ``read_base``.
    """
    if not filename.endswith(".py"):
        return False
    source = _raw_source(filename, read(filename) if text is None else text)
    return source is not None and _source.check_style(source).lazy


def _raw_source(filename: str, text: str) -> _source.PythonSource | None:
    """Parse the text as it stands; None if only its templates make it Python."""
    try:
        return _source.python_source(text, filename)
    except ConfigSyntaxError:
        if "{{" in text:
            return None
        raise


def load(
    filename: str, options: Options, chain: tuple[str, ...] = (), text: str | None = None
) -> Loaded:
    """Read a config and its bases.

    Args:
        filename: The file.
        options: How to read.
        chain: The files whose bases lead here.
        text: The text of the file, if it needn't be read.

    Raises:
        ConfigError: Of the kind that fits, with file and, where known, line.
    """
    if not filename.startswith("<"):  # a string has no path
        filename = absolute(filename)
    if filename in chain:
        loop = " -> ".join((*chain[chain.index(filename) :], filename))
        raise ConfigParsingError(f"the bases form a circle: {loop}", file=chain[-1])
    check_suffix(filename)
    raw = read(filename) if text is None else text
    if options.check_style:
        _check_not_lazy(filename, raw, chain)
    template = fill(filename, raw, options)
    load_with_bases = _load_python if filename.endswith(".py") else _load_data
    values, base, texts = load_with_bases(template, options, (*chain, filename))
    _warn_deprecated(values, filename, options.quiet)
    values = substituted(
        values, template.base_variables, lambda path: _lookup(base.values, path, template)
    )
    values.pop(BASE_KEY, None)
    merged = _blamed(partial(merge, values, base.values), template)
    return Loaded(
        {key: value for key, value in dict.items(merged) if not _is_private(key, filename)},
        "\n".join([*texts, f"{filename}\n{raw}"]),
        {**template.env, **base.env},
    )


def fill(filename: str, raw: str, options: Options) -> Template:
    """Put the templates of a file in."""
    text = _source.predefined(raw, filename) if options.predefined else raw
    env: dict[str, str] = {}
    if options.environment:
        text, env = _source.environment(text, filename, os.environ)
        for name, value in () if options.quiet else env.items():
            log(f"Using env variable `{name}` with value of {value} to replace item in config.")
    text, base_variables = _source.base_variables(text)
    return Template(filename, raw, text, env, base_variables)


# ------------------------------------------------------------------------------ the kinds of file
def _load_python(
    template: Template, options: Options, chain: tuple[str, ...]
) -> tuple[dict[str, Any], Loaded, list[str]]:
    source = _source.python_source(template.text, template.filename)
    names = _names_of_bases(source, options.reader)
    base, texts = _load_bases(names, template, options, chain, source.base_line)
    return run(source, base.values, options.reader), base, texts


def _names_of_bases(source: _source.PythonSource, reader: Reader | None) -> Any:
    if source.base_node is None or source.bases is None:
        return []
    if reader:
        return reader.expression(source.base_node, source.filename)
    with running(source.filename):
        return eval(source.bases, {"os": os, "osp": os.path, "__file__": source.filename})


def run(
    source: _source.PythonSource, base: dict[str, Any], reader: Reader | None = None
) -> dict[str, Any]:
    """Run the code of a config; return its variables without functions and modules.

    Raises:
        ConfigError: What the code raised, of the same kind.
    """
    variables: dict[str, Any] = {BASE_KEY: base, "__file__": source.filename}
    if reader:
        reader.variables(source.tree, source.filename, variables)
    else:
        with running(source.filename):
            exec(source.code, variables)
    return {
        key: value
        for key, value in variables.items()
        if not (key == BASE_KEY or key.startswith("__"))
        and not isinstance(value, (FunctionType, ModuleType))
    }


def _load_data(
    template: Template, options: Options, chain: tuple[str, ...]
) -> tuple[dict[str, Any], Loaded, list[str]]:
    filename = template.filename
    parse = options.reader.data if options.reader else data
    values = parse(template.text, filename)
    if options.reader is None and "*" in template.text and (problem := too_large(values)):
        raise ConfigSyntaxError(f"its aliases make {problem}", file=filename)
    if not isinstance(values, dict):
        raise ConfigTypeError(
            f"the file holds a {type(values).__name__}, not a mapping", file=filename
        )
    base, texts = _load_bases(
        values.get(BASE_KEY, []), template, options, chain, lambda index: None
    )
    return values, base, texts


def data(text: str, filename: str) -> Any:
    """Parse YAML or JSON."""
    return (json_data if filename.endswith(".json") else yaml_data)(text, filename)


def yaml_data(text: str, filename: str) -> Any:
    """Parse YAML. Differs: tags may make tuples, but no other Python objects."""
    import yaml

    try:
        return yaml.load(text, Loader=getattr(yaml, "CFullLoader", yaml.FullLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigSyntaxError(
            f"this is not YAML: {problem}", file=at(filename, mark.line + 1 if mark else None)
        ) from error


def json_data(text: str, filename: str) -> Any:
    """Parse JSON."""
    import json

    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigSyntaxError(
            f"this is not JSON: {error.msg}", file=at(filename, error.lineno)
        ) from error


# ------------------------------------------------------------------------------------------ bases
def _load_bases(
    names: Any,
    template: Template,
    options: Options,
    chain: tuple[str, ...],
    line: Callable[[int], int | None],
) -> tuple[Loaded, list[str]]:
    """Read all bases; return them as one, and the texts of each."""
    values = ConfigDict()
    origin: dict[str, str] = {}
    result = Loaded(values, "")
    texts: list[str] = []
    for index, name in enumerate(names if isinstance(names, (list, tuple)) else [names]):
        where = at(template.filename, line(index))
        path, scope = _blamed(partial(base_path, name, template.filename), template, where)
        if not os.path.isfile(path):
            raise missing_file(path, named_by=template.filename, line=line(index))
        loaded = _load_base(path, options, chain, where)
        if twice := [key for key in loaded.values if key in values]:
            raise ConfigKeyError(
                f"Duplicate key is not allowed among bases. Duplicate keys: {sorted(twice)}, "
                f"in {path} and in {origin[twice[0]]}",
                file=where,
                key_path=twice[0],
                hint="let one base be the base of the other, or set the keys in one of them only.",
            )
        dict.update(values, scoped(loaded.values, scope))
        origin.update(dict.fromkeys(loaded.values, path))
        texts.append(loaded.text)
        result.env.update(loaded.env)
    return result, texts


def _load_base(path: str, options: Options, chain: tuple[str, ...], named_at: str) -> Loaded:
    try:
        return load(path, options, chain)
    except ConfigError as error:
        error.message += f"\n    inherited by {named_at}"
        raise


def base_path(name: Any, filename: str) -> tuple[str, str | None]:
    """Return the file that an entry of ``_base_`` means and, for another package, its scope.

    Raises:
        ConfigError: The entry is no string, or the package or its config does not exist.
    """
    if not isinstance(name, str):
        raise ConfigTypeError(f"an entry of _base_ must be a str, not {name!r}", key_path=BASE_KEY)
    if "::" not in name:
        return absolute(os.path.join(os.path.dirname(filename), os.path.expanduser(name))), None
    package, path = _get_package_and_cfg_path(name)
    return _get_external_cfg_base_path(package_folder(package), path), name.partition("::")[0]


def _check_not_lazy(filename: str, raw: str, chain: tuple[str, ...]) -> None:
    if not is_lazy(filename, raw):
        return
    source = _raw_source(filename, raw)
    line = source.style.line if source else None
    raise ConfigParsingError(
        "The configuration file type in the inheritance chain must match the current one: "
        "`with read_base()` or the import of a non-builtin module makes this a config in pure "
        "Python, and `_base_ = ...` does not inherit from such",
        file=at(filename, line),
        hint="remove the import, or inherit with `with read_base():`.",
    )


# --------------------------------------------------------------------------------------- small ones
def _blamed(action: Callable[[], Any], template: Template, where: str | None = None) -> Any:
    """Run ``action``; errors without a file get this one, and the line of their key."""
    try:
        return action()
    except ConfigError as error:
        if error.file is None:
            line = line_of(template.text, error.key_path, template.filename)
            error.file = where or at(template.filename, line)
        raise


def _lookup(base: Mapping[str, Any], path: str, template: Template) -> Any:
    value: Any = base
    for key in path.split("."):
        try:
            value = value[key]
        except (KeyError, TypeError, IndexError) as error:
            place = template.raw.find(f"{BASE_KEY}.{path}")
            line = template.raw.count("\n", 0, place) + 1 if place >= 0 else None
            raise ConfigKeyError(
                f"no base of the config sets {path!r}: {type(error).__name__}: {error}",
                file=at(template.filename, line),
                key_path=f"{BASE_KEY}.{path}",
            ) from error
    return value


def _is_private(key: Any, filename: str) -> bool:
    if not isinstance(key, str):
        raise ConfigTypeError(f"a key at the top level must be a str, not {key!r}", file=filename)
    return key.startswith("__")


def _warn_deprecated(values: dict[str, Any], filename: str, quiet: bool) -> None:
    if DEPRECATION_KEY not in values:
        return
    info = values.pop(DEPRECATION_KEY)
    if quiet:
        return
    message = f"The config file {filename} will be deprecated in the future."
    if "expected" in info:
        message += f" Please use {info['expected']} instead."
    if "reference" in info:
        message += f" More information can be found at {info['reference']}"
    warnings.warn(message, DeprecationWarning)


def log(message: str) -> None:
    """Log, with MMEngine's logger only if something uses it already: importing it is slow."""
    ours = sys.modules.get("mm2pl.mmengine.logging")
    if ours is not None and hasattr(ours, "print_log"):
        ours.print_log(message, logger="current")
    else:
        logging.getLogger("mm2pl").info(message)
