"""Keeps a moving average of the weights, and evaluates and saves it in their place."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable
from itertools import chain
from typing import Any

from torch import Tensor, nn

from mm2pl import damage
from mm2pl.errors import ConfigAssertionError
from mm2pl.mmengine.hooks.hook import Hook
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.model.averaged_model import BaseAveragedModel
from mm2pl.mmengine.model.wrappers import is_model_wrapper
from mm2pl.mmengine.registry import HOOKS, MODELS
from mm2pl.mmengine.runner.checkpoint import load_state_dict

_PREFIX = "module."  # of the averaged model's weights in its own state


@HOOKS.register_module()
class EMAHook(Hook):
    """Averages the weights at every training step; validations, tests and checkpoints use that.

    In a checkpoint ``state_dict`` holds the averaged weights, ready to be deployed, and
    ``ema_state_dict`` the ones in training.

    Args:
        ema_type: The average, a :class:`~mmengine.model.BaseAveragedModel`.
        strict_load: Raise where the names in a loaded checkpoint differ from the average's.
        begin_iter: First iteration (from 1) to average; before, the average follows the weights.
        begin_epoch: First epoch (from 1) to average; not together with ``begin_iter``.
        **kwargs: Arguments of the average.

    Raises:
        ConfigError: Both beginnings are given, or a negative one, or one behind the run's end.

    Attributes:
        src_model: The model in training, without a wrapper.
        ema_model: The average.
    """

    priority = "NORMAL"

    src_model: nn.Module
    ema_model: BaseAveragedModel

    def __init__(
        self,
        ema_type: str = "ExponentialMovingAverage",
        strict_load: bool = False,
        begin_iter: int = 0,
        begin_epoch: int = 0,
        **kwargs: Any,
    ) -> None:
        if begin_iter != 0 and begin_epoch != 0:
            raise ConfigAssertionError("only one of begin_iter and begin_epoch may be given")
        for name, value in (("begin_iter", begin_iter), ("begin_epoch", begin_epoch)):
            if value < 0:
                raise ConfigAssertionError(f"{name} must not be negative, got {value}")
        self.strict_load = strict_load
        self._copied_early = False
        self.ema_cfg = {"type": ema_type, **kwargs}
        self.begin_iter = begin_iter
        self.begin_epoch = begin_epoch
        self.enabled_by_epoch = begin_epoch > 0

    def before_run(self, runner: Any) -> None:
        """Copy the model."""
        if not self._copied_early:
            self._copy(runner)
        self._copied_early = False

    def _copy(self, runner: Any) -> None:
        model = runner.model
        self.src_model = model.module if is_model_wrapper(model) else model
        self.ema_model = MODELS.build(self.ema_cfg, default_args={"model": self.src_model})

    def before_train(self, runner: Any) -> None:
        """Check that averaging begins within the run."""
        unit = "epoch" if self.enabled_by_epoch else "iter"
        begin, end = getattr(self, f"begin_{unit}"), getattr(runner, f"max_{unit}s")
        if begin > end:
            raise ConfigAssertionError(
                f"EMAHook would begin at {unit} {begin}, but training ends at {end}",
                hint=f"lower begin_{unit}",
            )

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Take the new weights into the average; before its beginning copy them."""
        if self._ema_started(runner):
            self.ema_model.update_parameters(self.src_model)
            return
        weights = self.src_model.state_dict()
        for name, average in self.ema_model.module.state_dict().items():
            average.data.copy_(weights[name].data)

    def before_val_epoch(self, runner: Any) -> None:
        """Put the average into the model."""
        self._swap_ema_parameters()

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Put the weights in training back."""
        self._swap_ema_parameters()

    def before_test_epoch(self, runner: Any) -> None:
        """Put the average into the model."""
        self._swap_ema_parameters()

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        """Put the model's own weights back."""
        self._swap_ema_parameters()

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Add the average's state, and exchange its weights for those in ``state_dict``."""
        checkpoint["ema_state_dict"] = self.ema_model.state_dict()
        self._swap_ema_state_dict(checkpoint)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Go on with the checkpoint's average when resuming, else begin one with its weights."""
        # Differs: of MMEngine's FlexibleRunner, which loads before before_run, this is an error.
        if not hasattr(self, "ema_model"):
            self._copy(runner)
            self._copied_early = True
        if runner._resume and "ema_state_dict" in checkpoint:
            damage.refuse_no_weights(checkpoint, "the checkpoint", "ema_state_dict")
            with damage.taking_up("the checkpoint", "ema_state_dict"):
                self._swap_ema_state_dict(checkpoint)
                average = checkpoint["ema_state_dict"]
                self.ema_model.load_state_dict(average, strict=self.strict_load)
            return
        if runner._resume:
            print_log(
                "There is no `ema_state_dict` in checkpoint. `EMAHook` will make a copy of"
                " `state_dict` as the initial `ema_state_dict`",
                "current",
                logging.WARNING,
            )
        # Differs: MMEngine raises KeyError for a file that is nothing but weights.
        weights = copy.deepcopy(checkpoint.get("state_dict", checkpoint))
        load_state_dict(self.ema_model.module, weights, strict=self.strict_load)

    def _swap_ema_parameters(self) -> None:
        """Exchange the values of model and average."""
        pairs = zip(
            self._swapped(self.ema_model.module), self._swapped(self.src_model), strict=False
        )
        for average, present in pairs:
            kept = average.data.clone()
            average.data.copy_(present.data)
            present.data.copy_(kept)

    def _swapped(self, model: nn.Module) -> Iterable[Tensor]:
        """Return what is averaged; buffers that are merely copied stay where they are."""
        if self.ema_model.update_buffers:
            return chain(model.parameters(), model.buffers())
        return model.parameters()

    def _swap_ema_state_dict(self, checkpoint: dict[str, Any]) -> None:
        """Exchange ``state_dict`` and the weights in ``ema_state_dict``."""
        weights, average = checkpoint["state_dict"], checkpoint["ema_state_dict"]
        for key in average:
            if key.startswith(_PREFIX):
                name = key[len(_PREFIX) :]
                average[key], weights[name] = weights[name], average[key]

    def _ema_started(self, runner: Any) -> bool:
        """Say whether the present step, which is not counted yet, is to be averaged."""
        if self.enabled_by_epoch:
            return bool(runner.epoch + 1 >= self.begin_epoch)
        return bool(runner.iter + 1 >= self.begin_iter)
