"""Collects the names of ``mmengine`` that a library's source uses, attribute chains included.

python used_names.py FOLDER...   prints one name a line
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path


def names_in(folder: Path) -> set[str]:
    found: set[str] = set()
    for path in sorted(folder.rglob("*.py")):
        try:
            tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
        except SyntaxError:  # templates
            continue
        found.update(names_of(tree))
    return found


def names_of(tree: ast.AST) -> Iterator[str]:
    """Yield what a module imports from mmengine and each chain of attributes on it."""
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _is_mmengine(node.module) and not node.level:
            for alias in node.names:
                bound[alias.asname or alias.name] = f"{node.module}.{alias.name}"
                yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            for alias in [alias for alias in node.names if _is_mmengine(alias.name)]:
                bound[alias.asname or "mmengine"] = alias.name if alias.asname else "mmengine"
                yield alias.name
    for node in ast.walk(tree):
        chain = _chain(node)
        if len(chain) > 1 and chain[0] in bound:
            yield ".".join([bound[chain[0]], *chain[1:]])


def _is_mmengine(name: str | None) -> bool:
    return name is not None and (name == "mmengine" or name.startswith("mmengine."))


def _chain(node: ast.AST) -> list[str]:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.insert(0, node.attr)
        node = node.value
    return [node.id, *names] if isinstance(node, ast.Name) else []


if __name__ == "__main__":
    collected: set[str] = set()
    for argument in sys.argv[1:]:
        collected |= names_in(Path(argument))
    print("\n".join(sorted(collected)))
