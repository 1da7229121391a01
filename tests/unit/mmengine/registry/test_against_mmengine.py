"""Every case of cases.py ends as with MMEngine: in the same value or the same kind of error."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("cases.py")
ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="module")
def outcomes(reference: Any) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    theirs = json.loads(reference.process(str(SCRIPT), "mmengine").splitlines()[-1])
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "mm2pl.mmengine"],
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    ours = json.loads(done.stdout.splitlines()[-1])
    assert list(ours) == list(theirs)
    return {name: (ours[name], theirs[name]) for name in ours}


@pytest.mark.parametrize("kind", ["value", "raises"])
def test_outcomes_are_those_of_mmengine(kind: str, outcomes: Any) -> None:
    differing = {
        name: pair for name, pair in outcomes.items() if kind in pair[1] and not _agree(*pair)
    }
    assert sum(kind in theirs for _, theirs in outcomes.values()) > 150
    assert differing == {}


def _agree(ours: dict[str, Any], theirs: dict[str, Any]) -> bool:
    if "value" in theirs:
        return ours == theirs
    return theirs["raises"][0] in ours.get("raises", [])


# What code and tests written for MMEngine match with ``pytest.raises(..., match=...)``.
PHRASES = {
    "register twice": "len is already registered in r at builtins",
    "register not callable": "module must be Callable, but got <class 'int'>",
    "register name is a number": (
        "name must be None, an instance of str, or a sequence of str, but got <class 'int'>"
    ),
    "register force is a number": "force must be a boolean, but got <class 'int'>",
    "two_children_of_one_scope": "scope hound exists in dogs registry",
    "default_scope_of_wrong_type": "scope_name should be a string, but got 1",
    "build no dict": "cfg should be a dict, ConfigDict or Config, but got <class 'str'>",
    "build empty": '`cfg` or `default_args` must contain the key "type", but got {}',
    "build type number": "type must be a str or valid type, but got <class 'int'>",
    "build default_args number": (
        "default_args should be a dict, ConfigDict, Config or None, but got <class 'int'>"
    ),
    "registry_of_wrong_type": "registry must be a mmengine.Registry object, but got <class 'str'>",
    "build unknown": "Thnig is not in the things::things registry.",
    "build missing argument": "__init__() missing 1 required positional argument: 'size'",
    "build wrong argument": "__init__() got an unexpected keyword argument 'sise'",
    "build_scheduler_from_cfg convert by iteration": (
        "Only epoch-based parameter scheduler can be converted to iter-based, and "
        "`epoch_length` should be set"
    ),
}


@pytest.mark.parametrize("name", PHRASES)
def test_messages_hold_the_phrase_that_code_for_mmengine_matches(name: str, outcomes: Any) -> None:
    ours, theirs = outcomes[name]
    assert PHRASES[name] in _text(theirs["says"])
    assert PHRASES[name] in ours["says"]


def _text(says: str) -> str:
    """Return the message; ``str`` of a KeyError is the repr of it."""
    return str(ast.literal_eval(says)) if says[:1] in "'\"" else says
