"""The exponential moving average of the weights: not yet there."""

from __future__ import annotations

from mm2pl.mmengine.registry import HOOKS
from mm2pl.support import unsupported

EMAHook = unsupported("mmengine.hooks.EMAHook", "comes with a later release of mm2pl")

HOOKS.register_module(name="EMAHook", module=EMAHook)
