"""FSDP's strategy, which is refused with the reason."""

from __future__ import annotations

from mm2pl.mmengine.registry import STRATEGIES
from mm2pl.support import unsupported
from mm2pl.translate.strategies import REFUSED

FSDPStrategy = unsupported("mmengine._strategy.FSDPStrategy", *REFUSED["FSDPStrategy"])
STRATEGIES.register_module(module=FSDPStrategy)
