"""``default_hooks`` and ``custom_hooks``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.plan import HooksPlan, Status
from mm2pl.translate.report import Report

DEFAULT_HOOKS: dict[str, dict[str, Any]] = {
    "runtime_info": {"type": "RuntimeInfoHook"},
    "timer": {"type": "IterTimerHook"},
    "sampler_seed": {"type": "DistSamplerSeedHook"},
    "logger": {"type": "LoggerHook"},
    "param_scheduler": {"type": "ParamSchedulerHook"},
    "checkpoint": {"type": "CheckpointHook", "interval": 1},
}


def with_defaults(given: Mapping[str, Any] | None) -> list[tuple[str, Any]]:
    """List the default hooks with their names as a config changes them; None leaves one out."""
    hooks: dict[str, Any] = DEFAULT_HOOKS | dict(given or {})
    return [
        (name, hook)
        for name, hook in hooks.items()
        if hook is not None or name not in DEFAULT_HOOKS
    ]


def plan_hooks(cfg: Mapping[str, Any], report: Report) -> HooksPlan:
    """List the hooks in MMEngine's order of registration: defaults, added ones, custom ones."""
    entries = [
        (f"default_hooks.{name}", hook) for name, hook in with_defaults(cfg.get("default_hooks"))
    ]
    custom = cfg.get("custom_hooks")
    if custom is not None and not isinstance(custom, (list, tuple)):
        report.problem("custom_hooks must be a list of hooks", "custom_hooks")
    else:
        entries += [(f"custom_hooks[{i}]", hook) for i, hook in enumerate(custom or ())]
    for path, hook in entries:
        report.note(path, Status.TRANSLATED, "a member of the one Lightning callback, by priority")
        if isinstance(hook, Mapping) and "type" not in hook:
            name = path.removeprefix("default_hooks.")
            kind = DEFAULT_HOOKS.get(name, {}).get("type", "...")
            report.problem("a hook needs a 'type'", path, f"add type={kind!r}")
    return HooksPlan(tuple(entries))
