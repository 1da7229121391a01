"""What a key path such as ``pred_label`` or ``data_batch.data_samples.gt_label`` stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from mm2pl.errors import ConfigTypeError, DataError, DataKeyError, nearest
from mm2pl.mmengine.structures import BaseDataElement

# The values of one argument: a list with one for each sample, or one tensor of them all.
Column: TypeAlias = "list[Any] | Tensor"
Key: TypeAlias = "str | Mapping[str, str]"

_BATCH = "data_batch"
_NUMBERS = (bool, int, float, np.generic)


def look_up(key: Key, data_samples: Sequence[Any], data_batch: Any) -> Column:
    """Return the values that a key path leads to, or a dict of them for each sample.

    Args:
        key: Names, joined by dots, to go down from each prediction, or behind ``data_batch`` from
            the batch. A list is gone through item by item; a number takes one item of it, ``*``
            stands for each. Several paths in a dict give each sample a dict.
        data_samples: The predictions.
        data_batch: The batch as the loader gave it.

    Raises:
        DataError: The path does not lead to one value for each sample.
    """
    if isinstance(key, Mapping):
        columns = {name: look_up(path, data_samples, data_batch) for name, path in key.items()}
        check_lengths({f"{name}={key[name]!r}": column for name, column in columns.items()})
        rows = zip(*columns.values(), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]
    first, *rest = key.split(".")
    in_batch = first == _BATCH
    value = _walk(data_batch, rest, key) if in_batch else _walk(data_samples, [first, *rest], key)
    if isinstance(value, np.ndarray):
        value = torch.as_tensor(value)
    if isinstance(value, list) or (isinstance(value, Tensor) and value.ndim):
        return value
    raise DataError(
        f"{key!r} leads to one {type(value).__name__}, not to one value for each sample",
        hint="paths begin at the predictions, or as 'data_batch....' at the batch",
    )


def checked(key: Any, name: str) -> Key:
    """Return a key path as it is looked up; a lone number may stand for itself.

    Args:
        key: What was given.
        name: The argument that it was given to.

    Raises:
        ConfigTypeError: It is no path, nor a dict of them.
    """
    if isinstance(key, Mapping) and key:
        return {str(one): str(checked(path, f"{name}.{one}")) for one, path in key.items()}
    if isinstance(key, str) or type(key) is int:
        return str(key)
    raise ConfigTypeError(
        f"must be names joined by dots, or a dict of such paths, got {key!r}", key_path=name
    )


def check_lengths(columns: Mapping[str, Column]) -> int:
    """Return how many samples the columns are for.

    Raises:
        DataError: They are not for as many.
    """
    counts = {name: len(column) for name, column in columns.items()}
    if len(set(counts.values())) > 1:
        found = ", ".join(f"{name} gives {count}" for name, count in counts.items())
        raise DataError(f"the numbers of values differ: {found}")
    return next(iter(counts.values()))


def stacked(column: Column) -> Any:
    """Return a batch: values of one shape as a tensor, anything but numbers as the list it is.

    Returns:
        None if the values are tensors of different shapes.
    """
    if isinstance(column, Tensor):
        return column
    items = [_as_tensor(value) for value in column]
    if not items or not all(isinstance(item, Tensor) for item in items):
        return items
    shapes = {tuple(item.shape) for item in items}
    if len(shapes) > 1:
        return None
    # OpenMMLab's data elements hold a label as a tensor of one element.
    return torch.cat(items) if shapes == {(1,)} else torch.stack(items)


def moved(value: Any, device: torch.device) -> Any:
    """Return a value with all tensors in it on a device."""
    if isinstance(value, (Tensor, BaseDataElement)):
        return value.to(device)
    if isinstance(value, Mapping):
        return {name: moved(item, device) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [moved(item, device) for item in value]
    return value


def device_of(value: Any) -> torch.device | None:
    """Return the device of the first tensor in a value; None without one."""
    if isinstance(value, Tensor):
        return value.device
    items = value.values() if isinstance(value, Mapping) else value
    if isinstance(items, (str, bytes)) or not hasattr(items, "__iter__"):
        return None
    return next((found for item in items if (found := device_of(item)) is not None), None)


def _as_tensor(value: Any) -> Any:
    if isinstance(value, (list, tuple)) and value and all(isinstance(x, _NUMBERS) for x in value):
        return torch.as_tensor(value)
    if isinstance(value, (*_NUMBERS, np.ndarray)):
        return torch.as_tensor(value)
    return value.to_dict() if isinstance(value, BaseDataElement) else value


def _walk(value: Any, parts: list[str], path: str) -> Any:
    if not parts:
        return list(value) if isinstance(value, tuple) else value
    part, rest = parts[0], parts[1:]
    if isinstance(value, (list, tuple)):
        if part == "*":
            return [_walk(item, rest, path) for item in value]
        if not part.isdigit():
            return [_walk(item, parts, path) for item in value]
        if int(part) < len(value):
            return _walk(value[int(part)], rest, path)
        raise DataKeyError(f"{path!r}: there is no item {part} among {len(value)}")
    if isinstance(value, (Tensor, np.ndarray)) and part.isdigit() and value.ndim:
        return _walk(value[int(part)], rest, path)
    return _walk(_child(value, part, path), rest, path)


def _child(value: Any, part: str, path: str) -> Any:
    if isinstance(value, Mapping):
        if part in value:
            return value[part]
        keys = [str(key) for key in value]
    elif isinstance(value, BaseDataElement):
        if part in value:
            return value.get(part)
        keys = list(value.all_keys())
    else:
        raise DataKeyError(
            f"{path!r}: a {type(value).__name__} has no keys, so no {part!r}",
            hint="'*' stands for each prediction itself, '0' for the first of what predict returns",
        )
    raise DataKeyError(
        f"{path!r}: there is no {part!r}; there are {', '.join(keys) or 'no keys'}",
        choices=nearest(part, keys),
    )
