"""Profiling: not yet there."""

from __future__ import annotations

from mm2pl.mmengine.registry import HOOKS
from mm2pl.support import unsupported

ProfilerHook = unsupported("mmengine.hooks.ProfilerHook", "comes with a later release of mm2pl")
NPUProfilerHook = unsupported(
    "mmengine.hooks.NPUProfilerHook", "comes with a later release of mm2pl"
)

HOOKS.register_module(name="ProfilerHook", module=ProfilerHook)
HOOKS.register_module(name="NPUProfilerHook", module=NPUProfilerHook)
