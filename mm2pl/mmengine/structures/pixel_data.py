"""Data of the pixels of an image: maps of one height and width, cut together."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from typing_extensions import Self

from mm2pl.mmengine.structures.base_data_element import _PRIVATE, BaseDataElement


class PixelData(BaseDataElement):
    """Data fields of shape (channels, height, width), tensors or arrays.

    A field of shape (height, width) is given a channel, with a warning.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _PRIVATE:
            value = self._checked(value)
        super().__setattr__(name, value)

    def _checked(self, value: Any) -> Any:
        if not isinstance(value, (torch.Tensor, np.ndarray)):
            raise AssertionError(
                f"Can not set {type(value)}, only support {(torch.Tensor, np.ndarray)}"
            )
        if self.shape and tuple(value.shape[-2:]) != self.shape:
            raise AssertionError(
                f"The height and width of values {tuple(value.shape[-2:])} is not consistent "
                f"with the shape of this :obj:`PixelData` {self.shape}"
            )
        if value.ndim not in (2, 3):
            raise AssertionError(f"The dim of value must be 2 or 3, but got {value.ndim}")
        if value.ndim == 2:
            value = value[None]
            warnings.warn(
                f"The shape of value will convert from {value.shape[-2:]} to {value.shape}"
            )
        return value

    def __getitem__(self, item: tuple[int | slice, int | slice]) -> Self:
        """Cut all fields to some rows and columns; an index keeps its dimension."""
        if not isinstance(item, tuple):
            raise TypeError(f"Unsupported type {type(item)} for slicing PixelData")
        if len(item) != 2:
            raise AssertionError("Only support to slice height and width")
        cut = (slice(None), *map(_as_slice, item, self.shape or (None, None)))
        element = self.__class__(metainfo=self.metainfo)
        element.set_data({name: value[cut] for name, value in self.items()})
        return element

    @property
    def shape(self) -> tuple[int, int] | None:
        """Height and width, ``None`` without data fields."""
        return tuple(self.values()[0].shape[-2:]) if self._data_fields else None


def _as_slice(index: Any, length: int | None) -> slice:
    if isinstance(index, int):
        return slice(index, None, length)
    if isinstance(index, slice):
        return index
    raise TypeError(f"The type of element in input must be int or slice, but got {type(index)}")
