"""Torch's own schedules in ``param_scheduler``, which only mm2pl takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mm2pl.errors import nearest
from mm2pl.libraries import LIBRARIES
from mm2pl.plan import Status
from mm2pl.translate.classes import classes, type_place
from mm2pl.translate.report import Report

MODULE = "torch.optim.lr_scheduler"
PLATEAU = "ReduceLROnPlateau"
REQUIRED = "(to be given)"
_CYCLED_MOMENTUM = {"cycle_momentum": True, "last_epoch": -1}
# The arguments of torch's classes with their defaults; a test compares them with torch's.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "LambdaLR": {"lr_lambda": REQUIRED, "last_epoch": -1},
    "MultiplicativeLR": {"lr_lambda": REQUIRED, "last_epoch": -1},
    "StepLR": {"step_size": REQUIRED, "gamma": 0.1, "last_epoch": -1},
    "MultiStepLR": {"milestones": REQUIRED, "gamma": 0.1, "last_epoch": -1},
    "ConstantLR": {"factor": 1 / 3, "total_iters": 5, "last_epoch": -1},
    "LinearLR": {"start_factor": 1 / 3, "end_factor": 1.0, "total_iters": 5, "last_epoch": -1},
    "ExponentialLR": {"gamma": REQUIRED, "last_epoch": -1},
    "PolynomialLR": {"total_iters": 5, "power": 1.0, "last_epoch": -1},
    "CosineAnnealingLR": {"T_max": REQUIRED, "eta_min": 0.0, "last_epoch": -1},
    "CosineAnnealingWarmRestarts": {
        "T_0": REQUIRED,
        "T_mult": 1,
        "eta_min": 0.0,
        "last_epoch": -1,
    },
    "CyclicLR": {
        "base_lr": REQUIRED,
        "max_lr": REQUIRED,
        "step_size_up": 2000,
        "step_size_down": None,
        "mode": "triangular",
        "gamma": 1.0,
        "scale_fn": None,
        "scale_mode": "cycle",
        "base_momentum": 0.8,
        "max_momentum": 0.9,
        **_CYCLED_MOMENTUM,
    },
    "OneCycleLR": {
        "max_lr": REQUIRED,
        "total_steps": None,
        "epochs": None,
        "steps_per_epoch": None,
        "pct_start": 0.3,
        "anneal_strategy": "cos",
        "base_momentum": 0.85,
        "max_momentum": 0.95,
        "div_factor": 25.0,
        "final_div_factor": 1e4,
        "three_phase": False,
        **_CYCLED_MOMENTUM,
    },
    PLATEAU: {
        "mode": "min",
        "factor": 0.1,
        "patience": 10,
        "threshold": 1e-4,
        "threshold_mode": "rel",
        "cooldown": 0,
        "min_lr": 0,
        "eps": 1e-8,
    },
}
NAMES = tuple(ARGUMENTS)
# What torch's classes took before, and some versions still do.
FORMER = {"verbose": "older versions of torch take it"}
_OF_SCHEDULES = ("ChainedScheduler", "SequentialLR")
# What mm2pl reads; the rest goes to torch's class.
_READ = {
    "begin": "the first step of the schedule",
    "end": "the step from which on it changes nothing",
    "by_epoch": "whether it steps by epoch or by iteration",
    "monitor": "a name among the metrics of the validation",
}
_CONVERT = "convert_to_iter_based"


def is_torchs(kind: Any) -> bool:
    """Whether a ``type`` is one of torch's schedules."""
    return type_place(kind)[0] == MODULE


def is_bare(kind: Any, scope: str | None) -> bool:
    """Whether a ``type`` names one of torch's schedules as only MMEngine's may be named.

    Args:
        kind: The type.
        scope: The scope in force; a library may have a class of that name.
    """
    place, name = type_place(kind) if isinstance(kind, str) else ("", "")
    return place is None and scope not in LIBRARIES and name in NAMES and name not in _mmengines()


def _mmengines() -> Mapping[str, Any]:
    return classes()["PARAM_SCHEDULERS"]


def read_torchs(given: Mapping[str, Any], path: str, report: Report) -> None:
    """Read a schedule of torch's."""
    name = type_place(given["type"])[1]
    _read_type(name, f"{path}.type", report)
    takes = ARGUMENTS.get(name, {})
    for key in given:
        if key == "monitor" and name != PLATEAU:
            report.later(f"{name} waits for no metric", f"{path}.{key}")
        elif key != "type":
            report.note(f"{path}.{key}", *_argument(key, given[key], name))
    for key in (one for one in takes if takes[one] == REQUIRED and one not in given):
        meant = [one for one in nearest(key, given) if one not in takes]
        hint = f"is {meant[0]!r} meant to be it?" if meant else f"add {key}=..."
        report.later(f"torch's {name} needs {key!r}", path, hint)
    if name == PLATEAU and "monitor" not in given:
        hint = "for example monitor='accuracy', mode='max'"
        report.later(f"{name} needs the name of a metric", path, hint, ("monitor",))


def _argument(key: str, value: Any, name: str) -> tuple[Status, str, Sequence[str]]:
    """Return what becomes of an argument, why, and what may have been meant."""
    if key in _READ:
        return Status.AS_IS, _READ[key], ()
    if key == _CONVERT:
        text = "which of torch's arguments count epochs is not known"
        return Status.UNSUPPORTED if value else Status.AS_IS, text, ()
    if key in ARGUMENTS.get(name, {}):
        return Status.AS_IS, f"an argument of torch's {name}", ()
    if key in FORMER or name not in NAMES:
        return Status.BY_CLASS, FORMER.get(key, f"an argument of torch's {name}"), ()
    meant = nearest(key, [*ARGUMENTS[name], *_READ])
    return Status.UNKNOWN, f"torch's {name} has no such argument", meant


def _read_type(name: str, where: str, report: Report) -> None:
    if name in _OF_SCHEDULES:
        text = "it is made of schedules that are built already; list them one by one"
        report.note(where, Status.UNSUPPORTED, text)
    elif name in NAMES:
        report.note(where, Status.TRANSLATED, "stepped beside MMEngine's schedules")
    else:
        choices = [f"{MODULE}.{one}" for one in nearest(name, NAMES)]
        report.note(where, Status.UNKNOWN, f"there is no {MODULE}.{name}", choices)
