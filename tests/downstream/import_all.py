"""Import a library, module by module, and print what came of each: a program, run on its own.

Usage: ``python import_all.py LIBRARY``, with ``mm2pl`` as a second argument under the alias.
"""

from __future__ import annotations

import builtins
import importlib
import json
import pkgutil
import sys
import warnings


def outcome(name: str) -> list[str]:
    """Import a module; return ``["ok"]``, or the built-in kinds of its error and what it missed."""
    try:
        importlib.import_module(name)
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__ if hasattr(builtins, kind.__name__)]
        return [f"{kind} {getattr(error, 'name', None) or ''}".strip() for kind in kinds]
    return ["ok"]


def walk(name: str, found: dict[str, list[str]]) -> None:
    """Import a module and, if it is a package, all below it."""
    found[name] = outcome(name)
    for below in pkgutil.iter_modules(getattr(sys.modules.get(name), "__path__", []), f"{name}."):
        if not below.name.rpartition(".")[2].startswith((".", "configs")):
            walk(below.name, found)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    library, *engine = sys.argv[1:]
    if engine:
        import mm2pl

        mm2pl.install_as_mmengine()
    outcomes: dict[str, list[str]] = {}
    walk(library, outcomes)
    print(json.dumps(outcomes))
