"""MMEngine's FSDP wrapper, which Lightning's strategy stands in for."""

from __future__ import annotations

from mm2pl.mmengine.registry import MODEL_WRAPPERS
from mm2pl.support import unsupported

MMFullyShardedDataParallel = unsupported(
    "mmengine.model.MMFullyShardedDataParallel",
    "sharding is a strategy of Lightning's Trainer",
    "drop the wrapper",
)
MODEL_WRAPPERS.register_module(name="MMFullyShardedDataParallel", module=MMFullyShardedDataParallel)
