"""Writes the list in docs/differences.md from what docstrings and comments mark by "Differs:".

    python tools/differences.py           write the list
    python tools/differences.py --check   exit with 1 and show the difference if it is stale
"""

from __future__ import annotations

import ast
import difflib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "differences.md"
BEGIN = "<!-- Written by `make matrix` from the code. -->\n"
MARK = "Differs:"


def generate(package: Path = ROOT / "mm2pl") -> str:
    """Return the list, one section for each of MMEngine's packages."""
    parts: dict[str, list[str]] = {}
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package.parent).with_suffix("").parts)
        module = module.removesuffix(".__init__").removeprefix("mm2pl.")
        for name, text in _differences(path.read_text()):
            # An inner module or method of ours is no name that a reader knows; its package is.
            public = [part for part in (*module.split("."), *name) if not part.startswith("_")]
            section = ".".join(module.split(".")[:2]) if module.startswith("mmengine.") else "runs"
            parts.setdefault(section, []).append(f"- `{'.'.join(public)}`: {text}\n")
    sections = [f"### {name}\n\n{''.join(lines)}" for name, lines in sorted(parts.items())]
    return "\n".join(sections)


def _differences(source: str) -> Iterator[tuple[list[str], str]]:
    """Yield the path of names within the module, and the sentences, of each mark."""
    tree = ast.parse(source)
    yield from _in_docstrings(tree, [])
    comments: list[str] = []
    for number, line in enumerate([*source.splitlines(), ""], 1):
        text = line.strip()
        if text.startswith("#"):
            comments.append(text.lstrip("# "))
        elif comments:
            joined = " ".join(comments)
            if MARK in joined:
                yield _names_around(tree, number - 1), _after_mark(joined)
            comments = []


def _in_docstrings(node: ast.AST, names: list[str]) -> Iterator[tuple[list[str], str]]:
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
        for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
            if MARK in paragraph:
                yield names, _after_mark(" ".join(paragraph.split()))
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef)):
            yield from _in_docstrings(child, [*names, child.name])


def _names_around(tree: ast.Module, line: int) -> list[str]:
    """Return the path of the class or function around a line."""
    names: list[str] = []
    node: ast.AST | None = tree
    while node is not None:
        node = next(
            (
                child
                for child in ast.iter_child_nodes(node)
                if isinstance(child, (ast.ClassDef, ast.FunctionDef))
                and child.lineno <= line <= (child.end_lineno or line)
            ),
            None,
        )
        if node is not None:
            names.append(node.name)
    return names


def _after_mark(text: str) -> str:
    """Return what follows the mark, in Markdown, less the next docstring entry if one follows."""
    text = text.partition(MARK)[2].strip()
    text = re.split(r" \w+Error: ", text)[0]
    text = re.sub(r":\w+:`[~.]?([^`]+)`", r"`\1`", text).replace("``", "`")
    return text if text.endswith(".") else f"{text}."


def main(arguments: list[str], file: Path = FILE) -> int:
    """Write or check the file; return the exit status."""
    old = file.read_text()
    if BEGIN not in old:
        sys.exit(f"{file} lacks the line {BEGIN!r}")
    text = old.partition(BEGIN)[0] + BEGIN + "\n" + generate()
    if arguments != ["--check"]:
        file.write_text(text)
        return 0
    changes = difflib.unified_diff(
        old.splitlines(), text.splitlines(), str(file), "generated", lineterm="", n=0
    )
    lines = list(changes)
    if lines:
        print("\n".join(lines), f"\n{file.name} is stale: run `make matrix`")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
