"""Describes the public surface of ``mmengine`` as JSON; runs in a process of its own.

python describe.py                  the surface of the mmengine that can be imported
python describe.py --ours NAMES     the same names (a file of that output) of mm2pl's, by the alias
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
import sys
import typing
import warnings
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

Surface = dict[str, dict[str, Any]]
# Methods that Python itself calls and that are part of a class's contract.
DUNDERS = ("__init__", "__call__", "__len__", "__getitem__", "__iter__", "__contains__")


def walk() -> tuple[Surface, dict[str, str]]:
    """Describe every module below mmengine, and say which cannot be imported, and why."""
    import mmengine

    found: Surface = {"mmengine": describe(mmengine, public_names(mmengine))}
    failed = {}
    for info in pkgutil.walk_packages(mmengine.__path__, "mmengine."):
        try:
            module = importlib.import_module(info.name)
        except Exception as error:
            failed[info.name] = f"{type(error).__name__}: {error}"
            continue
        found[info.name] = describe(module, public_names(module))
    return found, failed


def look_up(surface: Surface) -> tuple[Surface, dict[str, str]]:
    """Describe the names of ``surface`` in the mmengine that can be imported."""
    found: Surface = {}
    failed = {}
    for name, names in surface.items():
        try:
            module = importlib.import_module(name)
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
            continue
        found[name] = describe(module, names)
        found[name]["__all__"] = getattr(module, "__all__", None)
    return found, failed


def public_names(module: ModuleType) -> list[str]:
    """Return ``__all__`` and what the module's own code defines without an underscore."""
    assert module.__file__ is not None
    names: set[str] = set()
    for node in _statements(ast.parse(Path(module.__file__).read_text()).body):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    # None stands for an optional package that is not installed.
    public = {n for n in names if n[0] != "_" and getattr(module, n, None) is not None}
    return sorted(public | set(getattr(module, "__all__", ())))


def _statements(body: Iterable[ast.stmt]) -> Iterable[ast.stmt]:
    """Yield a module's statements, also those below ``if`` and ``try``."""
    for node in body:
        yield node
        if isinstance(node, (ast.If, ast.Try)):
            handlers = [part for handler in getattr(node, "handlers", ()) for part in handler.body]
            yield from _statements([*node.body, *node.orelse, *handlers])


def describe(module: ModuleType, names: Iterable[str]) -> dict[str, Any]:
    described: dict[str, Any] = {"__all__": getattr(module, "__all__", None)}
    for name in names:
        try:
            if name != "__all__":
                described[name] = describe_value(getattr(module, name))
        except AttributeError:
            continue
        except ImportError as error:  # of a lazy attribute
            described[name] = {"kind": f"name that cannot be imported ({error})"}
    return described


def describe_value(value: Any) -> dict[str, Any]:
    if getattr(value, "__marker__", None) is not None:
        return {"kind": "marker", "reason": value.__marker__.reason}
    if inspect.isclass(value):
        return {
            "kind": "class",
            "home": plain(value.__module__),
            "bases": [base.__name__ for base in value.__mro__[1:-1]],
            "methods": methods(value),
        }
    if inspect.isroutine(value) or _is_wrapped(value):
        home = plain(getattr(value, "__module__", None) or "")
        return {"kind": "function", "home": home, "signature": signature(value)}
    if typing.get_origin(value) is not None or isinstance(value, typing.TypeVar):
        return {"kind": "type alias"}
    if inspect.ismodule(value):
        return {"kind": "module", "value": plain(value.__name__)}
    return {"kind": "value", "type": type(value).__name__, "value": plain_value(value)}


def _is_wrapped(value: Any) -> bool:
    """Tell whether it is a partial or another callable object around a function."""
    return callable(value) and hasattr(value, "func")


def methods(kind: type) -> dict[str, Any]:
    """Return the public methods and properties of ``kind``: of the reference, MMEngine's own."""
    found = {}
    of_ours = "mm2pl" in sys.modules
    for name in dir(kind):
        if name.startswith("_") and name not in DUNDERS:
            continue
        owner = next((base for base in kind.__mro__ if name in vars(base)), None)
        if owner is None or not (of_ours or owner.__module__.startswith("mmengine")):
            continue
        static = inspect.getattr_static(kind, name)
        if isinstance(static, property):
            found[name] = {"kind": "property", "setter": static.fset is not None}
        elif inspect.isroutine(getattr(kind, name, None)):
            how = type(static).__name__ if type(static).__name__.endswith("method") else "method"
            parameters = signature(static)
            if parameters and how != "staticmethod":
                parameters = parameters[1:]
            found[name] = {"kind": how, "signature": parameters}
        else:
            found[name] = {"kind": "attribute"}
    return found


def signature(function: Any) -> list[list[str]] | None:
    """Return name, kind and default of each parameter, or None where Python cannot tell."""
    function = getattr(function, "__func__", function)
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return [[p.name, p.kind.name, default(p.default)] for p in parameters]


def default(value: Any) -> str:
    """Return a default as text; an empty one for no default."""
    if value is inspect.Parameter.empty:
        return ""
    if inspect.isclass(value) or inspect.isroutine(value):
        return str(value.__name__)
    if isinstance(value, list):
        value = tuple(value)  # a default that nobody can change by accident
    if isinstance(value, (str, int, float, tuple, dict, type(None))):
        return plain(repr(value))
    return type(value).__name__


def plain(text: str) -> str:
    return re.sub(r" at 0x\w+", "", text).replace("mm2pl.mmengine", "mmengine")


def plain_value(value: Any) -> Any:
    """Return what can be compared of a module's constant."""
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return sorted(plain(str(getattr(item, "__name__", item))) for item in value)
    if isinstance(value, dict):
        return sorted(map(str, value))
    return None


def main(arguments: list[str]) -> None:
    warnings.simplefilter("ignore")
    if arguments[:1] == ["--ours"]:
        import mm2pl

        mm2pl.install_as_mmengine()
        surface, failed = look_up(json.loads(Path(arguments[1]).read_text())["surface"])
    else:
        surface, failed = walk()
    print(json.dumps({"surface": surface, "failed": failed}))


if __name__ == "__main__":
    main(sys.argv[1:])
