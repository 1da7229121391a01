"""ConfigDict, the dict with attribute access that every config consists of."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from addict import Dict

from mm2pl.mmengine.config.lazy import LazyAttr, LazyObject

DELETE_KEY = "_delete_"
_LAZY = (LazyObject, LazyAttr)
_ABSENT = object()


class ConfigDict(Dict):  # type: ignore[misc]  # addict has no types
    """A dict whose keys are attributes, and whose dict values are ConfigDicts.

    Lazy objects are built when they are read. Missing keys raise ``KeyError``, missing attributes
    ``AttributeError``. Differs: ``update`` also takes pairs, as ``dict.update`` does.

    Args:
        *args: Dicts or iterables of pairs.
        **kwargs: Further items.
    """

    lazy = False
    """True while a pure-Python config is read: lazy objects are then returned as they are."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        for arg in (*args, kwargs):
            if arg:
                self._fill(arg)

    def _fill(self, items: Any) -> None:
        hook = self._hook
        pairs: Iterable[tuple[Any, Any]]
        if isinstance(items, dict):
            # dict.items, because ConfigDict.items would build lazy objects.
            pairs = dict.items(items) if isinstance(items, ConfigDict) else items.items()
        elif isinstance(items, tuple) and not isinstance(items[0], tuple):
            pairs = (items,)
        else:
            pairs = items
        for key, value in pairs:
            dict.__setitem__(self, key, hook(value))

    @classmethod
    def _hook(cls, item: Any) -> Any:
        """Turn plain dicts into ConfigDicts; dict classes of the user stay as they are."""
        kind = type(item)
        if kind is dict or kind is OrderedDict:
            return cls(item)
        if kind is list:
            return [cls._hook(element) for element in item]
        if isinstance(item, (list, tuple)):
            return rebuilt(item, cls._hook)
        return item

    def __missing__(self, name: Any) -> NoReturn:
        raise KeyError(name)

    def __getattr__(self, name: str) -> Any:
        try:
            value: Any = dict.__getitem__(self, name)
        except KeyError:
            raise AttributeError(
                f"'{type(self).__name__}' object has no attribute '{name}'"
            ) from None
        return self.build_lazy(value)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, self._hook(value))

    def __setitem__(self, name: Any, value: Any) -> None:
        if getattr(self, "__frozen") and name not in self:  # self.__frozen is mangled
            raise KeyError(name)
        dict.__setitem__(self, name, self._hook(value))

    def __getitem__(self, key: Any) -> Any:
        return self.build_lazy(super().__getitem__(key))

    def __iter__(self) -> Iterator[Any]:
        # Unless this is overridden, CPython's ** reads a dict subclass past __getitem__.
        return iter(self.keys())

    def build_lazy(self, value: Any) -> Any:
        """Return ``value``, imported if it is lazy and no config is being read."""
        if isinstance(value, _LAZY) and not self.lazy:
            return value.build()
        return value

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of ``key``, or ``default``."""
        return self.build_lazy(super().get(key, default))

    def pop(self, key: Any, default: Any = None) -> Any:
        """Remove ``key`` and return its value, or ``default``; never raises ``KeyError``."""
        return self.build_lazy(super().pop(key, default))

    def values(self) -> list[Any]:
        """Return the values; a list, since lazy ones are built."""
        return [self.build_lazy(value) for value in super().values()]

    def items(self) -> list[tuple[Any, Any]]:
        """Return keys and values; a list, since lazy ones are built."""
        return [(key, self.build_lazy(value)) for key, value in super().items()]

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Set items; a dict given for a key that holds a dict updates that one in turn.

        Raises:
            TypeError: More than one positional argument.
        """
        if len(args) > 1:
            raise TypeError(f"update takes at most one positional argument, not {len(args)}")
        given = args[0] if args else ()
        new = dict(dict.items(given) if isinstance(given, dict) else given)
        for key, value in {**new, **kwargs}.items():
            old = dict.get(self, key, _ABSENT)
            if isinstance(old, dict) and isinstance(value, dict):
                old.update(value)
            else:
                self[key] = value

    def merge(self, other: dict[Any, Any]) -> None:
        """Merge ``other`` into this dict; ``_delete_=True`` in it replaces instead of merging."""
        merged = _merged(copy.deepcopy(other), copy.deepcopy(self))
        self.clear()
        self._fill(merged)

    def __copy__(self) -> ConfigDict:
        other = self.__class__()
        other._fill(self)
        return other

    copy = __copy__

    def __deepcopy__(self, memo: dict[int, Any]) -> ConfigDict:
        other = self.__class__()
        memo[id(self)] = other
        for key, value in super().items():
            other[copy.deepcopy(key, memo)] = copy.deepcopy(value, memo)
        return other

    def __reduce_ex__(self, proto: Any) -> tuple[Any, ...]:
        # The default would read items() and build every lazy object.
        return (self.__class__, (dict(super().items()),), None, None, None, None)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ConfigDict):
            return bool(self.to_dict() == other.to_dict())
        return isinstance(other, dict) and dict(self.items()) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None  # type: ignore[assignment]

    def _to_lazy_dict(self) -> dict[Any, Any]:
        """Return plain dicts all the way down, with lazy objects in them as they are."""
        return plain(self)  # type: ignore[no-any-return]

    def to_dict(self) -> dict[Any, Any]:
        """Return plain dicts all the way down, with lazy objects as dotted names."""
        return plain(self, lambda lazy: f"{lazy.module}.{lazy}")  # type: ignore[no-any-return]


# Pickles name classes by module: this is where MMEngine has it, and readers look.
ConfigDict.__module__ = "mm2pl.mmengine.config.config"


# addict looks this name up on instances; on the class it spares every instance a __dict__.
type.__setattr__(ConfigDict, "__frozen", False)


def rebuilt(items: Any, convert: Callable[[Any], Any]) -> Any:
    """Return a list or tuple, of the same class, of the converted elements."""
    kind = type(items)
    make = getattr(kind, "_make", kind)  # named tuples
    return make([convert(item) for item in items])


def plain(value: Any, lazy: Callable[[LazyObject | LazyAttr], Any] | None = None) -> Any:
    """Return ``value`` with plain dicts for all dicts in it and ``lazy(x)`` for lazy objects."""
    if isinstance(value, dict):
        return {key: plain(item, lazy) for key, item in dict.items(value)}
    if isinstance(value, (list, tuple)):
        return rebuilt(value, lambda item: plain(item, lazy))
    if lazy is not None and isinstance(value, _LAZY):
        return lazy(value)
    return value


def _merged(new: Any, old: Any) -> Any:
    """Merge for :meth:`ConfigDict.merge`, which may consume both arguments."""
    if not isinstance(new, dict):
        return old if new is _ABSENT else new
    replace = dict.pop(new, DELETE_KEY, False)
    if not isinstance(old, dict):
        return new
    if replace:
        old = {}
    keys = dict.fromkeys((*dict.keys(old), *dict.keys(new)))
    return {
        key: _merged(dict.get(new, key, _ABSENT), dict.get(old, key, _ABSENT))
        for key in keys
        if key != DELETE_KEY
    }
