"""Sections of a config and the classes that they name, without importing any."""

from __future__ import annotations

from collections.abc import Mapping
from types import FunctionType
from typing import Any

from mm2pl.mmengine.config._dict import plain
from mm2pl.mmengine.config.lazy import LazyAttr, LazyObject
from mm2pl.plan import Status
from mm2pl.translate.classes import KnownClass, find
from mm2pl.translate.report import type_name


def known_class(kind: Any, registry: str, scope: str | None = None) -> KnownClass | None:
    """Return the class of MMEngine's or torch's that a ``type`` stands for; None for others."""
    found = find(kind, registry, scope)
    return found.known if found.status is Status.AS_IS else None


def raw(section: Any) -> Any:
    """Return a section in plain dicts; what a new-style config imports stays unimported."""
    return plain(section)


def named(value: Any) -> Any:
    """Return a value in which classes, and what stands for them, are their names; for JSON too."""
    if isinstance(value, dict):
        return {str(key): named(inner) for key, inner in dict.items(value)}
    if isinstance(value, (list, tuple)):
        return (list if isinstance(value, list) else tuple)(map(named, value))
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if isinstance(value, (type, FunctionType, LazyObject, LazyAttr)):
        return type_name(value)
    return repr(value)


def kind_of(section: Any, default: str = "?") -> str:
    """Return the name of a section's type, or that of a built object's class."""
    if not isinstance(section, Mapping):
        return type(section).__name__
    kind = raw(section).get("type") if isinstance(section, dict) else section.get("type")
    return default if kind is None else type_name(kind)


def call(section: Any, *left_out: str, default: str = "?") -> str:
    """Return a section as the call that builds it, e.g. ``SGD(lr=0.1, momentum=0.9)``."""
    if not isinstance(section, Mapping):
        return kind_of(section)
    values = {key: value for key, value in named(raw(section)).items() if key not in left_out}
    values.pop("type", None)
    arguments = ", ".join(f"{key}={value!r}" for key, value in values.items())
    kind = kind_of(section, default)
    return f"{kind}({arguments})" if arguments else kind
