"""Values of a config that are not known, since finding them out would mean to run code."""

from __future__ import annotations

from typing import Any

from mm2pl.mmengine.config._dict import DELETE_KEY, ConfigDict

_KEY = "\ue002"


class _Unknown:
    """Stands in values that are not known; no config can write it, and a copy of it is itself."""


def unknown() -> ConfigDict:
    """Return a value that is not known: a dict, as others merge into it; it inherits nothing."""
    value = ConfigDict()
    make_unknown(value)
    return value


def is_unknown(value: Any) -> bool:
    """Tell whether nothing is known of a value."""
    return isinstance(value, dict) and dict.get(value, _KEY) is _Unknown


def make_unknown(value: Any) -> None:
    """Forget what is known of a container, wherever it is held."""
    if isinstance(value, dict):
        value.clear()
        dict.update(value, {DELETE_KEY: True, _KEY: _Unknown})
    elif isinstance(value, list):
        value.clear()
