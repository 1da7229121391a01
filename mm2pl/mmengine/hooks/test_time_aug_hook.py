"""Test time augmentation: not yet there."""

from __future__ import annotations

from mm2pl.mmengine.registry import HOOKS
from mm2pl.support import unsupported

PrepareTTAHook = unsupported("mmengine.hooks.PrepareTTAHook", "comes with a later release of mm2pl")
build_runner_with_tta = unsupported(
    "mmengine.hooks.test_time_aug_hook.build_runner_with_tta", "comes with a later release of mm2pl"
)

HOOKS.register_module(name="PrepareTTAHook", module=PrepareTTAHook)
