"""``optim_wrapper``, ``param_scheduler`` and ``auto_scale_lr``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.plan import OptimPlan, Status
from mm2pl.translate.classes import KnownClass, find
from mm2pl.translate.hooks import with_defaults
from mm2pl.translate.loops import length_of
from mm2pl.translate.paramwise import DEFAULT
from mm2pl.translate.report import Report, raw_items, whole_number
from mm2pl.translate.schedules import check_options, read_schedules
from mm2pl.translate.wrappers import PLAIN, is_wrapper, read_foreign, read_wrapper

_PATH = "optim_wrapper"
_STEPS = "ParamSchedulerHook"
_HINT = "add optimizer=dict(type='SGD', lr=...), or a constructor for several optimizers"


def plan_optim(cfg: Mapping[str, Any], report: Report) -> OptimPlan | None:
    """Read the three sections; without an ``optim_wrapper`` there is nothing to schedule."""
    wrapper = cfg.get("optim_wrapper")
    schedulers = cfg.get("param_scheduler")
    auto_scale = cfg.get("auto_scale_lr")
    if (
        isinstance(auto_scale, Mapping)
        and auto_scale.get("enable")
        and "base_batch_size" not in auto_scale
    ):
        report.later("auto_scale_lr needs 'base_batch_size'", "auto_scale_lr")
    hooks = _hooks(cfg, report)
    names = _read_optimizers(wrapper, None in hooks, report)
    if schedulers is not None and not {None, _STEPS} & set(hooks):
        text = f"{_STEPS} is left out, so schedules stay at their first value"
        report.instead("param_scheduler", Status.NO_EFFECT, text)
    length = length_of(cfg.get("train_cfg"))
    if length is not None and counts_updates(cfg.get("trainer")):
        length = length.in_updates(accumulation_of(wrapper) if names == () else None)
    read_schedules(schedulers, names, length, report)
    known = _one_optimizer(wrapper, report) if names == () else None
    if known is not None and not known.open:
        check_options(schedulers, known.name, known.arguments, report)
    if wrapper is not None:
        return OptimPlan(wrapper, schedulers, auto_scale)
    if schedulers is not None:
        report.problem(
            "param_scheduler is given, optim_wrapper is missing",
            "param_scheduler",
            "set param_scheduler=None, or add an optim_wrapper",
        )
    return None


def counts_updates(trainer: Any) -> bool:
    """Whether ``trainer = dict(...)`` says that schedules count updates of their optimizer."""
    return isinstance(trainer, Mapping) and trainer.get("schedule_per_update") is True


def accumulation_of(wrapper: Any) -> int:
    """Return how many iterations an update of the one optimizer takes."""
    if isinstance(wrapper, Mapping):
        counts = dict(raw_items(wrapper)).get("accumulative_counts", 1)
    else:
        counts = getattr(wrapper, "_accumulative_counts", 1)
    return counts if whole_number(1)(counts) is None else 1


def _read_optimizers(given: Any, watched: bool, report: Report) -> tuple[str, ...] | None:
    """Read ``optim_wrapper``.

    Args:
        given: Its value.
        watched: Whether a library's hook may read options of the parameter groups.
        report: Where the notes go.

    Returns:
        The optimizers' names: none if there is one without a name; None if a class decides it.
    """
    if isinstance(given, PLAIN):
        report.later(f"must be an OptimWrapper or a dict, got {given!r}", _PATH, _HINT)
    if not isinstance(given, Mapping):
        return None
    given = dict(raw_items(given))
    constructor, name = given.get("constructor"), DEFAULT
    if constructor is not None:
        found = find(constructor, "OPTIM_WRAPPER_CONSTRUCTORS", report.scope)
        report.note(f"{_PATH}.constructor", found.status, found.text, found.choices)
        if found.known is None:
            read_foreign(given, _PATH, report)
            return None
        name = found.known.name
    if constructor is not None or given.get("optimizer") is not None or "type" in given:
        read_wrapper(given, _PATH, name, watched, report)
        if given.get("optimizer") is None:
            report.later("the optimizer is missing", _PATH, _HINT, ("optimizer",))
        return ()
    return _read_named(given, watched, report)


def _one_optimizer(wrapper: Any, report: Report) -> KnownClass | None:
    given = dict(raw_items(wrapper)).get("optimizer") if isinstance(wrapper, Mapping) else None
    if not isinstance(given, Mapping) or "type" not in given:
        return None
    found = find(dict(raw_items(given))["type"], "OPTIMIZERS", report.scope)
    return None if found.status is Status.UNKNOWN else found.known


def _read_named(given: Mapping[str, Any], watched: bool, report: Report) -> tuple[str, ...] | None:
    """Read what has neither type, optimizer nor constructor: built wrappers by their names."""
    values = raw_items(given)
    names = [str(name) for name, value in values if is_wrapper(value)]
    if names or not any(isinstance(value, Mapping) for _, value in values):
        for name, value in values:
            report.note(f"{_PATH}.{name}", Status.AS_IS, "the wrapper of one of the optimizers")
            if isinstance(value, Mapping):
                hint = "add a constructor for several optimizers, which builds them"
                report.later("is no wrapper that is built already", f"{_PATH}.{name}", hint)
        return tuple(str(name) for name, _ in values)
    read_wrapper(given, _PATH, DEFAULT, watched, report)
    report.later("the optimizer is missing", _PATH, _HINT, ("optimizer",))
    return None


def _hooks(cfg: Mapping[str, Any], report: Report) -> list[str | None]:
    """Return the names of the hooks' classes; None for one that is not MMEngine's."""
    custom = cfg.get("custom_hooks")
    hooks = [hook for _, hook in with_defaults(cfg.get("default_hooks"))]
    hooks += custom if isinstance(custom, (list, tuple)) else []
    return [_known_name(hook, report) for hook in hooks]


def _known_name(hook: Any, report: Report) -> str | None:
    kind = dict(raw_items(hook)).get("type") if isinstance(hook, Mapping) else hook
    known = find(kind, "HOOKS", report.scope).known
    return known.name if known else None
