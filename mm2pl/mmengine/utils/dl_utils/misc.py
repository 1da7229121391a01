"""Normalisation layers, images from tensors, and mmcv."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from torch import nn

from mm2pl.mmengine.utils.dl_utils.parrots_wrapper import _BatchNorm, _InstanceNorm

_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)


def is_norm(layer: nn.Module, exclude: type | tuple[type, ...] | None = None) -> bool:
    """Tell whether a layer is a batch, instance, group or layer norm.

    Args:
        layer: The layer.
        exclude: Types that do not count.
    """
    excluded = exclude if isinstance(exclude, tuple) else () if exclude is None else (exclude,)
    if not all(isinstance(kind, type) for kind in excluded):
        raise TypeError(
            '"exclude" must be either None or type or a tuple of types, but got '
            f"{type(exclude)}: {exclude}"
        )
    return isinstance(layer, _NORMS) and not isinstance(layer, excluded)


def tensor2imgs(
    tensor: torch.Tensor,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    to_bgr: bool = True,
) -> list[Any]:
    """Undo the normalisation of images and return them as arrays.

    Args:
        tensor: Images of shape (N, C, H, W), C being 3 (RGB) or 1.
        mean: Added after multiplying; one number a channel, 0 by default.
        std: Multiplied by; one number a channel, 1 by default.
        to_bgr: Whether to return BGR; must be ``False`` for one channel.

    Returns:
        Arrays of shape (H, W, C).
    """
    if not (torch.is_tensor(tensor) and tensor.ndim == 4 and tensor.size(1) in (1, 3)):
        raise AssertionError("tensor should be a tensor of shape (N, 3, H, W) or (N, 1, H, W)")
    channels = tensor.size(1)
    mean = (0,) * channels if mean is None else mean
    std = (1,) * channels if std is None else std
    if not channels == len(mean) == len(std) or (to_bgr and channels == 1):
        raise AssertionError(
            f"{channels} channels need as many means and stds, and 3 if to_bgr; got mean={mean}, "
            f"std={std}, to_bgr={to_bgr}"
        )
    images = tensor.permute(0, 2, 3, 1) * tensor.new_tensor(std) + tensor.new_tensor(mean)
    arrays = images.detach().cpu().numpy()
    if to_bgr:
        arrays = arrays[..., ::-1]
    return [np.ascontiguousarray(array) for array in arrays]


def has_batch_norm(model: nn.Module) -> bool:
    """Tell whether a model is or has a batch norm."""
    return any(isinstance(module, _BatchNorm) for module in model.modules())


def mmcv_full_available() -> bool:
    """Tell whether mmcv is installed with its compiled operators."""
    try:
        return find_spec("mmcv._ext") is not None
    except ImportError:
        return False
