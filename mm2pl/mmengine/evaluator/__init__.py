"""Metrics, and the evaluator that runs several of them."""

from __future__ import annotations

from mm2pl.mmengine.evaluator.evaluator import Evaluator
from mm2pl.mmengine.evaluator.metric import BaseMetric, DumpResults
from mm2pl.mmengine.evaluator.utils import get_metric_value

__all__ = ["BaseMetric", "DumpResults", "Evaluator", "get_metric_value"]
