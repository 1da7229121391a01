"""Model wrappers under MMEngine's names."""

from mm2pl.mmengine.model.wrappers.distributed import MMDistributedDataParallel
from mm2pl.mmengine.model.wrappers.fully_sharded_distributed import MMFullyShardedDataParallel
from mm2pl.mmengine.model.wrappers.seperate_distributed import MMSeparateDistributedDataParallel
from mm2pl.mmengine.model.wrappers.utils import is_model_wrapper

__all__ = [
    "MMDistributedDataParallel",
    "MMFullyShardedDataParallel",
    "MMSeparateDistributedDataParallel",
    "is_model_wrapper",
]
