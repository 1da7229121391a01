"""Rows for the public names of MMEngine's packages."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from mm2pl import mmengine
from mm2pl.mmengine import _strategy
from mm2pl.plan import Status
from mm2pl.support import MARKERS, MISSING_MODULES
from tools.matrix.classes import Found, marker_of, summary, why

INTRODUCTION = """\
Each name of the `__all__` of MMEngine's packages, once; that every other name of MMEngine's is here
with its signature, bases and methods is what `tests/surface` compares.
"""


def packages() -> Iterator[tuple[ModuleType, list[str]]]:
    """Import and yield MMEngine's packages with their public names.

    A name that a package takes from one below it stands under the upper one.
    """
    seen: set[int] = set()
    for found in pkgutil.walk_packages(mmengine.__path__, f"{mmengine.__name__}."):
        if "._" in found.name.replace(_strategy.__name__, ""):
            continue
        module = importlib.import_module(found.name)  # all of them: each may mark something
        public = getattr(module, "__all__", None)
        if not found.ispkg or not public:
            continue
        fresh = [name for name in sorted(public) if id(getattr(module, name)) not in seen]
        seen.update(id(getattr(module, name)) for name in fresh if _has_identity(module, name))
        yield module, fresh


def _has_identity(module: ModuleType, name: str) -> bool:
    return isinstance(getattr(module, name), type) or inspect.isroutine(getattr(module, name))


def rows() -> Iterator[tuple[str, list[Found]]]:
    """Yield packages with a row for each public name."""
    for module, public in packages():
        package = public_name(module.__name__)
        if public:
            yield package, [_row(package, name, getattr(module, name)) for name in public]


def public_name(module: str) -> str:
    """Return the name under which code written for MMEngine imports a module."""
    return module.removeprefix("mm2pl.")


def _row(package: str, name: str, value: Any) -> Found:
    path = f"{package}.{name}"
    marker = marker_of(value)
    if marker is not None:
        return path, f"`{name}`", Status.UNSUPPORTED.value, why(marker)
    described = isinstance(value, type) or inspect.isroutine(value)
    return path, f"`{name}`", Status.AS_IS.value, summary(value) if described else ""


def other_marks() -> list[Found]:
    """Return what is marked as unsupported and is no public name of a package."""
    listed = {row[0] for _, found in rows() for row in found}
    marks = [MARKERS[name] for name in sorted(MARKERS) if name not in listed]
    marks += [MISSING_MODULES[name] for name in MISSING_MODULES]
    return [
        (marker.name, f"`{marker.name}`", Status.UNSUPPORTED.value, why(marker)) for marker in marks
    ]
