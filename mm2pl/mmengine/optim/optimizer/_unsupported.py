"""The wrapper that configs may name and mm2pl does not have, with the reason."""

from __future__ import annotations

from mm2pl.mmengine.registry import OPTIM_WRAPPERS
from mm2pl.support import unsupported

ColossalAIOptimWrapper = unsupported(
    "mmengine._strategy.colossalai.ColossalAIOptimWrapper",
    "ColossalAI's booster has no counterpart in Lightning",
    "type='AmpOptimWrapper' trains in mixed precision with torch's own autocast",
)
OPTIM_WRAPPERS.register_module(module=ColossalAIOptimWrapper)
