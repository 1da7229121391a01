"""Drawing of predictions: not yet there."""

from __future__ import annotations

from mm2pl.mmengine.registry import HOOKS
from mm2pl.support import unsupported

NaiveVisualizationHook = unsupported(
    "mmengine.hooks.NaiveVisualizationHook", "comes with a later release of mm2pl"
)

HOOKS.register_module(name="NaiveVisualizationHook", module=NaiveVisualizationHook)
