"""Runs the same cases with mm2pl here and with MMEngine in a process of its own.

A file of cases defines ``CASES``, a dict of functions that take a :class:`Package` and return
what is to be equal.
"""

from __future__ import annotations

import builtins
import json
import re
import runpy
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[4]


class Package:
    """The package under test: ``package.utils`` is mmengine.utils, or ours."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, submodule: str) -> Any:
        return import_module(f"{self._name}.{submodule}")

    def module(self, dotted: str) -> Any:
        return import_module(f"{self._name}.{dotted}")


def plain(value: Any) -> Any:
    """Turn a value into JSON that still tells types apart."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (int, float)):
        return {type(value).__name__: repr(value)}
    if isinstance(value, dict):
        return {type(value).__name__: [[plain(k), plain(v)] for k, v in value.items()]}
    if isinstance(value, Raised):
        return {"raises": list(value)}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        return {type(value).__name__: [plain(item) for item in value]}
    if hasattr(value, "dtype"):
        return {f"{type(value).__name__} {value.dtype}": [list(value.shape), value.tolist()]}
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))


class Raised(list[str]):
    """The names of the built-in errors that an error is."""


def outcome(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what ``call(*args, **kwargs)`` returns, or what it raises."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__ if hasattr(builtins, kind.__name__)]
        return Raised(kinds)


def run(cases_file: str, package: str) -> dict[str, Any]:
    """Run all cases of a file with one package."""
    cases = runpy.run_path(cases_file)["CASES"]
    results = {name: case(Package(package)) for name, case in cases.items()}
    return {name: json.loads(json.dumps(plain(result))) for name, result in results.items()}


def run_reference(reference: Any, cases_file: str) -> dict[str, Any]:
    """Run all cases of a file with the real MMEngine."""
    source = (
        f"import json, sys, warnings; sys.path.append({str(ROOT)!r})\n"
        "warnings.simplefilter('ignore')\n"
        "from tests.unit.mmengine.utils.differential import run\n"
        f"results = run({cases_file!r}, 'mmengine')\n"
        "assert not any(name.split('.')[0] == 'mm2pl' for name in sys.modules)\n"
        "print()\nprint(json.dumps(results))"
    )
    return reference.run(source)


def differences(ours: Any, theirs: Any, where: str = "") -> list[str]:
    """Return where results differ; our errors may be more than MMEngine's, but not less."""
    if isinstance(theirs, dict) and "raises" in theirs and isinstance(ours, dict):
        missing = set(theirs["raises"]) - set(ours.get("raises", ()))
        return [f"{where}: raises {ours}, which is no {sorted(missing)}"] if missing else []
    if isinstance(theirs, list) and isinstance(ours, list) and len(ours) == len(theirs):
        pairs: Any = enumerate(zip(ours, theirs, strict=True))
    elif isinstance(theirs, dict) and isinstance(ours, dict) and ours.keys() == theirs.keys():
        pairs = ((key, (ours[key], theirs[key])) for key in theirs)
    else:
        return [] if ours == theirs else [f"{where}: ours is {ours!r}, theirs is {theirs!r}"]
    return [line for key, pair in pairs for line in differences(*pair, f"{where}/{key}")]
