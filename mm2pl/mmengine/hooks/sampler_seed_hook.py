"""Tells the training sampler which epoch it is, so that each epoch has its own order."""

from __future__ import annotations

from typing import Any

from mm2pl.mmengine.hooks.hook import Hook
from mm2pl.mmengine.registry import HOOKS


@HOOKS.register_module()
class DistSamplerSeedHook(Hook):
    """Calls ``set_epoch`` of the training sampler, or else of the batch sampler's sampler."""

    priority = "NORMAL"

    def before_train_epoch(self, runner: Any) -> None:
        """Pass the epoch on to the first of the two samplers that wants it."""
        loader = runner.train_loop.dataloader
        # A loader without batches (batch_size=None) has None for the batch sampler.
        for holder in (loader, getattr(loader, "batch_sampler", None)):
            set_epoch = getattr(getattr(holder, "sampler", None), "set_epoch", None)
            if set_epoch is not None:
                set_epoch(runner.epoch)
                return
