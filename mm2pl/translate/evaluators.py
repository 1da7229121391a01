"""``val_evaluator`` and ``test_evaluator``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.plan import Status
from mm2pl.translate.classes import read_typed
from mm2pl.translate.report import Report, Rule, raw_items, type_name

_METRICS = Rule("metrics", Status.BY_CLASS, "MMEngine metrics, called by the validation step")


def read_evaluator(section: Any, path: str, report: Report) -> None:
    """Note what a metric, a list of metrics, or an evaluator with its ``metrics`` becomes."""
    report.note(path, Status.TRANSLATED, "called by the Trainer's validation and test steps")
    if isinstance(section, (list, tuple)):
        _read_metrics(section, path, report)
    elif isinstance(section, Mapping) and "metrics" in section:
        read_typed(section, "EVALUATOR", path, report, default="Evaluator", rules=(_METRICS,))
        given = dict(raw_items(section))
        if type_name(given.get("type", "Evaluator")) == "Evaluator":
            _read_metrics(given["metrics"], f"{path}.metrics", report)
    else:
        read_typed(section, "METRICS", path, report)


def _read_metrics(metrics: Any, path: str, report: Report) -> None:
    if isinstance(metrics, Mapping):
        read_typed(metrics, "METRICS", path, report)
    elif isinstance(metrics, (list, tuple)):
        for index, metric in enumerate(metrics):
            read_typed(metric, "METRICS", f"{path}[{index}]", report)
