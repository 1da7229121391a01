"""Finds the line of a key in the text of a config, for errors."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def line_of(text: str, key_path: str | None, filename: str) -> int | None:
    """Return the line where ``key_path`` is set, or of the last key on the way that is found."""
    if not key_path:
        return None
    keys = key_path.split(".")
    if filename.endswith(".py"):
        return _line_in_python(text, keys)
    return _line_in_data(text, keys)


def _line_in_python(text: str, keys: list[str]) -> int | None:
    try:
        nodes: list[ast.AST] = list(ast.parse(text).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    line = None
    for key in keys:
        # What is set last counts.
        found = [value for node in nodes for name, value in _children(node) if name == key]
        if not found:
            break
        line, nodes = found[-1].lineno, [found[-1]]
    return line


def _children(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that a statement or an expression sets, and their values."""
    if isinstance(node, ast.Assign):
        yield from ((t.id, node.value) for t in node.targets if isinstance(t, ast.Name))
    elif isinstance(node, ast.Call):
        yield from ((k.arg, k.value) for k in node.keywords if k.arg)
    elif isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        yield from ((str(k.value), v) for k, v in pairs if isinstance(k, ast.Constant))
    elif isinstance(node, (ast.List, ast.Tuple)):
        yield from ((str(index), element) for index, element in enumerate(node.elts))


def _line_in_data(text: str, keys: list[str]) -> int | None:
    lines = text.splitlines()
    found, start = None, 0
    for key in keys:
        for number in range(start, len(lines)):
            word = lines[number].strip().lstrip("-{ ").split(":")[0].strip(" '\"")
            if word == key:
                found, start = number + 1, number
                break
        else:
            break
    return found
