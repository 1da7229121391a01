"""Data of the instances in an image: fields of one length, indexed together."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from typing import Any

import numpy as np
import torch
from typing_extensions import Self

from mm2pl.mmengine.structures.base_data_element import _PRIVATE, BaseDataElement

BoolTypeTensor = torch.Tensor
LongTypeTensor = torch.Tensor
IndexType = str | slice | int | list[Any] | torch.Tensor | np.ndarray


class InstanceData(BaseDataElement):
    """Data fields with one value an instance, such as boxes (n, 4) and labels (n,).

    Fields are tensors, arrays, lists, tuples, strings, or objects with ``__len__``,
    ``__getitem__`` and a static ``cat``; all of one length.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _PRIVATE:
            if not isinstance(value, Sized):
                raise AssertionError("value must contain `__len__` attribute")
            if 0 < len(self) != len(value):
                raise AssertionError(
                    f"The length of values {len(value)} is not consistent with the length of "
                    f"this :obj:`InstanceData` {len(self)}"
                )
        super().__setattr__(name, value)

    __setitem__ = __setattr__

    def __getitem__(self, item: IndexType) -> Any:
        """Return one field by its name, or the same fields for some instances alone.

        Args:
            item: A name; or an index (which keeps the dimension), a slice, a list, array or
                tensor of indices (int64) or of booleans.
        """
        if isinstance(item, str):
            return getattr(self, item)
        if isinstance(item, int):
            if not -len(self) <= item < len(self):
                raise IndexError(f"Index {item} out of range!")
            item = slice(item, None, len(self))
        if isinstance(item, slice):
            return self._select({name: value[item] for name, value in self.items()})
        chosen = _index_tensor(item)
        if chosen.dtype == torch.bool and len(chosen) != len(self):
            raise AssertionError(
                f"The shape of the input(BoolTensor) {len(chosen)} does not match the shape of "
                f"the indexed tensor in results_field {len(self)} at first dimension."
            )
        return self._select({name: _take(name, v, chosen) for name, v in self.items()})

    def _select(self, fields: dict[str, Any]) -> Self:
        element = self.__class__(metainfo=self.metainfo)
        element.set_data(fields)
        return element

    @staticmethod
    def cat(instances_list: Sequence[InstanceData]) -> InstanceData:
        """Join elements that have the same fields; meta information is the first one's."""
        if not (instances_list and all(isinstance(i, InstanceData) for i in instances_list)):
            raise AssertionError("`instances_list` should hold InstanceData, one at least")
        first = instances_list[0]
        if len(instances_list) == 1:
            return first
        if any(set(other.all_keys()) != set(first.all_keys()) for other in instances_list):
            raise AssertionError(
                "There are different keys in `instances_list`, which may cause the cat operation "
                "to fail. Please make sure all elements in `instances_list` have the exact same "
                "key."
            )
        return first._select(
            {name: _join(name, [i[name] for i in instances_list]) for name, _ in first.items()}
        )

    def __len__(self) -> int:
        return len(self.values()[0]) if self._data_fields else 0


def _index_tensor(item: Any) -> torch.Tensor:
    """Turn what selects instances into a tensor of booleans or int64."""
    if isinstance(item, list):
        item = np.array(item) if item else np.zeros(0, dtype=np.int64)
    if isinstance(item, np.ndarray):
        # Windows has int32 as NumPy's default, which torch does not take as an index.
        item = torch.from_numpy(item.astype(np.int64) if item.dtype == np.int32 else item)
    elif not (isinstance(item, torch.Tensor) and item.dtype in (torch.bool, torch.int64)):
        raise AssertionError(
            "an index should be a str, slice, int, list, np.ndarray, or a tensor of bool or "
            f"int64, but got {item!r}"
        )
    if item.dim() != 1:
        raise AssertionError("Only support to get the values along the first dimension.")
    tensor: torch.Tensor = item
    return tensor


def _take(name: str, value: Any, chosen: torch.Tensor) -> Any:
    if isinstance(value, torch.Tensor):
        return value[chosen]
    if isinstance(value, np.ndarray):
        return value[chosen.cpu().numpy()]
    indices = (chosen.nonzero().flatten() if chosen.dtype == torch.bool else chosen).tolist()
    if isinstance(value, str):
        return "".join(value[index] for index in indices)
    if isinstance(value, list):
        return [value[index] for index in indices]
    if isinstance(value, tuple):
        return tuple(value[index] for index in indices)
    if hasattr(value, "__getitem__") and hasattr(value, "cat"):
        parts = [value[slice(index, None, len(value))] for index in indices]
        return value.cat(parts or [value[slice(None, 0, None)]])
    raise ValueError(
        f"The type of `{name}` is `{type(value)}`, which has no attribute of `cat`, so it does "
        "not support slice with `bool`"
    )


def _join(name: str, values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, torch.Tensor):
        return torch.cat(values, dim=0)
    if isinstance(first, np.ndarray):
        return np.concatenate(values, axis=0)
    if isinstance(first, (str, list, tuple)):
        joined = first[:]
        for value in values[1:]:
            joined += value
        return joined
    if hasattr(first, "cat"):
        return first.cat(values)
    raise ValueError(f"The type of `{name}` is `{type(first)}` which has no attribute of `cat`")
