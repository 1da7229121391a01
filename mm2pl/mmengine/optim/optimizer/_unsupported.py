"""Wrappers and optimizers that configs may name and mm2pl does not have, each with its reason."""

from __future__ import annotations

from mm2pl.mmengine.registry import OPTIM_WRAPPERS, OPTIMIZERS
from mm2pl.support import unsupported

_AMP_HINT = "type='AmpOptimWrapper' trains in mixed precision with torch's own autocast"

ApexOptimWrapper = unsupported(
    "mmengine.optim.ApexOptimWrapper",
    "NVIDIA's apex.amp is deprecated in favour of torch.amp",
    _AMP_HINT,
)
DeepSpeedOptimWrapper = unsupported(
    "mmengine._strategy.deepspeed.DeepSpeedOptimWrapper",
    "it calls a DeepSpeed engine, which Lightning makes and steps by itself",
    "type='OptimWrapper'",
)
ColossalAIOptimWrapper = unsupported(
    "mmengine._strategy.colossalai.ColossalAIOptimWrapper",
    "ColossalAI's booster has no counterpart in Lightning",
    _AMP_HINT,
)
ZeroRedundancyOptimizer = unsupported(
    "mmengine.optim.ZeroRedundancyOptimizer",
    "sharded optimizer states are not tied to the checkpoints yet",
    "name the optimizer that it wraps (its optimizer_type) as optimizer.type",
)

for _kind in (ApexOptimWrapper, DeepSpeedOptimWrapper, ColossalAIOptimWrapper):
    OPTIM_WRAPPERS.register_module(module=_kind)
OPTIMIZERS.register_module(module=ZeroRedundancyOptimizer)
