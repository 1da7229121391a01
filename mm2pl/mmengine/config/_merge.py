"""Trees of dicts, lists and tuples: copying, putting base variables in, merging."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from mm2pl.errors import ConfigKeyError, ConfigTypeError
from mm2pl.mmengine.config._dict import DELETE_KEY, ConfigDict, rebuilt

_ATOMS = frozenset({str, int, float, bool, type(None)})


def tree(value: Any) -> Any:
    """Return ``value`` with new ConfigDicts, lists and tuples all the way down."""
    kind = type(value)
    if kind in _ATOMS:
        return value
    if isinstance(value, dict):
        new = ConfigDict()
        dict.update(new, {key: tree(item) for key, item in dict.items(value)})
        return new
    if kind is list:
        return [tree(item) for item in value]
    if isinstance(value, (list, tuple)):
        return rebuilt(value, tree)
    return value


def substituted(value: Any, marks: Mapping[str, str], lookup: Callable[[str], Any]) -> Any:
    """Return a copy of ``value`` in which strings that stand for a base variable became its value.

    Such a string becomes the variable itself, not a copy: as in MMEngine, what two places take
    from a base is one object. Within a longer string the value is written out.
    Differs: MMEngine leaves a random name within longer strings.

    Args:
        value: What a config sets.
        marks: The dotted path of a variable for each string that stands for one.
        lookup: Returns the variable of a path.
    """
    kind = type(value)
    if kind is str:
        return _filled_in(value, marks, lookup) if marks else value
    if kind in _ATOMS:
        return value
    if isinstance(value, dict):
        own = kind not in (dict, ConfigDict, OrderedDict)  # a dict class of the config
        new = copy.deepcopy(value) if own else ConfigDict()
        for key, item in dict.items(value):
            dict.__setitem__(new, key, substituted(item, marks, lookup))
        return new
    if isinstance(value, (list, tuple)):
        items = [substituted(item, marks, lookup) for item in value]
        return tuple(items) if isinstance(value, tuple) else items
    return copy.deepcopy(value)


def _filled_in(text: str, marks: Mapping[str, str], lookup: Callable[[str], Any]) -> Any:
    if text in marks:
        return lookup(marks[text])
    for mark, path in marks.items():
        if mark in text:
            value = str(lookup(path))
            text = text.replace(f'"{mark}"', value).replace(mark, value)
    return text


def scoped(value: Any, scope: str | None, *, outermost: bool = True) -> Any:
    """Return a copy of ``value``, the outermost dicts with a ``type`` marked with ``scope``."""
    if scope is None:
        return tree(value)
    if isinstance(value, dict):
        items = dict(dict.items(value))
        typed = outermost and "type" in items
        if typed and items.get("_scope_") is None:
            items["_scope_"] = scope
        inner = outermost and not typed
        new = ConfigDict()
        dict.update(new, {k: scoped(v, scope, outermost=inner) for k, v in items.items()})
        return new
    if isinstance(value, (list, tuple)):
        scoped_items = [scoped(item, scope, outermost=outermost) for item in value]
        return tuple(scoped_items) if isinstance(value, tuple) else scoped_items
    return value


def merge(new: dict[Any, Any], base: Any, list_keys: bool = False, path: str = "") -> Any:
    """Return ``base`` with ``new`` merged into it; ``base`` is not changed.

    Args:
        new: What the child sets. ``_delete_`` keys are taken out of it.
        base: A dict, or with ``list_keys`` a list.
        list_keys: Whether ``"0"``, ``"1"``, ... in ``new`` stand for elements of lists.
        path: Where in the config this is, for errors.

    Raises:
        ConfigTypeError: A dict is to be merged into something that is none.
        ConfigKeyError: A list is shorter than the index.
    """
    merged = base.copy()
    for key, value in dict.items(new):
        where = f"{path}.{key}" if path else str(key)
        if isinstance(merged, list):
            index = _index(key, merged, list_keys, where)
            merged[index] = _element(value, merged[index], where)
        elif not isinstance(value, dict):
            merged[key] = value
        elif key not in merged or dict.pop(value, DELETE_KEY, False):
            merged[key] = ConfigDict(value)
        else:
            old = dict.__getitem__(merged, key)  # a lazy object stays lazy
            if not isinstance(old, (dict, list) if list_keys else dict):
                raise _cannot_inherit(where, value, old, list_keys)
            merged[key] = merge(value, old, list_keys, where)
    return merged


def _index(key: Any, base: list[Any], list_keys: bool, where: str) -> int:
    if not (list_keys and isinstance(key, str) and key.isdigit()):
        raise ConfigTypeError(
            f"{key!r} is no index, but the value is a list of {len(base)}",
            key_path=where,
            hint="write the index as a key: name.0.field=value.",
        )
    if int(key) >= len(base):
        raise ConfigKeyError(
            f"Index {key} exceeds the length of list, which is {len(base)}", key_path=where
        )
    return int(key)


def _element(value: Any, old: Any, where: str) -> Any:
    """Merge into one element of a list. Differs: MMEngine crashes unless both are dicts."""
    if not isinstance(value, dict):
        return value
    if not isinstance(old, (dict, list)):
        raise _cannot_inherit(where, value, old, True)
    return merge(value, old, True, where)


def _cannot_inherit(where: str, value: Any, old: Any, list_keys: bool) -> ConfigTypeError:
    kinds = "a dict or a list" if list_keys else "a dict"
    shown = repr(old) if len(repr(old)) < 60 else f"a {type(old).__name__}"
    return ConfigTypeError(
        f"a dict cannot inherit from base value {shown}, which is of type {type(old)}"
        f" and not {kinds}",
        key_path=where,
        hint=f"You may set `{DELETE_KEY}=True` in the dict to ignore the base value.",
    )
