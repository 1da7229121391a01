"""Keeps the message hub up to date: where the run is, learning rates, losses and metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mm2pl.errors import ModelAssertionError
from mm2pl.mmengine.hooks.hook import DATA_BATCH, Hook
from mm2pl.mmengine.hooks.logger_hook import LoggerHook
from mm2pl.mmengine.logging.message_hub import is_deferred
from mm2pl.mmengine.registry import HOOKS
from mm2pl.mmengine.utils import get_git_hash
from mm2pl.mmengine.version import __version__


def _is_scalar(value: Any) -> bool:
    """Say whether the message hub takes ``value`` for a number."""
    if isinstance(value, np.ndarray):
        return value.size == 1
    if isinstance(value, torch.Tensor):
        return value.numel() == 1
    return isinstance(value, (int, float, np.number))


@HOOKS.register_module()
class RuntimeInfoHook(Hook):
    """Writes counters, phase, learning rates, losses and metrics to ``runner.message_hub``.

    Differs: losses are not read at every iteration, which on a GPU would wait for the device each
    time, but at those that are logged.
    """

    priority = "VERY_HIGH"
    last_loop_stage: str | None = None

    def before_run(self, runner: Any) -> None:
        """Record what identifies the run: config, seed, name and version."""
        runner.message_hub.update_info_dict(
            {
                "cfg": runner.cfg.pretty_text,
                "seed": runner.seed,
                "experiment_name": runner.experiment_name,
                "mmengine_version": __version__ + get_git_hash(),
            }
        )
        self.last_loop_stage = None

    def before_train(self, runner: Any) -> None:
        """Record where training begins, after a resume too, and the data's meta information."""
        update = runner.message_hub.update_info
        update("loop_stage", "train")
        for name in ("epoch", "iter", "max_epochs", "max_iters"):
            update(name, getattr(runner, name))
        dataset = runner.train_dataloader.dataset
        if hasattr(dataset, "metainfo"):
            update("dataset_meta", dataset.metainfo)

    def after_train(self, runner: Any) -> None:
        """Forget the phase."""
        runner.message_hub.pop_info("loop_stage")

    def before_train_epoch(self, runner: Any) -> None:
        """Record the epoch."""
        runner.message_hub.update_info("epoch", runner.epoch)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: DATA_BATCH = None) -> None:
        """Record the iteration, and the learning rate of each optimizer's first group."""
        hub = runner.message_hub
        hub.update_info("iter", runner.iter)
        rates = runner.optim_wrapper.get_lr()
        if not isinstance(rates, dict):
            raise ModelAssertionError(
                "`runner.optim_wrapper.get_lr()` should return a dict of learning rates, "
                f"but got {type(rates)}",
                hint="The optimizer constructor should return an OptimWrapper or OptimWrapperDict.",
            )
        for name, values in rates.items():
            hub.update_scalar(f"train/{name}", values[0])

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Record what the training step returned, one scalar each."""
        if outputs is None:
            return
        hub = runner.message_hub
        for name, value in outputs.items():
            hub.update_scalar(f"train/{name}", value)
        if any(map(is_deferred, outputs.values())) and _is_logged(runner, batch_idx):
            # Here, before the timer stops: the wait belongs to the steps, not to the next batch.
            hub.get_scalar(f"train/{name}").current()

    def before_val(self, runner: Any) -> None:
        """Record that a validation is on, perhaps inside training."""
        self.last_loop_stage = runner.message_hub.get_info("loop_stage")
        runner.message_hub.update_info("loop_stage", "val")

    def after_val(self, runner: Any) -> None:
        """Return to the training that the validation interrupted, if any."""
        if self.last_loop_stage == "train":
            runner.message_hub.update_info("loop_stage", self.last_loop_stage)
            self.last_loop_stage = None
        else:
            runner.message_hub.pop_info("loop_stage")

    def before_test(self, runner: Any) -> None:
        """Record that a test is on."""
        runner.message_hub.update_info("loop_stage", "test")

    def after_test(self, runner: Any) -> None:
        """Forget the phase."""
        runner.message_hub.pop_info("loop_stage")

    def after_val_epoch(self, runner: Any, metrics: dict[str, Any] | None = None) -> None:
        """Record the metrics of a validation."""
        _record(runner.message_hub, "val", metrics)

    def after_test_epoch(self, runner: Any, metrics: dict[str, Any] | None = None) -> None:
        """Record the metrics of a test."""
        _record(runner.message_hub, "test", metrics)


def _is_logged(runner: Any, batch_idx: int) -> bool:
    return any(
        isinstance(hook, LoggerHook) and hook.logs_after_train_iter(runner, batch_idx)
        for hook in getattr(runner, "hooks", ())
    )


def _record(hub: Any, mode: str, metrics: dict[str, Any] | None) -> None:
    for name, value in (metrics or {}).items():
        update = hub.update_scalar if _is_scalar(value) else hub.update_info
        update(f"{mode}/{name}", value)
