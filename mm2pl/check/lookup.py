"""Looks up a class that a config names, in the registry that must hold it or in all of them."""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Iterator
from typing import Any

from mm2pl.check.places import ANY, Place
from mm2pl.errors import ConfigTypeError, nearest
from mm2pl.mmengine.config.lazy import LazyAttr, LazyObject
from mm2pl.mmengine.registry import Registry, root
from mm2pl.mmengine.registry._unknown import unknown_type
from mm2pl.mmengine.registry.errors import UnknownTypeError

_MOST = 5
_ALIKE = 0.85
# Where a class in no place of its own is most often found.
_FIRST = ("MODELS", "TASK_UTILS", "TRANSFORMS")


def look_up(place: Place) -> Any:
    """Return what a name stands for.

    Raises:
        UnknownTypeError: Nothing; says what was probably meant.
        Exception: What importing the modules raises that register it.
    """
    name = place.name
    if isinstance(name, (LazyObject, LazyAttr)):
        return name.build()
    if not isinstance(name, str):
        if callable(name):
            return name
        raise ConfigTypeError(f"type must be a name or a class, got {name!r}")
    if place.registry != ANY:
        return _in_registry(getattr(root, place.registry), name, place.scope)
    return _anywhere(name, place.scope)


def _in_registry(registry: Registry, name: str, scope: str | None) -> Any:
    with registry.switch_scope_and_registry(scope) as current:
        found = current.get(name)
        if found is None:
            raise unknown_type(name, current)
    return found


def _anywhere(name: str, scope: str | None) -> Any:
    names: set[str] = set()
    for registry in _registries():
        with registry.switch_scope_and_registry(scope) as current:
            found = current.get(name)
            if found is not None:
                return found
            names |= {known for one in current._chain() for known in one.module_dict}
    # Said of the likeliest registry, if a name of its own or a missing library is the reason.
    with root.MODELS.switch_scope_and_registry(scope) as current:
        error = unknown_type(name, current)
    if error.__cause__ is None:
        choices = [one for one in nearest(name, names, _MOST) if much_alike(name, one)]
        error = UnknownTypeError(f"{name} is in no registry", choices=choices, hint=error.hint)
    raise error


def _registries() -> Iterator[Registry]:
    """Yield the root registries, and those that only an imported library has."""
    own = {name: one for name, one in vars(root).items() if isinstance(one, Registry)}
    yield from (own[name] for name in _FIRST)
    yield from (one for name, one in own.items() if name not in _FIRST)
    for name, module in list(sys.modules.items()):
        if name.endswith(".registry") and name.count(".") == 1:
            values = list(vars(module).values())
            yield from (one for one in values if isinstance(one, Registry) and one.parent is None)


def much_alike(name: str, other: str) -> bool:
    """Whether a name is probably a misspelling of the other one."""
    return difflib.SequenceMatcher(None, name.lower(), other.lower()).ratio() > _ALIKE


def accepted(target: Any) -> list[str] | None:
    """Return the arguments that a class or function takes; None if it takes any or nobody knows."""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):  # some that are written in C have no signature
        return None
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        return None
    return [one.name for one in parameters if one.kind is not one.VAR_POSITIONAL]
