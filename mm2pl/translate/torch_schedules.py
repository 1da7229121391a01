"""Torch's own schedules in ``param_scheduler``, which only mm2pl takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.errors import nearest
from mm2pl.plan import Status
from mm2pl.translate.classes import type_place
from mm2pl.translate.report import Report

MODULE = "torch.optim.lr_scheduler"
PLATEAU = "ReduceLROnPlateau"
# A test compares them with torch.
NAMES = (
    "LambdaLR",
    "MultiplicativeLR",
    "StepLR",
    "MultiStepLR",
    "ConstantLR",
    "LinearLR",
    "ExponentialLR",
    "PolynomialLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "OneCycleLR",
    PLATEAU,
)
_OF_SCHEDULES = ("ChainedScheduler", "SequentialLR")
# What mm2pl reads; the rest goes to torch's class.
_READ = {
    "begin": "the first step of the schedule",
    "end": "the step from which on it changes nothing",
    "by_epoch": "whether it steps by epoch or by iteration",
}


def is_torchs(kind: Any) -> bool:
    """Whether a ``type`` is one of torch's schedules."""
    return type_place(kind)[0] == MODULE


def read_torchs(given: Mapping[str, Any], path: str, report: Report) -> None:
    """Read a schedule of torch's."""
    name = type_place(given["type"])[1]
    _read_type(name, f"{path}.type", report)
    for key in given:
        where = f"{path}.{key}"
        if key in _READ:
            report.note(where, Status.AS_IS, _READ[key])
        elif key == "monitor" and name == PLATEAU:
            report.note(where, Status.AS_IS, "a name among the metrics of the validation")
        elif key == "monitor":
            report.later(f"{name} waits for no metric", where)
        elif key == "convert_to_iter_based" and given[key]:
            text = "which of torch's arguments count epochs is not known"
            report.note(where, Status.UNSUPPORTED, text)
        elif key != "type":
            report.note(where, Status.BY_CLASS, f"an argument of torch's {name}")
    if name == PLATEAU and "monitor" not in given:
        hint = "for example monitor='accuracy', mode='max'"
        report.later(f"{name} needs the name of a metric", path, hint, ("monitor",))


def _read_type(name: str, where: str, report: Report) -> None:
    if name in _OF_SCHEDULES:
        text = "it is made of schedules that are built already; list them one by one"
        report.note(where, Status.UNSUPPORTED, text)
    elif name in NAMES:
        report.note(where, Status.TRANSLATED, "stepped beside MMEngine's schedules")
    else:
        choices = [f"{MODULE}.{one}" for one in nearest(name, NAMES)]
        report.note(where, Status.UNKNOWN, f"there is no {MODULE}.{name}", choices)
