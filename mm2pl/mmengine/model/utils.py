"""Helpers for models: batching, finding unused parameters, SyncBatchNorm to and fro."""

from __future__ import annotations

import logging
from typing import Any

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import SyncBatchNorm, _BatchNorm

from mm2pl.errors import ConfigError, DataAssertionError, ModelAssertionError
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.utils.dl_utils import mmcv_full_available


def stack_batch(
    tensor_list: list[Tensor], pad_size_divisor: float = 1, pad_value: float = 0
) -> Tensor:
    """Stack tensors of differing sizes, padded at the end of each dimension but the first.

    Args:
        tensor_list: Tensors of one rank, e.g. images of shape ``(C, H_i, W_i)``.
        pad_size_divisor: The common size is a multiple of it.
        pad_value: What to pad with.

    Returns:
        A tensor with a new first dimension, e.g. ``(N, C, H, W)``.

    Raises:
        ModelError: ``tensor_list`` is not a list.
        DataError: It is empty, or the ranks differ.
    """
    if not isinstance(tensor_list, list):
        raise ModelAssertionError(
            f"stack_batch needs a list of tensors, got {type(tensor_list).__name__}"
        )
    if not tensor_list:
        raise DataAssertionError("stack_batch got an empty list")
    shapes = [tuple(tensor.shape) for tensor in tensor_list]
    if len({len(shape) for shape in shapes}) > 1:
        raise DataAssertionError(
            f"all tensors of a batch must have the same rank, got shapes {shapes}"
        )
    target = [
        int(-(-max(sizes) // pad_size_divisor) * pad_size_divisor)
        for sizes in zip(*shapes, strict=True)
    ]
    # F.pad counts dimensions from the last; the first (channels) stays.
    missing = [
        [pad for i in range(len(shape) - 1, 0, -1) for pad in (0, target[i] - shape[i])]
        for shape in shapes
    ]
    if not any(map(any, missing)):
        return torch.stack(tensor_list)
    return torch.stack(
        [
            F.pad(tensor, pad, value=pad_value)
            for tensor, pad in zip(tensor_list, missing, strict=True)
        ]
    )


def detect_anomalous_params(loss: Tensor, model: nn.Module) -> None:
    """Log every trainable parameter of ``model`` that ``loss`` does not depend on."""
    used: set[Any] = set()
    seen: set[Any] = set()
    nodes: list[Any] = [loss.grad_fn]
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            used.add(node.variable)
        nodes.extend(parent for parent, _ in node.next_functions)
    for name, param in model.named_parameters():
        if param.requires_grad and param not in used:
            print_log(
                f"{name} with shape {param.size()} is not in the computational graph \n",
                logger="current",
                level=logging.ERROR,
            )


@torch.fx.wrap
def merge_dict(*args: dict[Any, Any]) -> dict[Any, Any]:
    """Merge dicts, the later ones winning, in a way that ``torch.fx`` does not look into."""
    merged: dict[Any, Any] = {}
    for each in args:
        if not isinstance(each, dict):
            raise ModelAssertionError(f"merge_dict needs dicts, got {type(each).__name__}")
        merged.update(each)
    return merged


class _BatchNormXd(_BatchNorm):
    """A BatchNorm for input of any rank, as SyncBatchNorm is."""

    def _check_input_dim(self, input: Tensor) -> None:
        return


def revert_sync_batchnorm(module: nn.Module) -> nn.Module:
    """Return ``module`` with every SyncBatchNorm (torch's or mmcv's) made a plain BatchNorm.

    Parameters and buffers are shared with the layers that are replaced.
    """
    kinds: tuple[type, ...] = (SyncBatchNorm,)
    if mmcv_full_available():
        from mmcv.ops import SyncBatchNorm as MmcvSyncBatchNorm  # type: ignore[import-not-found]

        kinds = (SyncBatchNorm, MmcvSyncBatchNorm)
    return _revert(module, kinds)


def _revert(module: nn.Module, kinds: tuple[type, ...]) -> nn.Module:
    reverted = module
    if isinstance(module, kinds):
        reverted = _like(module, _BatchNormXd)
        reverted.training = module.training
    for name, child in module.named_children():
        try:
            reverted.add_module(name, _revert(child, kinds))
        except Exception:
            # Some third-party containers refuse add_module; the rest of the model still counts
            # (mmengine issue 638).
            print_log(
                f"Failed to convert {child} from SyncBN to BN!",
                logger="current",
                level=logging.WARNING,
            )
    return reverted


def convert_sync_batchnorm(module: nn.Module, implementation: str = "torch") -> nn.Module:
    """Return ``module`` with every BatchNorm made a SyncBatchNorm.

    Args:
        module: Its BatchNorms' parameters and buffers are shared with the new layers.
        implementation: ``torch`` or ``mmcv``, whose SyncBatchNorm to use.

    Raises:
        ConfigError: ``implementation`` is something else.
    """
    converted = module
    if isinstance(module, _BatchNorm):
        converted = _like(module, _sync_batchnorm(implementation))
    for name, child in module.named_children():
        converted.add_module(name, convert_sync_batchnorm(child, implementation))
    return converted


def _sync_batchnorm(implementation: str) -> type[nn.Module]:
    if implementation == "torch":
        return SyncBatchNorm
    if implementation == "mmcv":
        from mmcv.ops import SyncBatchNorm as MmcvSyncBatchNorm

        return MmcvSyncBatchNorm  # type: ignore[no-any-return]
    raise ConfigError(
        f"no SyncBatchNorm of {implementation!r}", key_path="sync_bn", choices=("torch", "mmcv")
    )


def _like(norm: Any, kind: type[nn.Module]) -> nn.Module:
    """Return a ``kind`` with the settings, parameters and statistics of ``norm``."""
    new: Any = kind(
        norm.num_features, norm.eps, norm.momentum, norm.affine, norm.track_running_stats
    )
    shared = ["running_mean", "running_var", "num_batches_tracked"]
    if norm.affine:
        shared += ["weight", "bias"]
    if hasattr(norm, "qconfig"):
        shared += ["qconfig"]
    for name in shared:
        setattr(new, name, getattr(norm, name))
    return new  # type: ignore[no-any-return]
