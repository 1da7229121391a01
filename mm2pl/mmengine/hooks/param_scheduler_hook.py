"""Steps the parameter schedulers: each after an iteration or after an epoch, as it says itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mm2pl.errors import ConfigTypeError
from mm2pl.mmengine.hooks.hook import DATA_BATCH, Hook
from mm2pl.mmengine.optim.scheduler._per_update import step_per_update
from mm2pl.mmengine.registry import HOOKS


@HOOKS.register_module()
class ParamSchedulerHook(Hook):
    """Calls ``step`` of the schedulers of all optimizers.

    They step per iteration, not per optimizer step, under gradient accumulation too.

    Attributes:
        per_update: Whether those that count iterations step per update of their optimizer instead.
            mm2pl's own: ``trainer = dict(schedule_per_update=True)`` sets it.
    """

    priority = "LOW"
    per_update = False

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Step the schedulers that count iterations."""
        if self.per_update:
            step_per_update(one for one in _schedulers(runner) if not one.by_epoch)
            return
        for scheduler in _schedulers(runner):
            if not scheduler.by_epoch:
                scheduler.step()

    def after_train_epoch(self, runner: Any) -> None:
        """Step the schedulers that count epochs."""
        for scheduler in _schedulers(runner):
            if scheduler.by_epoch:
                scheduler.step()

    def after_val_epoch(self, runner: Any, metrics: dict[str, Any] | None = None) -> None:
        """Step the schedulers that follow a metric (``need_val_args``)."""
        if metrics is None:
            return
        for scheduler in _schedulers(runner):
            # What a validation alone finds here are parts of the config, not schedulers.
            if getattr(scheduler, "need_val_args", False) and scheduler.by_epoch:
                scheduler.step(metrics)


def _schedulers(runner: Any) -> Iterable[Any]:
    """Return the schedulers of the one optimizer, or those of all in turn."""
    schedulers = runner.param_schedulers
    if schedulers is None:
        return ()
    if isinstance(schedulers, (list, tuple)):
        return schedulers
    if isinstance(schedulers, Mapping):
        groups = [group for group in schedulers.values() if isinstance(group, (list, tuple))]
        return [scheduler for group in groups for scheduler in group]
    raise ConfigTypeError(
        "runner.param_schedulers should be a list of schedulers, or a dict that holds one list "
        f"for each optimizer, but got {schedulers!r}",
        key_path="param_scheduler",
    )
