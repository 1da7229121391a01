"""The text of a config file and what can be known about it without running it."""

from __future__ import annotations

import ast
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from types import CodeType
from typing import TypeGuard

from mm2pl.errors import ConfigKeyError, ConfigSyntaxError
from mm2pl.mmengine.config._errors import ConfigParsingError, at

BASE_KEY = "_base_"
_PREDEFINED = re.compile(
    r"\{\{\s*(fileDirname|fileBasenameNoExtension|fileBasename|fileExtname)\s*\}\}"
)
_ENVIRONMENT = re.compile(r"\{\{['\"]?\s*\$(\w+)\s*:\s*(\S*?)\s*['\"]?\}\}")
_BASE_VARIABLE = re.compile(r"\{\{\s*_base_\.([\w.]+)\s*\}\}")
# Private-use characters: no config has them, YAML and JSON let them through.
_MARK = "\ue000"


# ------------------------------------------------------------------------------------- templates
def predefined(text: str, filename: str) -> str:
    """Put ``{{ fileDirname }}`` and its kin in."""
    if "{{" not in text:
        return text
    folder, name = os.path.split(filename)
    stem, extension = os.path.splitext(name)
    values = {
        "fileDirname": folder,
        "fileBasename": name,
        "fileBasenameNoExtension": stem,
        "fileExtname": extension,
    }
    return _PREDEFINED.sub(lambda found: values[found[1]].replace("\\", "/"), text)


def environment(
    text: str, filename: str, variables: Mapping[str, str]
) -> tuple[str, dict[str, str]]:
    """Put ``{{$NAME:default}}`` in.

    Args:
        text: The text of the config.
        filename: Its file, for errors.
        variables: Normally ``os.environ``.

    Returns:
        The new text and the variables that it took from ``variables``.

    Raises:
        ConfigKeyError: A variable is not set and has no default.
    """
    used: dict[str, str] = {}
    if "{{" not in text:
        return text, used

    def value(found: re.Match[str]) -> str:
        name, default = found.groups()
        if name in variables:
            used[name] = variables[name]
        if not (result := variables.get(name, default)):
            raise ConfigKeyError(
                f"`{name}` cannot be found in `os.environ`, and has no default",
                file=at(filename, text.count("\n", 0, found.start()) + 1),
                hint=f"Please set `{name}` in the environment, or write {{{{${name}:default}}}}.",
            )
        return result

    return _ENVIRONMENT.sub(value, text), used


def base_variables(text: str) -> tuple[str, dict[str, str]]:
    """Replace ``{{_base_.x.y}}`` by strings that stand for it.

    Returns:
        The new text, and for each of the strings the dotted path, ``x.y``.
    """
    if "{{" not in text:
        return text, {}
    names: dict[str, str] = {}

    def name(found: re.Match[str]) -> str:
        mark = f"{_MARK}{BASE_KEY}.{found[1]}{_MARK}"
        names[mark] = found[1]
        return f'"{mark}"'

    return _BASE_VARIABLE.sub(name, text), names


# ------------------------------------------------------------------------------- Python configs
@dataclass(frozen=True)
class Style:
    """Whether a config is pure Python (``lazy``), the line that says so, or what is wrong."""

    lazy: bool
    line: int | None = None
    problem: str | None = None


class PythonSource:
    """A config in Python, parsed but not run.

    Args:
        text: The code, templates put in.
        filename: Its file, for errors and tracebacks.

    Raises:
        ConfigSyntaxError: The code is not Python.
    """

    def __init__(self, text: str, filename: str) -> None:
        self.text = text
        self.filename = filename
        tree = parsed(text, filename)
        self._tree: ast.Module | None = tree
        self.base_node = next((node.value for node in tree.body if is_base(node)), None)
        may_import = "import" in text or "with" in text
        self.style = _style(tree) if may_import else Style(lazy=False)

    @property
    def tree(self) -> ast.Module:
        """A syntax tree that nobody may change."""
        if self._tree is None:
            self._tree = parsed(self.text, self.filename)
        return self._tree

    def take_tree(self) -> ast.Module:
        """Return a syntax tree that the caller may change."""
        tree, self._tree = self._tree, None
        return tree or parsed(self.text, self.filename)

    @cached_property
    def bases(self) -> CodeType | None:
        """The expression that gives ``_base_``."""
        if self.base_node is None:
            return None
        return compile(ast.Expression(self.base_node), self.filename, "eval")

    def base_line(self, index: int) -> int | None:
        """Return the line of an entry of ``_base_``."""
        node = self.base_node
        elements = getattr(node, "elts", [])
        return getattr(elements[index] if index < len(elements) else node, "lineno", None)

    @cached_property
    def code(self) -> CodeType:
        """The code without its assignments to ``_base_``, to be run with ``_base_`` set."""
        tree = self.take_tree()
        if BASE_KEY in self.text or "mmengine" in self.text:
            _WithoutBase().visit(tree)
        return compile(tree, self.filename, "exec")


# Bases are shared by many configs. The whole text is the key, so a changed file is read anew.
python_source = lru_cache(maxsize=1024)(PythonSource)


def parsed(text: str, filename: str) -> ast.Module:
    """Parse Python.

    Raises:
        ConfigSyntaxError: With file and line.
    """
    try:
        return ast.parse(text, filename)
    # ValueError: null bytes; the others: nested too deeply.
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        code = (getattr(error, "text", None) or "").strip()
        code = f"{code[:100]}..." if len(code) > 100 else code
        found = ConfigSyntaxError(
            f"There are syntax errors in config file {filename}: {getattr(error, 'msg', error)}"
            + (f" in `{code}`" if code else ""),
            file=at(filename, line),
        )
        found.lineno, found.filename = line, filename
        raise found from error


def is_builtin_module(name: str) -> bool:
    """Tell whether a config may really import a module: the standard library, mmengine.config.

    Differs: MMEngine goes by paths and takes the standard library of a virtual environment, or a
    frozen module such as ``os``, for a third-party one.
    """
    return name.startswith("mmengine.config") or name.partition(".")[0] in sys.stdlib_module_names


def is_base(node: ast.AST) -> TypeGuard[ast.Assign]:
    """Tell whether a statement is ``_base_ = ...``."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == BASE_KEY
    )


def _style(tree: ast.Module) -> Style:
    for node in ast.walk(tree):
        if is_base(node):
            return Style(lazy=False)
        if isinstance(node, ast.With):
            problem = None if is_read_base(node) else "Only `read_base` context manager can be used"
            return Style(lazy=problem is None, line=node.lineno, problem=problem)
        if isinstance(node, (ast.Import, ast.ImportFrom)) and not all(
            map(is_builtin_module, _imported(node))
        ):
            return Style(lazy=True, line=node.lineno)
    return Style(lazy=False)


def _imported(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif node.level:
        yield "."
    elif not (node.module == "mmengine" and [alias.name for alias in node.names] == ["Config"]):
        yield node.module or "."


def is_read_base(node: ast.With) -> bool:
    """Tell whether a statement is ``with read_base():``."""
    call = node.items[0].context_expr
    return (
        len(node.items) == 1
        and isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "read_base"
    )


def ours(node: ast.Import | ast.ImportFrom) -> list[ast.stmt]:
    """Return what to run for an import of mmengine.config, which is ours whatever is installed."""
    if isinstance(node, ast.ImportFrom):
        if node.level == 0 and _is_mmengine(node.module or ""):
            node.module = f"mm2pl.{node.module}"
        return [node]
    result: list[ast.stmt] = []
    for alias in node.names:
        if not _is_mmengine(alias.name):
            result.append(ast.Import([alias]))
        elif alias.asname:
            result.append(ast.Import([ast.alias(f"mm2pl.{alias.name}", alias.asname)]))
        else:
            result.append(ast.Import([ast.alias(f"mm2pl.{alias.name}", "__mm2pl")]))
            result.append(ast.ImportFrom("mm2pl", [ast.alias("mmengine")], 0))
    return [ast.fix_missing_locations(ast.copy_location(new, node)) for new in result]


def _is_mmengine(module: str) -> bool:
    return module == "mmengine" or module.startswith("mmengine.")


class _WithoutBase(ast.NodeTransformer):
    """Drops assignments to ``_base_``; leaves expressions alone, they hold no statements."""

    def visit_Assign(self, node: ast.Assign) -> ast.stmt:
        return ast.copy_location(ast.Pass(), node) if is_base(node) else node

    def visit_Import(self, node: ast.Import) -> list[ast.stmt]:
        return ours(node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> list[ast.stmt]:
        return ours(node)

    def visit_Expr(self, node: ast.Expr) -> ast.Expr:
        return node


def check_style(source: PythonSource) -> Style:
    """Return the style of a config.

    Raises:
        ConfigParsingError: It has a ``with`` that is not ``read_base``.
    """
    style = source.style
    if style.problem:
        raise ConfigParsingError(
            f"{style.problem} in the config",
            file=at(source.filename, style.line),
            hint="configs in pure Python name their bases in `with read_base(): ...`.",
        )
    return style
