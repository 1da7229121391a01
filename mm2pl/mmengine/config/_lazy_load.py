"""Reads configs in pure Python: bases imported in ``read_base()``, other imports made lazy."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mm2pl.errors import ConfigError, ConfigKeyError, nearest
from mm2pl.mmengine.config import _source
from mm2pl.mmengine.config._dict import ConfigDict
from mm2pl.mmengine.config._errors import (
    ConfigImportError,
    ConfigParsingError,
    at,
    missing_file,
    running,
)
from mm2pl.mmengine.config._load import Reader, absolute, read
from mm2pl.mmengine.config._marks import marked
from mm2pl.mmengine.config._merge import tree
from mm2pl.mmengine.config.lazy import LazyObject
from mm2pl.mmengine.config.utils import package_folder

# Names that begin with two underscores are never part of a config.
_LAZY_NAME = "__LazyObject"


@dataclass(frozen=True)
class BaseImport:
    """``from .module import name as alias`` of a base config."""

    module: str
    names: tuple[tuple[str, str], ...]
    line: int


@dataclass(frozen=True)
class Program:
    """A config in pure Python, rewritten but not run: compiled, or a syntax tree for a reader."""

    bases: tuple[BaseImport, ...]
    code: Any
    imported: frozenset[str]


def load_lazy(
    filename: str,
    chain: tuple[str, ...] = (),
    text: str | None = None,
    reader: Reader | None = None,
) -> tuple[ConfigDict, set[str]]:
    """Read a config in pure Python and its bases.

    Args:
        filename: The file.
        chain: The files whose bases lead here.
        text: The text of the file, if it needn't be read.
        reader: What reads in place of running the code.

    Returns:
        All variables, and the names of those that are imports.

    Raises:
        ConfigError: Of the kind that fits, with file and, where known, line.
    """
    if (path := absolute(filename)) in chain:
        loop = " -> ".join((*chain[chain.index(path) :], path))
        raise ConfigParsingError(f"the bases form a circle: {loop}", file=chain[-1])
    text = read(filename) if text is None else text
    program = (rewritten if reader else compiled)(text, filename)
    variables: dict[str, Any] = {"__file__": filename, _LAZY_NAME: LazyObject}
    imported = set(program.imported)
    loaded: dict[str, ConfigDict] = {}
    for base in program.bases:
        if base.module not in loaded:
            path_of_base = _base_file(base, filename)
            loaded[base.module], names = _load_base(
                path_of_base, (*chain, path), at(filename, base.line), reader
            )
            imported |= names
        variables.update(_taken(base, loaded[base.module], filename))
    if reader:
        reader.variables(program.code, filename, variables)
    else:
        with running(filename):
            exec(program.code, variables)
    own = {key: value for key, value in variables.items() if not key.startswith("__")}
    return tree(own), imported


def _load_base(
    path: str, chain: tuple[str, ...], named_at: str, reader: Reader | None
) -> tuple[ConfigDict, set[str]]:
    try:
        return load_lazy(path, chain, reader=reader)
    except ConfigError as error:
        error.message += f"\n    inherited by {named_at}"
        raise


def _taken(base: BaseImport, values: ConfigDict, filename: str) -> Iterator[tuple[str, Any]]:
    for name, alias in base.names:
        if name == "*":
            yield from dict.items(values)
        elif name in values:
            yield alias, dict.__getitem__(values, name)
            if marked(name) in values:
                yield marked(alias), dict.__getitem__(values, marked(name))
        else:
            raise ConfigKeyError(
                f"the base config {base.module} has no {name!r}",
                file=at(filename, base.line),
                choices=nearest(name, map(str, dict.keys(values))),
            )


def _base_file(base: BaseImport, filename: str) -> str:
    """Return the file that a base is imported from."""
    level = len(base.module) - len(base.module.lstrip("."))
    parts = base.module[level:].split(".")
    where = at(filename, base.line)
    if level:
        folder = os.path.join(os.path.dirname(filename), *[".."] * (level - 1))
    elif len(parts) == 1:
        raise ConfigParsingError(
            f"the base config {parts[0]} is a package, not a file in one",
            file=where,
            hint="e.g. `with read_base(): from mmdet.configs.retinanet_r50_fpn_1x_coco import *`.",
        )
    else:
        try:
            folder = package_folder(parts.pop(0))
        except ConfigImportError as error:
            error.file = where
            raise
    path = os.path.join(folder, *parts) + ".py"
    if not os.path.isfile(path):
        found = missing_file(path)
        raise ConfigParsingError(
            f"{path} not found: {base.module} is no base config", file=where, choices=found.choices
        )
    return path


# ------------------------------------------------------------------------------------- compiling
@lru_cache(maxsize=1024)
def compiled(text: str, filename: str) -> Program:
    """Compile a config; see :func:`rewritten`."""
    program = rewritten(text, filename)
    return Program(program.bases, compile(program.code, filename, "exec"), program.imported)


def rewritten(text: str, filename: str) -> Program:
    """Parse a config: bases taken out, imports of other packages made lazy.

    Raises:
        ConfigSyntaxError, ConfigParsingError: The code is not Python or not a config's.
    """
    tree = _source.parsed(text, filename)
    bases = tuple(_take_bases(tree, filename))
    rewriter = _Imports(filename, {base.module for base in bases})
    body = rewriter.statements(tree.body)
    # MMEngine, too, has `import a.b` at the top work in lines above it.
    start = next((i for i, node in enumerate(body) if not _is_prologue(node)), len(body))
    tree.body = [*body[:start], *rewriter.packages(), *body[start:]]
    ast.fix_missing_locations(tree)
    return Program((*bases, *rewriter.more_bases), tree, frozenset(rewriter.imported))


def _take_bases(tree: ast.Module, filename: str) -> Iterator[BaseImport]:
    """Take ``with read_base():`` out of the top level; yield the imports in it."""
    body: list[ast.stmt] = []
    for node in tree.body:
        if _source.is_base(node):
            raise ConfigParsingError(
                "The configuration file type in the inheritance chain must match the current one: "
                "`_base_ = ...` does not go with a config in pure Python",
                file=at(filename, node.lineno),
                hint="inherit with `with read_base(): from .file import *`.",
            )
        if not isinstance(node, ast.With):
            body.append(node)
            continue
        if not _source.is_read_base(node):
            raise ConfigParsingError(
                "Only `read_base` context manager can be used in the config",
                file=at(filename, node.lineno),
            )
        for nested in node.body:
            yield _base_import(nested, filename)
    tree.body = body


def _base_import(node: ast.stmt, filename: str) -> BaseImport:
    if not isinstance(node, ast.ImportFrom) or node.module is None:
        raise ConfigParsingError(
            "Illegal syntax in config file: `with read_base()` may only hold "
            "`from file import ...`, and not `from . import file`",
            file=at(filename, node.lineno),
        )
    names = tuple((alias.name, alias.asname or alias.name) for alias in node.names)
    return BaseImport("." * node.level + node.module, names, node.lineno)


def _is_prologue(node: ast.stmt) -> bool:
    """Tell whether a statement must stay first: a docstring or an import from the future."""
    if isinstance(node, ast.ImportFrom):
        return node.module == "__future__"
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


class _Imports:
    """Rewrites the imports of a config, in functions and branches too."""

    def __init__(self, filename: str, bases: set[str]) -> None:
        self.filename = filename
        self.bases = bases
        self.more_bases: list[BaseImport] = []
        self.imported: set[str] = set()
        self._modules: dict[str, tuple[list[str], int]] = {}

    def statements(self, body: list[ast.stmt], top: bool = True) -> list[ast.stmt]:
        return [new for node in body for new in self._statement(node, top)]

    def _statement(self, node: ast.stmt, top: bool) -> list[ast.stmt]:
        if isinstance(node, ast.ImportFrom):
            return self._import_from(node)
        if isinstance(node, ast.Import):
            return [new for alias in node.names for new in self._import(node, alias, top)]
        self._inside(node)
        return [node]

    def _inside(self, node: ast.AST) -> None:
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            parts = getattr(node, name, None)
            if not isinstance(parts, list):
                continue
            if parts and isinstance(parts[0], ast.stmt):
                setattr(node, name, self.statements(parts, top=False) or [ast.Pass()])
            else:
                for part in parts:
                    self._inside(part)

    def _import_from(self, node: ast.ImportFrom) -> list[ast.stmt]:
        module = "." * node.level + (node.module or "")
        if module in self.bases:
            self.more_bases.append(_base_import(node, self.filename))
            return []
        if any(alias.name == "*" for alias in node.names):
            raise ConfigParsingError(
                f"Illegal syntax in config: `from {module} import *` is not allowed to appear "
                "outside of `with read_base()`",
                file=at(self.filename, node.lineno),
            )
        self.imported.update(alias.asname or alias.name for alias in node.names)
        if _source.is_builtin_module(module):
            return _source.ours(node)
        return [
            self._lazy(alias.asname or alias.name, [module, alias.name], alias.lineno)
            for alias in node.names
        ]

    def _import(self, node: ast.Import, alias: ast.alias, top: bool) -> list[ast.stmt]:
        package = alias.name.partition(".")[0]
        self.imported.add(alias.asname or package)
        if _source.is_builtin_module(alias.name) or not (alias.asname or top):
            return _source.ours(ast.copy_location(ast.Import([alias]), node))
        if alias.asname:
            return [self._lazy(alias.asname, [alias.name], node.lineno)]
        self._modules.setdefault(package, ([], alias.lineno))[0].append(alias.name)
        return []

    def packages(self) -> list[ast.stmt]:
        """Return the statements for ``import a.b; import a.c``: one lazy ``a`` with both."""
        return [
            self._lazy(package, [names], line) for package, (names, line) in self._modules.items()
        ]

    def _lazy(self, name: str, args: list[Any], line: int) -> ast.stmt:
        location = f"{self.filename}, line {line}"
        call = f"{name} = {_LAZY_NAME}({', '.join(map(repr, args))}, location={location!r})"
        node = ast.parse(call).body[0]
        for part in ast.walk(node):
            if hasattr(part, "lineno"):
                part.lineno = part.end_lineno = line  # type: ignore[attr-defined]
        return node
