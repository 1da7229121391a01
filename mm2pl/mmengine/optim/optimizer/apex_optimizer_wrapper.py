"""The module in which MMEngine keeps ``ApexOptimWrapper``, which is not supported."""

from __future__ import annotations

from mm2pl.mmengine.optim.optimizer._unsupported import ApexOptimWrapper

__all__ = ["ApexOptimWrapper"]
