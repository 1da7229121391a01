"""What each test uses, read from its source: classes with arguments, names, runner's attributes.

A test's own code counts, and what it reaches by name in its module: helpers, tables, fixtures.
Code that runs with both engines lies in files beside the tests; it belongs to the tests of the
same folder that name the file.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
_WORD = re.compile(r"[A-Za-z_]\w*")
_TRAINER = re.compile(r"\btrainer\.(\w+)")


@dataclass
class Uses:
    """What some code uses.

    Attributes:
        words: Identifiers, of code within strings too.
        given: Class -> the arguments that it is given, by name.
        positional: Class -> the largest number of arguments without a name.
        attributes: What is read of something that is called ``runner``.
        trainer: Arguments of the Trainer: ``trainer=dict(NAME=...)`` and ``--trainer.NAME``.
        imported: Names that are imported, with their module.
        proves: The rows that a mark claims.
    """

    words: set[str] = field(default_factory=set)
    given: dict[str, set[str]] = field(default_factory=dict)
    positional: dict[str, int] = field(default_factory=dict)
    attributes: set[str] = field(default_factory=set)
    trainer: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)
    proves: set[str] = field(default_factory=set)

    def add(self, other: Uses) -> None:
        for name in ("words", "attributes", "trainer", "imported", "proves"):
            getattr(self, name).update(getattr(other, name))
        for kind, names in other.given.items():
            self.given.setdefault(kind, set()).update(names)
        for kind, count in other.positional.items():
            self.positional[kind] = max(count, self.positional.get(kind, 0))


def by_test(folder: Path = TESTS) -> dict[str, Uses]:
    """Return what each test function, ``path::name``, and each file of cases, ``path``, uses."""
    found: dict[str, Uses] = {}
    for path in sorted(folder.rglob("*.py")):
        place = path.relative_to(folder).as_posix()
        if path.name.startswith("test_"):
            found.update({f"{place}::{test}": uses for test, uses in _tests_of(path)})
        elif not place.startswith("parity/") and path.name != "conftest.py" and _tests_beside(path):
            uses = Uses()
            for unit in _units(ast.parse(path.read_text())).values():
                uses.add(unit)
            found[place] = uses
    return found


def _tests_beside(path: Path) -> list[Path]:
    """Return the tests that run a file of cases: they or their conftest.py name it."""
    here = [*path.parent.glob("*.py"), *path.parent.parent.glob("*.py")]
    words = (path.stem, path.parent.name)
    return [
        one for one in here if one.name.startswith(("test_", "conftest")) and _names(one, words)
    ]


def _names(path: Path, words: tuple[str, ...]) -> bool:
    text = path.read_text()
    return any(re.search(rf"\b{word}\b", text) for word in words)


def _tests_of(path: Path) -> Iterator[tuple[str, Uses]]:
    tree = ast.parse(path.read_text())
    units = _units(tree)
    everywhere = units.get("pytestmark", Uses())
    for name, own in units.items():
        if not name.startswith("test_"):
            continue
        uses, waiting, seen = Uses(), [own], {name}
        while waiting:
            unit = waiting.pop()
            uses.add(unit)
            fresh = {word for word in unit.words if word in units} - seen
            seen |= fresh
            waiting += [units[word] for word in sorted(fresh) if not word.startswith("test_")]
        uses.proves = own.proves | everywhere.proves
        yield name, uses


def _units(tree: ast.Module) -> dict[str, Uses]:
    """Return what each name that a module binds at its top level uses; "" holds the rest."""
    units: dict[str, Uses] = {}
    for statement in tree.body:
        uses = _uses(statement)
        uses.proves = set(_claims(statement))
        for name in _bound(statement) or [""]:
            units.setdefault(name, Uses()).add(uses)
    return units


def _claims(statement: ast.stmt) -> Iterator[str]:
    """Yield the rows in the marks of a test, or of all of a module's."""
    marks: list[ast.expr] = []
    if isinstance(statement, ast.FunctionDef):
        marks = statement.decorator_list
    elif isinstance(statement, ast.Assign) and _bound(statement) == ["pytestmark"]:
        marks = [node for node in ast.walk(statement.value) if isinstance(node, ast.Call)]
    for mark in marks:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.proves":
            yield from (row for one in mark.args for row in _expanded(ast.literal_eval(one)))


def _bound(statement: ast.stmt) -> list[str]:
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return [statement.name]
    if isinstance(statement, ast.Assign):
        targets = [node for target in statement.targets for node in ast.walk(target)]
        return [node.id for node in targets if isinstance(node, ast.Name)]
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        return [statement.target.id]
    return []


def _uses(tree: ast.AST) -> Uses:
    uses = Uses()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            uses.words.add(node.id)
        elif isinstance(node, ast.arg):  # of a test: a fixture
            uses.words.add(node.arg)
        elif isinstance(node, ast.Attribute):
            uses.words.add(node.attr)
            if isinstance(node.value, ast.Name) and node.value.id in ("runner", "self_runner"):
                uses.attributes.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            uses.imported |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            _read_string(node.value, uses)
        elif isinstance(node, ast.Call):
            _read_call(node, uses)
        elif isinstance(node, ast.Dict):
            _read_dict(node, uses)
        elif isinstance(node, (ast.Tuple, ast.List)):
            _read_pair(node.elts, uses)
    return uses


def _read_string(text: str, uses: Uses) -> None:
    uses.trainer |= set(_TRAINER.findall(text))
    if "\n" not in text:
        if text.isidentifier():
            uses.words.add(text)
        return
    try:
        uses.add(_uses(ast.parse(text)))
    except SyntaxError:
        uses.words |= set(_WORD.findall(text))


def _last_name(node: ast.AST | None) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.rsplit(".", 1)[-1]
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _give(uses: Uses, kind: str, names: set[str], positional: int = 0) -> None:
    if kind:
        uses.given.setdefault(kind, set()).update(names)
        uses.positional[kind] = max(positional, uses.positional.get(kind, 0))


def _read_call(node: ast.Call, uses: Uses) -> None:
    name = _last_name(node.func)
    keywords = {one.arg: one.value for one in node.keywords if one.arg}
    uses.trainer |= _names_in(keywords.get("trainer"))
    if name == "dict":
        _give(uses, _last_name(keywords.pop("type", None)), set(keywords))
    else:
        _give(uses, name, set(keywords), len(node.args))
        if node.args:  # _make(CheckpointHook, interval=1)
            _give(uses, _last_name(node.args[0]), set(keywords))
            _read_pair(node.args, uses)


def _read_dict(node: ast.Dict, uses: Uses) -> None:
    given = dict(zip(_keys(node), node.values, strict=True))
    uses.trainer |= _names_in(given.get("trainer"))
    _give(uses, _last_name(given.pop("type", None)), {key for key in given if key})


def _keys(node: ast.Dict) -> list[str]:
    return [key.value if isinstance(key, ast.Constant) else "" for key in node.keys]


def _read_pair(parts: list[ast.expr], uses: Uses) -> None:
    """Read ``("StepLR", dict(gamma=...))`` and the like."""
    kinds = [_last_name(part) for part in parts]
    for part in parts:
        names = _names_in(part)
        for kind in kinds if names else []:
            _give(uses, kind, names)


def _names_in(node: ast.AST | None) -> set[str]:
    """Return the keys of a dict that stands there in either form."""
    if isinstance(node, ast.Dict):
        return set(_keys(node)) - {""}
    if isinstance(node, ast.Call) and _last_name(node.func) == "dict":
        return {one.arg for one in node.keywords if one.arg}
    return set()


def _expanded(pattern: str) -> list[str]:
    """Return ``a.{b,c}`` as ``a.b`` and ``a.c``."""
    head, brace, rest = pattern.partition("{")
    if not brace:
        return [pattern]
    inner, _, tail = rest.partition("}")
    return [one for part in inner.split(",") for one in _expanded(f"{head}{part.strip()}{tail}")]


def marks(found: Mapping[str, Uses]) -> dict[str, list[str]]:
    """Return the rows that marks claim, each with its tests."""
    claimed: dict[str, list[str]] = {}
    for test, uses in found.items():
        for row in sorted(uses.proves):
            claimed.setdefault(row, []).append(test)
    return claimed
