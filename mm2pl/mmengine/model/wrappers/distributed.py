"""Torch's own data-parallel wrappers, registered, and MMEngine's, which Lightning stands in for."""

from __future__ import annotations

from torch.nn.parallel import DataParallel, DistributedDataParallel

from mm2pl.mmengine.registry import MODEL_WRAPPERS
from mm2pl.support import unsupported

MODEL_WRAPPERS.register_module(module=DistributedDataParallel)
MODEL_WRAPPERS.register_module(module=DataParallel)

MMDistributedDataParallel = unsupported(
    "mmengine.model.MMDistributedDataParallel",
    "Lightning's DDPStrategy wraps the model",
    "drop the wrapper; `model_wrapper_cfg` and `find_unused_parameters` are read from the config",
)
MODEL_WRAPPERS.register_module(name="MMDistributedDataParallel", module=MMDistributedDataParallel)
