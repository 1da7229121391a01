"""DeepSpeed's strategy, which is refused with the reason."""

from __future__ import annotations

from mm2pl.mmengine.optim.optimizer._deepspeed import DeepSpeedOptimWrapper
from mm2pl.mmengine.registry import STRATEGIES
from mm2pl.support import unsupported
from mm2pl.translate.strategies import REFUSED

__all__ = ["DeepSpeedOptimWrapper", "DeepSpeedStrategy"]

DeepSpeedStrategy = unsupported(
    "mmengine._strategy.DeepSpeedStrategy", *REFUSED["DeepSpeedStrategy"]
)
STRATEGIES.register_module(module=DeepSpeedStrategy)
