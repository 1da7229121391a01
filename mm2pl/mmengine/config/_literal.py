"""Reads a config file without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mm2pl.errors import ConfigError, ConfigSyntaxError
from mm2pl.mmengine.config import config
from mm2pl.mmengine.config._bounds import too_large
from mm2pl.mmengine.config._errors import at
from mm2pl.mmengine.config._load import Options, data
from mm2pl.mmengine.config._statements import Statements
from mm2pl.mmengine.config._unknown import unknown

_PLAIN = re.compile(r"python/(none|bool|str|unicode|bytes|int|long|float|complex|list|tuple|dict)")


class Refusal(NamedTuple):
    """A place that would have to be run.

    Attributes:
        file: The config, or the base of it, in which it stands.
        line: Its line.
        what: What stands there, e.g. ``a call of os.system``.
    """

    file: str
    line: int
    what: str


class NotLiteralError(ConfigError):
    """A config cannot be read without running it.

    Attributes:
        refusals: All places that would have to be run, the bases' first.
    """

    def __init__(self, refusals: Sequence[Refusal]) -> None:
        files = list(dict.fromkeys(one.file for one in refusals))
        self.refusals = tuple(sorted(refusals, key=lambda one: (files.index(one.file), one.line)))
        places = "".join(f"\n  {at(one.file, one.line)}: {one.what}" for one in self.refusals)
        super().__init__(
            "this config has more in it than literals, dict(...) and _base_, and cannot be read"
            f" without running it:{places}",
            hint="if you trust the file, let it run: read it without --no-exec.",
        )


def read_literal(filename: str | Path) -> config.Config:
    """Read a config file and its bases as ``Config.fromfile`` does, but run nothing of them.

    Literals, ``dict(...)``, ``list(...)`` and ``tuple(...)``, names that the file bound before,
    items and attributes of dicts, arithmetic on numbers, strings and lists of reasonable size,
    ``dict.update`` and its kin, ``_base_`` and imported bases are understood; imports of a config
    in pure Python are names only, and ``custom_imports`` is not followed.

    Args:
        filename: A Python, YAML or JSON file.

    Raises:
        NotLiteralError: Something else stands in the files; every place is named.
        ConfigError: What ``Config.fromfile`` raises.
    """
    reader = LiteralReader()
    try:
        cfg = config._read(str(filename), None, Options(reader=reader), None, False)
    except ConfigError as error:
        if reader.refusals:  # what was refused is missing, and may be the reason
            raise NotLiteralError(reader.refusals) from error
        raise
    if reader.refusals:
        raise NotLiteralError(reader.refusals)
    return cfg


class LiteralReader:
    """Reads files as data, and remembers what in them is none."""

    def __init__(self) -> None:
        self.refusals: list[Refusal] = []

    def _refuse(self, filename: str, line: int, what: str) -> None:
        refusal = Refusal(filename, line, what)
        if refusal not in self.refusals:  # bases may be read more than once
            self.refusals.append(refusal)

    def _evaluator(self, filename: str, names: dict[str, Any]) -> Statements:
        return Statements(filename, names, lambda line, what: self._refuse(filename, line, what))

    def expression(self, node: ast.expr, filename: str) -> Any:
        """Return what an expression says."""
        before = len(self.refusals)
        value = self._evaluator(filename, {"__file__": filename}).visit(node)
        return [] if len(self.refusals) > before else value

    def variables(self, tree: ast.Module, filename: str, variables: dict[str, Any]) -> None:
        """Put the variables of a Python config into ``variables``."""
        self._evaluator(filename, variables).run(tree.body)

    def data(self, text: str, filename: str) -> Any:
        """Return what a YAML or JSON file holds; tags may make no objects of Python's."""
        try:
            refused = [] if filename.endswith(".json") else list(_refused_tags(text))
            for line, tag in refused:
                self._refuse(filename, line, f"the tag {tag}")
            values = {} if refused else data(text, filename)
        except RecursionError as error:
            raise ConfigSyntaxError("the file is nested too deeply", file=filename) from error
        if problem := too_large(values):
            self._refuse(filename, 1, problem)
            return unknown()
        return values


def _refused_tags(text: str) -> Iterator[tuple[int, str]]:
    import yaml

    try:
        stack = [yaml.compose(text, getattr(yaml, "CFullLoader", yaml.FullLoader))]
    except yaml.YAMLError:
        return  # said with its line when the data are made
    seen: set[int] = set()
    while stack:
        node = stack.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        name = node.tag.removeprefix("tag:yaml.org,2002:")
        if name.startswith("python/") and not _PLAIN.fullmatch(name):
            yield node.start_mark.line + 1, node.tag
        if isinstance(node.value, list):
            for part in node.value:
                stack.extend(part if isinstance(part, tuple) else (part,))
