"""Measures the time of each iteration and what is left of the run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from mm2pl.mmengine.hooks.hook import DATA_BATCH, Hook
from mm2pl.mmengine.registry import HOOKS


@HOOKS.register_module()
class IterTimerHook(Hook):
    """Writes ``data_time`` and ``time`` (seconds) and the info ``eta`` to the message hub.

    ``eta`` is what is left of training, or of the validation or test that is on.
    """

    priority = "NORMAL"

    def __init__(self) -> None:
        self.time_sec_tot = 0.0
        self.time_sec_test_val = 0.0
        self.start_iter = 0
        self.t = 0.0

    def before_train(self, runner: Any) -> None:
        """Count from the iteration at which training begins, after a resume too."""
        self.start_iter = runner.iter

    def _before_epoch(self, runner: Any, mode: str = "train") -> None:
        self.t = time.time()

    def _after_epoch(self, runner: Any, mode: str = "train") -> None:
        self.time_sec_test_val = 0.0

    def _before_iter(
        self, runner: Any, batch_idx: int, data_batch: DATA_BATCH = None, mode: str = "train"
    ) -> None:
        """Record how long the batch took to come."""
        if mode != "train" and batch_idx == 0:
            self.time_sec_test_val = 0.0  # several sets each count anew
        runner.message_hub.update_scalar(f"{mode}/data_time", time.time() - self.t)

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: Sequence[Any] | dict[str, Any] | None = None,
        mode: str = "train",
    ) -> None:
        """Record how long the step took, its batch included, and the time left."""
        now = time.time()
        elapsed = now - self.t
        self.t = now
        if mode == "train":
            self.time_sec_tot += elapsed
            current = runner.iter
            mean = self.time_sec_tot / (current - self.start_iter + 1)
            left = runner.max_iters - current - 1
        else:
            loader = runner.val_dataloader if mode == "val" else runner.test_dataloader
            self.time_sec_test_val += elapsed
            mean = self.time_sec_test_val / (batch_idx + 1)
            left = len(loader) - batch_idx - 1
        hub = runner.message_hub
        hub.update_scalar(f"{mode}/time", elapsed)
        hub.update_info("eta", mean * left)
