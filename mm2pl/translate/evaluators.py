"""``val_evaluator`` and ``test_evaluator``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.plan import Status
from mm2pl.translate.classes import read_typed, type_place
from mm2pl.translate.report import Report, Rule, raw_items, type_name
from mm2pl.translate.values import want_dict

_METRICS = Rule("metrics", Status.BY_CLASS, "MMEngine metrics, called by the validation step")
_UPDATE = "what torchmetrics' update is given, by mm2pl.metrics.TorchMetric"
_TORCH_ROWS = (
    Rule("pred_key", Status.AS_IS, _UPDATE),
    Rule("target_key", Status.AS_IS, _UPDATE),
    Rule("keys", Status.AS_IS, _UPDATE),
    Rule("prefix", Status.AS_IS, "before the names of the results, with a slash"),
    Rule("name", Status.AS_IS, "the name of a result that has none"),
)


def read_evaluator(section: Any, path: str, report: Report, sets: int | None = None) -> None:
    """Note what a metric, a list of metrics, or an evaluator with its ``metrics`` becomes.

    Args:
        section: The section.
        path: Its key path.
        report: Takes the notes.
        sets: Of how many data sets it is, if the dataloaders are a list.
    """
    if sets is not None and one_for_each(section):
        report.note(path, Status.TRANSLATED, "an evaluator for each of the dataloaders")
        if len(section) != sets:
            report.later(f"{len(section)} evaluators for {sets} dataloaders", path)
        for index, one in enumerate(section):
            read_evaluator(one, f"{path}[{index}]", report)
        return
    report.note(path, Status.TRANSLATED, "called by the Trainer's validation and test steps")
    if isinstance(section, (list, tuple)):
        _read_metrics(section, path, report)
    elif is_evaluator(section):
        read_typed(section, "EVALUATOR", path, report, default="Evaluator", rules=(_METRICS,))
        given = dict(raw_items(section))
        if type_name(given.get("type", "Evaluator")) == "Evaluator":
            _read_metrics(given["metrics"], f"{path}.metrics", report)
    elif not want_dict(section, path, report):
        given = dict(raw_items(section)) if isinstance(section, Mapping) else {}
        if type_name(given.get("type")) == "Evaluator":
            report.later("an Evaluator needs 'metrics'", path, "add metrics=[dict(type=...)]")
        _read_metrics(section, path, report)


def is_evaluator(section: Any) -> bool:
    """Whether a section is an evaluator's with its ``metrics``, not a metric's."""
    if not isinstance(section, Mapping):
        return False
    given = dict(raw_items(section))
    return "metrics" in given and not _is_torchmetrics(given)


def one_for_each(section: Any) -> bool:
    """Whether a section lists evaluators, one for each data set; a list of metrics is one of all.

    An evaluator is a list of metrics, a section with ``metrics``, or a built one; one that stands
    in the list makes metrics beside it evaluators too.
    """
    return isinstance(section, (list, tuple)) and any(
        isinstance(one, (list, tuple)) or is_evaluator(one) or hasattr(one, "offline_evaluate")
        for one in section
    )


def _is_torchmetrics(given: Mapping[Any, Any]) -> bool:
    place, _ = type_place(given["type"]) if "type" in given else (None, "")
    return place is not None and place.partition(".")[0] == "torchmetrics"


def _read_metrics(metrics: Any, path: str, report: Report) -> None:
    if isinstance(metrics, Mapping):
        rows = _TORCH_ROWS if _is_torchmetrics(dict(raw_items(metrics))) else ()
        read_typed(metrics, "METRICS", path, report, rules=rows)
    elif isinstance(metrics, (list, tuple)):
        for index, metric in enumerate(metrics):
            if not want_dict(metric, f"{path}[{index}]", report, none=False):
                _read_metrics(metric, f"{path}[{index}]", report)
