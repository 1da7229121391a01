"""The module in which MMEngine keeps ``ZeroRedundancyOptimizer``, which is not supported."""

from __future__ import annotations

from mm2pl.mmengine.optim.optimizer._unsupported import ZeroRedundancyOptimizer

__all__ = ["ZeroRedundancyOptimizer"]
