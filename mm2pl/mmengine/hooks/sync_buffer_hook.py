"""Averages the model's buffers over all processes."""

from __future__ import annotations

from typing import Any

from mm2pl.mmengine.dist import all_reduce_params, is_distributed
from mm2pl.mmengine.hooks.hook import Hook
from mm2pl.mmengine.registry import HOOKS


@HOOKS.register_module()
class SyncBuffersHook(Hook):
    """Averages buffers (the statistics of BatchNorm, say) after each training epoch.

    A validation inside an epoch (iteration loop) is preceded by an averaging of its own.
    """

    priority = "NORMAL"

    def __init__(self) -> None:
        self.distributed = is_distributed()
        self.called_in_train = False

    def before_val_epoch(self, runner: Any) -> None:
        """Average unless the training epoch that just ended has done it."""
        if self.distributed and not self.called_in_train:
            all_reduce_params(runner.model.buffers(), op="mean")
        self.called_in_train = False

    def after_train_epoch(self, runner: Any) -> None:
        """Average at the end of the epoch."""
        if self.distributed:
            all_reduce_params(runner.model.buffers(), op="mean")
            self.called_in_train = True
