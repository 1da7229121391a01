"""Names for torch's base classes.

MMEngine took them from Parrots (an inner framework of SenseTime) where that was installed, hence
the module's name; here they are always torch's.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import SyncBatchNorm as SyncBatchNorm_
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.nn.modules.pooling import (
    _AdaptiveAvgPoolNd,
    _AdaptiveMaxPoolNd,
    _AvgPoolNd,
    _MaxPoolNd,
)
from torch.utils.data import DataLoader

__all__ = [
    "TORCH_VERSION",
    "DataLoader",
    "PoolDataLoader",
    "SyncBatchNorm",
    "SyncBatchNorm_",
    "_AdaptiveAvgPoolNd",
    "_AdaptiveMaxPoolNd",
    "_AvgPoolNd",
    "_BatchNorm",
    "_ConvNd",
    "_ConvTransposeMixin",
    "_InstanceNorm",
    "_MaxPoolNd",
    "get_build_config",
    "is_rocm_pytorch",
]

TORCH_VERSION = torch.__version__  # compares as a version: "2.13" > "2.4"
PoolDataLoader = DataLoader
# torch keeps the old name as a class that warns when it is constructed; it has no other use.
_ConvTransposeMixin = _ConvTransposeNd


class SyncBatchNorm(SyncBatchNorm_):
    """torch's SyncBatchNorm, as a class that models may tell from it."""


def is_rocm_pytorch() -> bool:
    """Tell whether torch was built for ROCm and ROCm is installed."""
    if torch.version.hip is None:
        return False
    from torch.utils.cpp_extension import ROCM_HOME

    return ROCM_HOME is not None


def _get_cuda_home() -> str | None:
    """Return the folder of CUDA (or ROCm), ``None`` if there is none."""
    # Imported late: it looks for compilers.
    from torch.utils import cpp_extension

    return cpp_extension.ROCM_HOME if is_rocm_pytorch() else cpp_extension.CUDA_HOME


def get_build_config() -> str:
    """Return how torch was built."""
    return torch.__config__.show()


def _get_extension() -> tuple[Any, Any, Any]:
    """Return the classes that build C++ and CUDA extensions."""
    from torch.utils.cpp_extension import BuildExtension, CppExtension, CUDAExtension

    return BuildExtension, CppExtension, CUDAExtension
