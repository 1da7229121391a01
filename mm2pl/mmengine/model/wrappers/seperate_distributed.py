"""MMEngine's wrapper for models whose parts are optimised apart (the spelling is MMEngine's)."""

from __future__ import annotations

from mm2pl.mmengine.registry import MODEL_WRAPPERS
from mm2pl.support import unsupported

MMSeparateDistributedDataParallel = unsupported(
    "mmengine.model.MMSeparateDistributedDataParallel",
    "Lightning's DDPStrategy wraps the model as a whole",
    "drop the wrapper, or set `find_unused_parameters=True` in the config",
)
MODEL_WRAPPERS.register_module(
    name="MMSeparateDistributedDataParallel", module=MMSeparateDistributedDataParallel
)
