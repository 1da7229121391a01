"""An element of data: fields such as tensors, and meta information beside them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, MutableSet
from typing import Any

import numpy as np
import torch
from typing_extensions import Self


class _Names(MutableSet[str]):
    """A set of field names in the order in which they were added."""

    __slots__ = ("_names",)

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = dict.fromkeys(names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def add(self, value: str) -> None:
        self._names[value] = None

    def discard(self, value: str) -> None:
        self._names.pop(value, None)

    def __repr__(self) -> str:
        return f"{{{', '.join(map(repr, self))}}}"


_PRIVATE = ("_metainfo_fields", "_data_fields")


class BaseDataElement:
    """Holds data fields and meta information, both as attributes.

    Data fields are what conversions such as :meth:`to` act on; meta information (file names,
    original sizes, ...) is deep-copied when it is set and stays as it is. A name can be only one
    of the two. A field that a subclass makes a property ``x`` is kept as ``_x``, which
    :meth:`keys` leaves out.

    Args:
        metainfo: The meta information.
        **kwargs: The data fields.

    Differs: fields come in the order in which they were set; MMEngine's order changes from run
    to run with Python's hash seed.
    """

    _metainfo_fields: MutableSet[str]
    _data_fields: MutableSet[str]

    def __init__(self, *, metainfo: dict[str, Any] | None = None, **kwargs: Any) -> None:
        self._metainfo_fields = _Names()
        self._data_fields = _Names()
        if metainfo is not None:
            self.set_metainfo(metainfo=metainfo)
        if kwargs:
            self.set_data(kwargs)

    def __getstate__(self) -> dict[str, Any]:
        # MMEngine, which reads our pickles, has sets of names.
        return {**self.__dict__, **{kind: set(getattr(self, kind)) for kind in _PRIVATE}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        # The order of the values; a property's value is kept as `_x`, and `x` stands before it.
        order = [name for kept in state for name in (kept.removeprefix("_"), kept)]
        for kind in _PRIVATE:
            names = state[kind]
            self.__dict__[kind] = _Names([*(n for n in order if n in names), *sorted(names)])

    def set_metainfo(self, metainfo: dict[str, Any]) -> None:
        """Set or change meta information, of which a deep copy is kept."""
        if not isinstance(metainfo, dict):
            raise AssertionError(f"metainfo should be a ``dict`` but got {type(metainfo)}")
        for name, value in copy.deepcopy(metainfo).items():
            self.set_field(name=name, value=value, field_type="metainfo", dtype=None)

    def set_data(self, data: dict[str, Any]) -> None:
        """Set or change data fields."""
        if not isinstance(data, dict):
            raise AssertionError(f"data should be a `dict` but got {data}")
        for name, value in data.items():
            setattr(self, name, value)

    def update(self, instance: BaseDataElement) -> None:
        """Set all fields that another element has."""
        if not isinstance(instance, BaseDataElement):
            raise AssertionError(f"instance should be a `BaseDataElement` but got {type(instance)}")
        self.set_metainfo(instance.metainfo)
        self.set_data(dict(instance.items()))

    def new(self, *, metainfo: dict[str, Any] | None = None, **kwargs: Any) -> Self:
        """Return an element of this class with other meta information or data fields.

        Args:
            metainfo: All of the new meta information; this element's if ``None``.
            **kwargs: All of the new data fields; this element's if there are none.
        """
        element = self.__class__()
        element.set_metainfo(self.metainfo if metainfo is None else metainfo)
        element.set_data(kwargs or dict(self.items()))
        return element

    def clone(self) -> Self:
        """Return an element with the same fields; the data itself is shared."""
        return self.new()

    def keys(self) -> list[str]:
        """Return the names of the data fields."""
        private = {
            f"_{name}"
            for name in self._data_fields
            if isinstance(getattr(type(self), name, None), property)
        }
        return [name for name in self._data_fields if name not in private]

    def metainfo_keys(self) -> list[str]:
        """Return the names of the meta information."""
        return list(self._metainfo_fields)

    def all_keys(self) -> list[str]:
        """Return the names of meta information and data fields."""
        return self.metainfo_keys() + self.keys()

    def values(self) -> list[Any]:
        """Return the data fields' values."""
        return [getattr(self, name) for name in self.keys()]

    def metainfo_values(self) -> list[Any]:
        """Return the meta information's values."""
        return [getattr(self, name) for name in self.metainfo_keys()]

    def all_values(self) -> list[Any]:
        """Return the values of meta information and data fields."""
        return self.metainfo_values() + self.values()

    def items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over names and values of the data fields."""
        return ((name, getattr(self, name)) for name in self.keys())

    def metainfo_items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over names and values of the meta information."""
        return ((name, getattr(self, name)) for name in self.metainfo_keys())

    def all_items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over names and values of meta information and data fields."""
        return ((name, getattr(self, name)) for name in self.all_keys())

    @property
    def metainfo(self) -> dict[str, Any]:
        """The meta information, in a new dict."""
        return dict(self.metainfo_items())

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _PRIVATE:
            self.set_field(name=name, value=value, field_type="data", dtype=None)
        elif name not in self.__dict__:
            super().__setattr__(name, value)
        else:
            raise _immutable(name)

    def __delattr__(self, item: str) -> None:
        if item in _PRIVATE:
            raise _immutable(item)
        super().__delattr__(item)
        self._metainfo_fields.discard(item)
        self._data_fields.discard(item)

    __delitem__ = __delattr__

    def get(self, key: str, default: Any = None) -> Any:
        """Return a field or property, or the default."""
        return getattr(self, key, default)

    def pop(self, *args: Any) -> Any:
        """Remove a field and return it; ``pop(name)`` or ``pop(name, default)``."""
        if len(args) > 2:
            raise AssertionError("``pop`` get more than 2 arguments")
        name, *default = args
        if name in self:
            self._metainfo_fields.discard(name)
            self._data_fields.discard(name)
            return self.__dict__.pop(*args)
        if default:
            return default[0]
        raise KeyError(f"{name} is not contained in metainfo or data")

    def __contains__(self, item: str) -> bool:
        return item in self._data_fields or item in self._metainfo_fields

    def set_field(
        self,
        value: Any,
        name: str,
        dtype: type | tuple[type, ...] | None = None,
        field_type: str = "data",
    ) -> None:
        """Set one field; what the setters of properties in subclasses call.

        Args:
            value: Its value.
            name: Its name.
            dtype: Type or types that the value must have.
            field_type: ``"data"`` or ``"metainfo"``.

        Raises:
            AttributeError: The name is a field of the other kind.
            AssertionError: The value is not of ``dtype``.
        """
        if dtype is not None and not isinstance(value, dtype):
            raise AssertionError(f"{value} should be a {dtype} but got {type(value)}")
        if field_type == "data":
            names, others, other_type = self._data_fields, self._metainfo_fields, "metainfo"
        elif field_type == "metainfo":
            names, others, other_type = self._metainfo_fields, self._data_fields, "data"
        else:
            raise AssertionError(f"field_type should be data or metainfo, but got {field_type}")
        if name in others:
            raise AttributeError(
                f"Cannot set {name} to be a field of {field_type} because {name} is already a "
                f"{other_type} field"
            )
        names.add(name)
        super().__setattr__(name, value)

    def _with(self, matches: Callable[[Any], bool], convert: Callable[[Any], Any]) -> Self:
        """Return a copy whose matching data fields are converted."""
        element = self.new()
        for name, value in self.items():
            if matches(value):
                setattr(element, name, convert(value))
        return element

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Return a copy with ``value.to(...)`` for all data fields that have this method."""
        return self._with(lambda value: hasattr(value, "to"), lambda v: v.to(*args, **kwargs))

    def cpu(self) -> Self:
        """Return a copy with tensors on the CPU."""
        return self._with(_is_tensor_like, lambda value: value.cpu())

    def cuda(self) -> Self:
        """Return a copy with tensors on the current CUDA device."""
        return self._with(_is_tensor_like, lambda value: value.cuda())

    def musa(self) -> Self:
        """Return a copy with tensors on the current MUSA device."""
        return self._with(_is_tensor_like, lambda value: value.musa())

    def npu(self) -> Self:
        """Return a copy with tensors on the current NPU."""
        return self._with(_is_tensor_like, lambda value: value.npu())

    def mlu(self) -> Self:
        """Return a copy with tensors on the current MLU."""
        return self._with(_is_tensor_like, lambda value: value.mlu())

    def detach(self) -> Self:
        """Return a copy with tensors detached from the graph."""
        return self._with(_is_tensor_like, lambda value: value.detach())

    def numpy(self) -> Self:
        """Return a copy with tensors as arrays."""
        return self._with(_is_tensor_like, lambda value: value.detach().cpu().numpy())

    def to_tensor(self) -> Self:
        """Return a copy with arrays as tensors, which share their memory."""
        return self._with(
            lambda value: isinstance(value, (np.ndarray, BaseDataElement)),
            lambda value: (
                torch.from_numpy(value) if isinstance(value, np.ndarray) else value.to_tensor()
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return meta information and data fields as a dict, elements within as dicts too."""
        return {
            name: value.to_dict() if isinstance(value, BaseDataElement) else value
            for name, value in self.all_items()
        }

    def __repr__(self) -> str:
        return _describe(self)


def _is_tensor_like(value: Any) -> bool:
    return isinstance(value, (torch.Tensor, BaseDataElement))


def _immutable(name: str) -> AttributeError:
    return AttributeError(f"{name} has been used as a private attribute, which is immutable.")


def _describe(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"\n{name}: {_indented(inner)}" for name, inner in value.items())
    if isinstance(value, BaseDataElement):
        meta, data = _indented(value.metainfo), _indented(dict(value.items()))
        return (
            f"<{type(value).__name__}(\n\n    META INFORMATION{meta}\n\n    DATA FIELDS{data}\n) "
            f"at {hex(id(value))}>"
        )
    return repr(value)


def _indented(value: Any) -> str:
    return _describe(value).replace("\n", "\n    ")
