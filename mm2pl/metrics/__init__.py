"""Metrics across the border: torchmetrics in evaluators, MMEngine's metrics in Lightning code."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mm2pl.metrics.torch_metric import TorchMetric

if TYPE_CHECKING:
    from mm2pl.metrics.lightning_metric import MMEngineMetric

__all__ = ["MMEngineMetric", "TorchMetric"]


def __getattr__(name: str) -> Any:
    if name == "MMEngineMetric":  # which imports torchmetrics
        from mm2pl.metrics.lightning_metric import MMEngineMetric

        return MMEngineMetric
    raise AttributeError(f"module {__name__} has no attribute {name}")
