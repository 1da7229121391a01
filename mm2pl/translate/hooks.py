"""``default_hooks`` and ``custom_hooks``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.errors import nearest
from mm2pl.plan import HooksPlan, Status
from mm2pl.translate.classes import KnownClass, find, read_typed
from mm2pl.translate.report import Report, Rule, raw_items, type_name
from mm2pl.translate.spelling import misspelt
from mm2pl.translate.trainer_callbacks import is_lightnings, read_callback, refusal
from mm2pl.translate.values import want_dict

DEFAULT_HOOKS: dict[str, dict[str, Any]] = {
    "runtime_info": {"type": "RuntimeInfoHook"},
    "timer": {"type": "IterTimerHook"},
    "sampler_seed": {"type": "DistSamplerSeedHook"},
    "logger": {"type": "LoggerHook"},
    "param_scheduler": {"type": "ParamSchedulerHook"},
    "checkpoint": {"type": "CheckpointHook", "interval": 1},
}
EMA = "ExponentialMovingAverage"
# mmengine.runner.Priority, which comes with torch; a test compares them.
PRIORITIES = (
    "HIGHEST",
    "VERY_HIGH",
    "HIGH",
    "ABOVE_NORMAL",
    "NORMAL",
    "BELOW_NORMAL",
    "LOW",
    "VERY_LOW",
    "LOWEST",
)
_MEMBER = "a member of the one Lightning callback, by priority"
_CALLBACK = "a Lightning callback, in its place among the hooks"
_PRIORITY = Rule("priority", Status.AS_IS, "its place among the hooks")


def with_defaults(given: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """List the default hooks with their names as a config changes them; None leaves one out."""
    hooks: dict[str, Any] = {**DEFAULT_HOOKS, **(given if isinstance(given, Mapping) else {})}
    return [
        (name, hook)
        for name, hook in hooks.items()
        if hook is not None or name not in DEFAULT_HOOKS
    ]


def plan_hooks(cfg: Mapping[str, Any], report: Report) -> HooksPlan:
    """List the hooks in MMEngine's order of registration: defaults, added ones, custom ones."""
    given = cfg.get("default_hooks")
    entries = [(f"default_hooks.{name}", hook) for name, hook in with_defaults(given)]
    for name, hook in raw_items(given) if isinstance(given, Mapping) else ():
        _read_default(str(name), hook, report)
    custom = cfg.get("custom_hooks")
    if custom is not None and not isinstance(custom, (list, tuple)):
        report.problem("custom_hooks must be a list of hooks", "custom_hooks")
    else:
        added = [(f"custom_hooks[{i}]", hook) for i, hook in enumerate(custom or ())]
        for path, hook in added:
            _read_hook(path, hook, report)
        entries += added
    return HooksPlan(tuple(entries))


def _read_default(name: str, hook: Any, report: Report) -> None:
    path = f"default_hooks.{name}"
    meant = [] if name in DEFAULT_HOOKS else _meant_default(name, hook)
    if meant:
        kind = DEFAULT_HOOKS[meant[0]]["type"]
        report.note(path, Status.UNKNOWN, f"adds a hook; the default {kind} is {meant[0]!r}", meant)
    if hook is None:
        if name in DEFAULT_HOOKS:
            report.note(path, Status.TRANSLATED, "left out")
        else:
            report.later("None leaves out a default hook, and this is none", path)
        return
    _read_hook(path, hook, report, noted=bool(meant))


def _meant_default(name: str, hook: Any) -> list[str]:
    """Return the default hooks that a name was meant for: one spelt so, or one of that class."""
    kind = type_name(dict.get(hook, "type")) if isinstance(hook, dict) else ""
    same = [key for key, row in DEFAULT_HOOKS.items() if row["type"] == kind]
    return misspelt(name, DEFAULT_HOOKS) or same


def _read_hook(path: str, hook: Any, report: Report, *, noted: bool = False) -> None:
    kind = dict(raw_items(hook)).get("type") if isinstance(hook, Mapping) else type(hook)
    native = kind is not None and is_lightnings(kind)
    refused = refusal(kind)
    if refused is not None:
        report.unsupported(refused[0], path, *refused[1:])
        return
    if not noted:
        member = (Status.AS_IS, _CALLBACK) if native else (Status.TRANSLATED, _MEMBER)
        report.note(path, *member)
    if want_dict(hook, path, report, none=False) or not isinstance(hook, Mapping):
        return
    given = dict(raw_items(hook))
    if "type" not in given:
        name = path.removeprefix("default_hooks.")
        kind = DEFAULT_HOOKS.get(name, {}).get("type", "...")
        report.problem("a hook needs a 'type'", path, f"add type={kind!r}")
    _check_priority(given.get("priority"), f"{path}.priority", report)
    if native:
        if "priority" in given:
            report.note(f"{path}.priority", _PRIORITY.status, _PRIORITY.text)
        read_callback(hook, path, report)
        return
    handed = None
    if "ema_type" in given or type_name(given.get("type")) == "EMAHook":
        handed = _average(given, path, report)
    read_typed(hook, "HOOKS", path, report, rules=(_PRIORITY,), handed=handed)


def _average(hook: Mapping[str, Any], path: str, report: Report) -> KnownClass | None:
    """Return the class that EMAHook hands its further arguments to."""
    found = find(hook.get("ema_type", EMA), "MODELS", hook.get("_scope_", report.scope))
    if found.status is Status.UNKNOWN:
        report.note(f"{path}.ema_type", Status.UNKNOWN, found.text, found.choices)
    return found.known


def _check_priority(priority: Any, path: str, report: Report) -> None:
    """Refuse what MMEngine refuses when it registers a hook."""
    if isinstance(priority, str) and priority.upper() not in PRIORITIES:
        report.problem(
            f"{priority!r} is not a priority",
            path,
            "a priority is one of MMEngine's, or a number from 0 to 100",
            nearest(priority.upper(), PRIORITIES) or PRIORITIES,
        )
    elif isinstance(priority, int) and not 0 <= priority <= 100:
        report.problem(f"a priority lies between 0 and 100, got {priority}", path)
    elif isinstance(priority, (float, list, tuple, Mapping)):
        report.later(f"must be a priority's name or a whole number, got {priority!r}", path)
