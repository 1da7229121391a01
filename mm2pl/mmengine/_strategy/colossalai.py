"""ColossalAI's strategy, which is refused with the reason."""

from __future__ import annotations

from mm2pl.mmengine.optim.optimizer._unsupported import ColossalAIOptimWrapper
from mm2pl.mmengine.registry import STRATEGIES
from mm2pl.support import unsupported
from mm2pl.translate.strategies import REFUSED

__all__ = ["ColossalAIOptimWrapper", "ColossalAIStrategy"]

ColossalAIStrategy = unsupported(
    "mmengine._strategy.ColossalAIStrategy", *REFUSED["ColossalAIStrategy"]
)
STRATEGIES.register_module(module=ColossalAIStrategy)
