"""Where the keys of a config stand: the file, which may be a base, and the line."""

from __future__ import annotations

import ast
import os
import re
import warnings
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from mm2pl.errors import ConfigError
from mm2pl.mmengine.config import config
from mm2pl.mmengine.config._errors import at
from mm2pl.mmengine.config._literal import LiteralReader
from mm2pl.mmengine.config._load import Options, data
from mm2pl.mmengine.config._marks import Marks
from mm2pl.mmengine.config._statements import Statements

COMMAND_LINE = "the command line"
_PART = re.compile(r"[^.\[\]]+")


class Position(NamedTuple):
    """Where a key stands.

    Attributes:
        file: The file, absolute; or ``the command line``.
        line: Its line; None for the command line.
        exact: Whether the key itself stands there, and not only one that it belongs to.
    """

    file: str
    line: int | None
    exact: bool

    def __str__(self) -> str:
        """Return ``file:line``, the file from the working directory if it lies below it."""
        return at(shown(self.file), self.line)


def shown(file: str) -> str:
    """Return a path from the working directory if it lies below it."""
    if not os.path.isabs(file):
        return file
    relative = os.path.relpath(file)
    return file if relative.startswith("..") else relative


class Positions:
    """Tells for each key of a config where its value was set; reads the files when first asked.

    Nothing is run: what code makes is found as far as it is data; of the rest, the place of the
    nearest key around it is told.

    Args:
        file: The config file.
        options: The dotted keys that the command line sets: what ``--cfg-options`` gives.
    """

    def __init__(self, file: str | Path, options: Iterable[str] | None = None) -> None:
        self._file = str(file)
        self._options = [_parts(key) for key in options or ()]

    def find(self, key_path: str) -> Position | None:
        """Return where a key stands, or the nearest key around it.

        Args:
            key_path: E.g. ``optim_wrapper.optimizer.lr`` or ``param_scheduler[1].begin``.

        Returns:
            The position; None if not even the first key is found.
        """
        parts = _parts(key_path)
        if any(parts[: len(option)] == option for option in self._options):
            return Position(COMMAND_LINE, None, exact=True)
        values, marks = self._read
        found: Position | None = None
        while parts:
            key, rest = _step(values, parts)
            if key is None:
                return found._replace(exact=False) if found else None
            place = marks.place(values, key) if isinstance(key, str) else None
            values = values[key] if isinstance(key, int) else dict.__getitem__(values, key)
            place = place or marks.place(values)
            if place:
                found = Position(os.path.abspath(place[0]), place[1], exact=True)
            elif found:
                found = found._replace(exact=False)
            parts = rest
        return found

    @cached_property
    def _read(self) -> tuple[Any, Marks]:
        reader = _Reader()
        try:
            options = Options(reader=reader, quiet=True)
            cfg = config._read(self._file, None, options, None, False)
        except ConfigError:  # what cannot be read has no keys to ask for
            return {}, reader.marks
        return cfg._cfg_dict, reader.marks


def _parts(key_path: str) -> list[str]:
    return _PART.findall(key_path)


def _step(values: Any, parts: list[str]) -> tuple[str | int | None, list[str]]:
    """Return the next key on the way and what is left; keys may have dots themselves."""
    if isinstance(values, (list, tuple)):
        number = int(parts[0]) if parts[0].isdecimal() else len(values)
        return (number if number < len(values) else None), parts[1:]
    for count in range(len(parts), 0, -1):
        key = ".".join(parts[:count])
        if isinstance(values, dict) and key in values:
            return key, parts[count:]
    return None, parts


class _Reader(LiteralReader):
    """Reads files with the places of all keys; what would have to be run is not known."""

    def __init__(self) -> None:
        super().__init__()
        self.marks = Marks()

    def _evaluator(self, filename: str, names: dict[str, Any]) -> Statements:
        return Statements(filename, names, lambda line, what: None, self.marks)

    def expression(self, node: ast.expr, filename: str) -> Any:
        value = super().expression(node, filename)
        names = value if isinstance(value, (list, tuple)) else [value]
        return [name for name in names if isinstance(name, str)]

    def data(self, text: str, filename: str) -> Any:
        try:
            values = data(text, filename)
            if filename.endswith(".json"):
                self._mark_json(values, _python(text), filename)
            else:
                self._mark_yaml(values, _nodes(text), filename, set())
        except RecursionError:
            return {}
        return values

    def _mark_json(self, value: Any, node: ast.AST | None, filename: str) -> None:
        if isinstance(value, list) and isinstance(node, ast.List):
            for item, item_node in zip(value, node.elts, strict=False):
                self._mark_json(item, item_node, filename)
        elif isinstance(value, dict) and isinstance(node, ast.Dict):
            self.marks.itself(value, filename, node.lineno)
            for key_node, item_node in zip(node.keys, node.values, strict=True):
                if isinstance(key_node, ast.Constant) and key_node.value in value:
                    self.marks.key(value, key_node.value, filename, key_node.lineno)
                    self._mark_json(value[key_node.value], item_node, filename)

    def _mark_yaml(self, value: Any, node: Any, filename: str, seen: set[int]) -> None:
        if node is None or not isinstance(node.value, list) or id(node) in seen:
            return
        seen.add(id(node))
        if isinstance(value, (list, tuple)):
            for item, item_node in zip(value, node.value, strict=False):
                self._mark_yaml(item, item_node, filename, seen)
        elif isinstance(value, dict):
            self.marks.itself(value, filename, node.start_mark.line + 1)
            for key_node, item_node in _yaml_items(node):
                if key_node.value in value:
                    key = key_node.value
                    self.marks.key(value, key, filename, key_node.start_mark.line + 1)
                    self._mark_yaml(value[key], item_node, filename, seen)


def _python(text: str) -> ast.AST | None:
    """Parse JSON as Python, which has lines; strings may differ, but not where they stand."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # JSON has escapes that Python has not
            return ast.parse(text.strip(" \t"), mode="eval").body
    except (SyntaxError, ValueError, MemoryError):
        return None


def _nodes(text: str) -> Any:
    import yaml

    return yaml.compose(text, getattr(yaml, "CFullLoader", yaml.FullLoader))


def _yaml_items(node: Any) -> Iterable[tuple[Any, Any]]:
    """Yield the nodes of keys and values of a mapping, those that ``<<`` brings first."""
    merges = [item for key, item in node.value if key.tag == "tag:yaml.org,2002:merge"]
    for merge in merges:
        several = merge.value if merge.id == "sequence" else [merge]
        for one in reversed(several):
            yield from _yaml_items(one)
    for key, item in node.value:
        if key.tag == "tag:yaml.org,2002:str":
            yield key, item
