"""Whatever an error's hint points to exists: commands, options, extras, names, classes, keys."""

from __future__ import annotations

import ast
import functools
import importlib
import importlib.util
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from lightning.pytorch import Trainer

from mm2pl.cli import COMMANDS, make_parser
from mm2pl.translate.data import LOADER_RULES
from mm2pl.translate.hooks import DEFAULT_HOOKS
from mm2pl.translate.runtime import TOP_RULES
from mm2pl.translate.sections import SECTION_RULES
from mm2pl.translate.trainer_args import TRAINER_RULES

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "mm2pl"
# Calls that take a hint without its name, and its place among their arguments.
PLACES = {
    "problem": 2,
    "later": 2,
    "unsupported": 2,
    "_refused": 2,
    "Marker": 2,
    "UnsupportedError": 9,  # by name only
}
REPORTED = 3  # Report.unsupported(what, key_path, reason, hint) has it one place later
# Arguments of functions that are not mm2pl's, and classes of other packages.
OTHERS_ARGUMENTS = {
    "lr": "torch's optimizers",
    "max_norm": "torch.nn.utils.clip_grad_norm_",
    "drop_last": "torch's DataLoader",
    "loss": "a user's own name",
    "lr_mult": "DefaultOptimWrapperConstructor's custom_keys",
    "decay_mult": "DefaultOptimWrapperConstructor's custom_keys",
    "num_layers": "LearningRateDecayOptimizerConstructor's paramwise_cfg",
    "decay_rate": "LearningRateDecayOptimizerConstructor's paramwise_cfg",
    "tta_model": "the libraries' test scripts",
    "tta_pipeline": "the libraries' test scripts",
    "visualization": "a user's name of a default hook",
    "empty_init": "Trainer.init_module",
    "pretrained": "torchvision's models",
}
OTHERS_OPTIONS = {"--nproc_per_node": "torchrun"}
OTHERS_CLASSES = {
    "SGD": "torch",
    "EarlyStopping": "Lightning",
    "LearningRateMonitor": "Lightning",
    "VisualizationHook": "mmpretrain",
    "TestTimeAug": "mmcv",
}


class Hint(NamedTuple):
    place: str
    text: str


@functools.cache
def hints() -> tuple[Hint, ...]:
    """Return the hints in the source; what is filled in later is ``{}``."""
    return tuple(
        Hint(f"{path.relative_to(ROOT)}:{node.lineno}", text)
        for path in sorted(PACKAGE.rglob("*.py"))
        for tree in [ast.parse(path.read_text())]
        for node in _given(tree)
        for text in _texts(node, tree)
        if text.strip("{} |")
    )


def _given(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(
            "hint" in ast.unparse(target).lower() for target in node.targets
        ):
            yield node.value
        elif isinstance(node, ast.FunctionDef) and "hint" in node.name:
            yield from (
                one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value
            )  # type: ignore[misc]
        elif isinstance(node, ast.Call):
            yield from (one.value for one in node.keywords if one.arg == "hint")
            name = (
                node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            )
            place = PLACES.get(name, len(node.args))
            if name == "unsupported" and isinstance(node.func, ast.Attribute):
                place = REPORTED
            yield from node.args[place : place + 1]


def _texts(node: ast.expr, tree: ast.Module) -> Iterator[str]:
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str):
            yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = (one.value if isinstance(one, ast.Constant) else "{}" for one in node.values)
        yield "".join(map(str, parts))
    elif isinstance(node, ast.IfExp):
        yield from (*_texts(node.body, tree), *_texts(node.orelse, tree))
    elif isinstance(node, ast.BoolOp):
        for one in node.values:
            yield from _texts(one, tree)
    elif isinstance(node, ast.BinOp):
        for left in list(_texts(node.left, tree)) or ["{}"]:
            yield from (left + right for right in list(_texts(node.right, tree)) or ["{}"])
    elif isinstance(node, ast.Name):
        for other in tree.body:
            if isinstance(other, ast.Assign) and node.id in map(ast.unparse, other.targets):
                yield from _texts(other.value, tree)


# --------------------------------------------------------------------------- what a hint names


def _commands(text: str) -> Iterator[str]:
    for word in re.findall(r"(?:`|by |or )mm2pl ([a-z-]+)", text):
        if word not in COMMANDS:
            yield f"mm2pl {word}"


def _options(text: str) -> Iterator[str]:
    known = _known_options()
    for option in re.findall(r"(?<![\w-])--[a-z][\w-]*(?:\.\w+)?", text):
        section, _, argument = option.partition(".")
        if argument and section == "--trainer":
            if argument not in {"KEY", "NAME", *(rule.key for rule in TRAINER_RULES)}:
                yield option
        elif option not in known and option not in OTHERS_OPTIONS:
            yield option


@functools.cache
def _known_options() -> set[str]:
    return {option for name in COMMANDS for option in make_parser(name)._option_string_actions}


def _extras(text: str) -> Iterator[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra in re.findall(r"mm2pl\[(\w+)\]", text):
        if extra not in project["optional-dependencies"]:
            yield f"mm2pl[{extra}]"


def _documents(text: str) -> Iterator[str]:
    for name in re.findall(r"[\w/.-]+\.md\b", text):
        if not (ROOT / name).exists():
            yield name


def _names(text: str) -> Iterator[str]:
    for name in re.findall(r"\b(?:mm2pl|mmengine|torch|lightning)(?:\.\w+)+", text):
        if not _resolves(re.sub(r"^mmengine\.", "mm2pl.mmengine.", name)):
            yield name


def _resolves(name: str) -> bool:
    path, _, rest = name.partition(".")
    value: Any = importlib.import_module(path)
    for part in rest.split("."):
        path = f"{path}.{part}"
        if hasattr(value, part):
            value = getattr(value, part)
        elif importlib.util.find_spec(path) is None:  # some do not import without a GPU
            return False
    return True


def _arguments(text: str) -> Iterator[str]:
    """Yield what stands before ``=`` and is no key of a config and no argument of a function."""
    for name in re.findall(r"(?<![\w.{}-])([a-z_]\w*)=(?!=)", text):
        if name not in {*_keys(), *_parameters(), *OTHERS_ARGUMENTS}:
            yield f"{name}="


def _paths(text: str) -> Iterator[str]:
    """Yield config keys, ``section.key``, whose key nothing reads."""
    top = {rule.key for rule in TOP_RULES}
    for path in re.findall(r"(?<![\w./])[a-z_]+(?:\.[a-z_]\w*)+", text):
        first, *rest = path.split(".")
        unknown = [one for one in rest if one not in {*_keys(), *_parameters(), *OTHERS_ARGUMENTS}]
        if first in top and unknown and not _is_trainers(path):
            yield path


def _is_trainers(path: str) -> bool:
    """Tell whether it is Lightning's Trainer, not the config's section, of which something is."""
    first, _, name = path.partition(".")
    return first == "trainer" and hasattr(Trainer, name)


def _types(text: str) -> Iterator[str]:
    known = {name for kinds in _table().values() if isinstance(kinds, dict) for name in kinds}
    for name in re.findall(r"type=['\"](\w+)['\"]", text):
        if name not in known and name not in OTHERS_CLASSES:
            yield f"type={name!r}"


def _table() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PACKAGE / "translate/classes.json").read_text())
    return found


@functools.cache
def _keys() -> set[str]:
    rules = [*TOP_RULES, *(rule for rules in SECTION_RULES.values() for rule in rules)]
    keys = {rule.key for rule in rules} | {"type", *DEFAULT_HOOKS}
    keys |= {rule.key for rule in (*TRAINER_RULES, *LOADER_RULES)}
    for kinds in _table().values():
        for row in kinds.values() if isinstance(kinds, dict) else ():
            keys |= set(row["arguments"])
    return keys


@functools.cache
def _parameters() -> set[str]:
    """Return the names of all parameters of mm2pl's functions."""
    nodes = (
        node for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))
    )
    return {node.arg for node in nodes if isinstance(node, ast.arg)}


CHECKS: list[Callable[[str], Iterator[str]]] = [
    _commands,
    _options,
    _extras,
    _documents,
    _names,
    _arguments,
    _paths,
    _types,
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.strip("_"))
def test_what_hints_name_exists(check: Callable[[str], Iterator[str]]) -> None:
    wrong = [f"{place}: {name}" for place, text in hints() for name in check(text)]
    assert wrong == []


def test_hints_are_found_in_every_form() -> None:
    found = hints()
    assert len(found) > 150
    assert any("pip install 'mm2pl[drawing]'" in hint.text for hint in found)
    assert any("{}" in hint.text for hint in found)
    assert any("support.py" in hint.place for hint in found)


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (_commands, "look at it by `mm2pl inspect config.py`"),
        (_options, "give --no-such-option"),
        (_extras, "pip install 'mm2pl[plots]'"),
        (_documents, "see docs/nowhere.md"),
        (_names, "call mm2pl.mmengine.hooks.NoHook"),
        (_names, "call mmengine.hooks.NoHook"),
        (_arguments, "set no_such_key=True"),
        (_paths, "set default_hooks.checkpoint.no_such_key"),
        (_types, "write type='NoSuchHook'"),
    ],
)
def test_what_does_not_exist_is_found(check: Callable[[str], Iterator[str]], text: str) -> None:
    assert list(check(text)) != []


def test_the_lists_of_others_names_are_needed() -> None:
    texts = " ".join(hint.text for hint in hints())
    assert [name for name in OTHERS_ARGUMENTS if not re.search(rf"\b{name}\b", texts)] == []
    assert [name for name in OTHERS_OPTIONS if name not in texts] == []
    assert [name for name in OTHERS_CLASSES if f"'{name}'" not in texts] == []
