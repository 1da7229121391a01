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
MMENGINES_OWN = "_strategy"  # a name that begins with an underscore and is known all the same
Documented = ast.Module | ast.ClassDef | ast.FunctionDef


def generate(package: Path = ROOT / "mm2pl") -> str:
    """Return the list, one section for each of MMEngine's packages."""
    parts: dict[str, list[str]] = {}
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package.parent).with_suffix("").parts)
        module = module.removesuffix(".__init__").removeprefix("mm2pl.")
        section = ".".join(module.split(".")[:2]) if module.startswith("mmengine.") else "runs"
        for node, names, text in _differences(path.read_text()):
            line = f"- `{_visible([*module.split('.'), *names])}`: {_context(node, module)}{text}\n"
            parts.setdefault(section, []).append(line)
    sections = [f"### {name}\n\n{''.join(lines)}" for name, lines in sorted(parts.items())]
    return "\n".join(sections)


def _visible(path: list[str]) -> str:
    """Join a path of names without those behind the curtain, which no reader knows."""
    return ".".join(part for part in path if not part.startswith("_") or part == MMENGINES_OWN)


def _context(node: Documented, module: str) -> str:
    """Return what a private thing does, since its name does not say it."""
    path = f"{module}.{getattr(node, 'name', '')}".replace(MMENGINES_OWN, "")
    private = "._" in f".{path}"
    summary = " ".join((ast.get_docstring(node) or "").split()).partition(". ")[0]
    if not private or isinstance(node, ast.ClassDef) or not summary:
        return ""
    return _markdown(f"({summary[0].lower()}{summary[1:].rstrip('.')}) ")


def _differences(source: str) -> Iterator[tuple[Documented, list[str], str]]:
    """Yield the node, the path of names within the module, and the sentences, of each mark."""
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
                yield *_around(tree, number - 1), _after_mark(joined)
            comments = []


def _in_docstrings(
    node: Documented, names: list[str]
) -> Iterator[tuple[Documented, list[str], str]]:
    for paragraph in (ast.get_docstring(node) or "").split("\n\n"):
        if MARK in paragraph:
            yield node, names, _after_mark(" ".join(paragraph.split()))
    for child in _members(node):
        yield from _in_docstrings(child, [*names, child.name])


def _members(node: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.ClassDef, ast.FunctionDef)):
            yield child


def _around(tree: ast.Module, line: int) -> tuple[Documented, list[str]]:
    """Return the innermost class or function around a line, and the path of its name."""
    node: Documented = tree
    names: list[str] = []
    inside = True
    while inside:
        inside = False
        for child in _members(node):
            if child.lineno <= line <= (child.end_lineno or line):
                node, inside = child, True
                names.append(child.name)
                break
    return node, names


def _after_mark(text: str) -> str:
    """Return what follows the mark, in Markdown, less the next docstring entry if one follows."""
    text = text.partition(MARK)[2].strip()
    text = re.split(r" \w+Error: ", text)[0]
    return _markdown(text if text.endswith(".") else f"{text}.")


def _markdown(text: str) -> str:
    return re.sub(r":\w+:`[~.]?([^`]+)`", r"`\1`", text).replace("``", "`")


def renewed(document: str) -> str:
    """Return a document with the list after the mark written anew."""
    if BEGIN not in document:
        raise ValueError(f"the document lacks the line {BEGIN!r}")
    return document.partition(BEGIN)[0] + BEGIN + "\n" + generate()


def main(arguments: list[str]) -> int:
    """Write or check the list; return the exit status."""
    old = FILE.read_text()
    new = renewed(old)
    if arguments != ["--check"]:
        FILE.write_text(new)
        return 0
    if new != old:
        changes = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
        print(*changes, f"{FILE.name} is stale: run `make matrix`", sep="\n")
    return int(new != old)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
