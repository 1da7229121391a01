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


def plan_hooks(cfg: Mapping[str, Any], report: Report) -> HooksPlan:
    """List the hooks in MMEngine's order of registration: defaults, added ones, custom ones."""
    defaults: dict[str, Any] = dict(DEFAULT_HOOKS)
    for name, hook in (cfg.get("default_hooks") or {}).items():
        if hook is None and name in DEFAULT_HOOKS:
            defaults.pop(name, None)
        else:
            defaults[name] = hook
    entries = [(f"default_hooks.{name}", hook) for name, hook in defaults.items()]
    custom = cfg.get("custom_hooks")
    if custom is not None and not isinstance(custom, (list, tuple)):
        report.problem("custom_hooks must be a list of hooks", "custom_hooks")
    else:
        entries += [(f"custom_hooks[{i}]", hook) for i, hook in enumerate(custom or ())]
    for path, hook in entries:
        report.note(path, Status.TRANSLATED, "a member of the one Lightning callback, by priority")
        if isinstance(hook, Mapping) and "type" not in hook:
            report.problem("a hook needs a 'type'", path)
    return HooksPlan(tuple(entries))
