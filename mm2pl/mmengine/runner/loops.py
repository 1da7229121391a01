"""The loops: settings, counters, per-step work, and ``run`` for those that drive themselves.

Lightning's Trainer drives a loop from outside, point by point. ``run`` and what it calls do the
same without it: for loops of one's own, and for a validation or test within a run.
"""

from __future__ import annotations

import bisect
import copy
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from mm2pl.errors import ConfigAssertionError, ConfigError, ConfigTypeError
from mm2pl.mmengine.evaluator import Evaluator
from mm2pl.mmengine.logging import HistoryBuffer, print_log
from mm2pl.mmengine.registry import LOOPS
from mm2pl.mmengine.registry.errors import at_key, used_at
from mm2pl.mmengine.runner._eval_losses import _parse_losses, _update_losses
from mm2pl.mmengine.runner._eval_sets import EvalSet, build_sets, metainfo_of
from mm2pl.mmengine.runner._reading import Resumable, _InfiniteDataloaderIterator, batches
from mm2pl.mmengine.runner.amp import autocast
from mm2pl.mmengine.runner.base_loop import BaseLoop
from mm2pl.mmengine.runner.utils import calc_dynamic_intervals

if TYPE_CHECKING:
    from mm2pl.metrics.losses import LossMeter
    from mm2pl.runner import Runner

__all__ = ["EpochBasedTrainLoop", "IterBasedTrainLoop", "TestLoop", "ValLoop"]

Intervals = Sequence[tuple[int, int]]
_READERS = "evaluator, metric and visualizer"


class _TrainLoop(Resumable, BaseLoop):
    """What both training loops share: the counters and when to validate."""

    stage = "train"
    by_epoch: bool
    _max_epochs: int
    _max_iters: int

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader[Any] | dict[str, Any],
        val_begin: int,
        val_interval: int,
        dynamic_intervals: Intervals | None,
    ) -> None:
        super().__init__(runner, dataloader)
        self._epoch = 0
        self._iter = 0
        self.val_begin = val_begin
        self.val_interval = val_interval
        # Hooks set this; it is looked at where MMEngine looks: per epoch or per iteration.
        self.stop_training = False
        self.dynamic_milestones, self.dynamic_intervals = calc_dynamic_intervals(
            val_interval, dynamic_intervals
        )
        metainfo = metainfo_of(self.dataloader, "visualizer")
        if metainfo is not None:
            runner.visualizer.dataset_meta = metainfo

    @property
    def max_epochs(self) -> int:
        """Epochs to train; 1 for an iteration-based run."""
        return self._max_epochs

    @property
    def max_iters(self) -> int:
        """Iterations to train."""
        return self._max_iters

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return self._epoch

    @property
    def iter(self) -> int:
        """Finished iterations, over all epochs."""
        return self._iter

    def _progress(self) -> tuple[int, int]:
        """Return what is done and the total, in the loop's unit."""
        if self.by_epoch:
            return self._epoch, self._max_epochs
        return self._iter, self._max_iters

    def _decide_current_val_interval(self) -> None:
        """Set ``val_interval`` to what ``dynamic_intervals`` says for the next epoch or step."""
        step = bisect.bisect(self.dynamic_milestones, self._progress()[0] + 1)
        self.val_interval = self.dynamic_intervals[step - 1]

    def validation_due(self) -> bool:
        """Whether to validate now, after an epoch or iteration was counted."""
        self._decide_current_val_interval()
        done, total = self._progress()
        return (
            self.runner.val_loop is not None
            and done >= self.val_begin
            and (done % self.val_interval == 0 or done == total)
        )

    def run(self) -> Any:
        """Train to the end, without Lightning's loops, and return the model."""
        runner = self.runner
        runner.call_hook("before_train")
        self._begin()
        due = self.take_up()
        while True:
            if due:
                self.validating = True
                runner.val_loop.run()
                self.validating = False
            if self.stop_training or self.finished:
                break
            self._advance()
            due = self.validation_due()
        self._end()
        runner.call_hook("after_train")
        return runner.model

    @property
    def finished(self) -> bool:
        """Whether all epochs or iterations are done."""
        done, total = self._progress()
        return done >= total

    def _begin(self) -> None:
        """Do what comes between ``before_train`` and the first epoch or iteration."""

    def _advance(self) -> None:
        """Train for one epoch or iteration."""
        raise NotImplementedError

    def _end(self) -> None:
        """Do what comes between the last epoch or iteration and ``after_train``."""

    def _step(self, batch_idx: int, data_batch: Any) -> None:
        runner = self.runner
        runner.call_hook("before_train_iter", batch_idx=batch_idx, data_batch=data_batch)
        try:
            outputs = runner.model.train_step(data_batch, optim_wrapper=runner.optim_wrapper)
        except Exception as error:
            used_at(error, "model")
            raise
        runner.call_hook(
            "after_train_iter", batch_idx=batch_idx, data_batch=data_batch, outputs=outputs
        )
        self._iter += 1


@LOOPS.register_module()
class EpochBasedTrainLoop(_TrainLoop):
    """Training counted in epochs.

    Args:
        runner: The runner that owns the loop.
        dataloader: A built loader, or the config of one.
        max_epochs: Epochs to train.
        val_begin: First epoch (from 1) after which to validate.
        val_interval: Epochs between validations.
        dynamic_intervals: ``(epoch, interval)`` pairs: the interval that holds from that epoch on.
    """

    by_epoch = True

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader[Any] | dict[str, Any],
        max_epochs: int,
        val_begin: int = 1,
        val_interval: int = 1,
        dynamic_intervals: Intervals | None = None,
    ) -> None:
        super().__init__(runner, dataloader, val_begin, val_interval, dynamic_intervals)
        self._max_epochs = _whole(max_epochs, "max_epochs")
        self._max_iters = self._max_epochs * len(self.dataloader)

    def _advance(self) -> None:
        self.run_epoch()

    def run_epoch(self) -> None:
        """Train for one epoch."""
        runner = self.runner
        runner.call_hook("before_train_epoch")
        runner.model.train()
        for idx, data_batch in enumerate(batches(self), self.reading.skipped):
            self.run_iter(idx, data_batch)
        runner.call_hook("after_train_epoch")
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Train on one batch, with the hooks before and after it."""
        self._step(idx, data_batch)


@LOOPS.register_module()
class IterBasedTrainLoop(_TrainLoop):
    """Training counted in iterations, over data that start again when they end.

    Args:
        runner: The runner that owns the loop.
        dataloader: A built loader, or the config of one.
        max_iters: Iterations to train.
        val_begin: First iteration (from 1) after which to validate.
        val_interval: Iterations between validations.
        dynamic_intervals: ``(iteration, interval)`` pairs: the interval that holds from there on.
    """

    by_epoch = False

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader[Any] | dict[str, Any],
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1000,
        dynamic_intervals: Intervals | None = None,
    ) -> None:
        super().__init__(runner, dataloader, val_begin, val_interval, dynamic_intervals)
        self._max_iters = _whole(max_iters, "max_iters")
        self._max_epochs = 1
        late = getattr(runner, "skips_unread", False)
        self.dataloader_iterator = _InfiniteDataloaderIterator(self.dataloader, late)

    def _begin(self) -> None:
        # To MMEngine the whole run is one epoch.
        self.runner.call_hook("before_train_epoch")
        self.skip_trained_batches()

    def _advance(self) -> None:
        self.run_iter(self.next_batch())

    def _end(self) -> None:
        self.runner.call_hook("after_train_epoch")

    def run_iter(self, data_batch: Any) -> None:
        """Train on one batch, with the hooks before and after it."""
        self._step(self._iter, data_batch)

    def next_batch(self) -> Any:
        """Return the next batch, with the model in training mode."""
        self.runner.model.train()
        try:
            # Looked up at each step: hooks swap the iterator in mid run.
            return next(self.dataloader_iterator)
        except Exception as error:
            used_at(error, f"{self.stage}_dataloader")
            raise

    def skip_trained_batches(self) -> None:
        """Go past the batches that a resumed run has trained on already.

        Differs: MMEngine reads them all and throws them away.
        """
        if self._iter == 0 or self._skips_unread():
            return
        print_log(
            f"Advance dataloader {self._iter} steps to skip data that has already been trained",
            logger="current",
            level=logging.WARNING,
        )
        for _ in range(self._iter):
            next(self.dataloader_iterator)


class _EvalLoop(BaseLoop):
    """What validation and test share: the evaluator and losses among the predictions."""

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader[Any] | dict[str, Any] | list[Any] | tuple[Any, ...],
        evaluator: Evaluator | dict[str, Any] | list[Any],
        fp16: bool = False,
        loss: bool = False,
    ) -> None:
        self.sets: list[EvalSet] = []
        self._place = 0
        self._found: dict[str, Any] = {}
        self._evaluator_key = f"{self.stage}_evaluator"
        if isinstance(dataloader, (list, tuple)):
            self.sets = build_sets(runner, self.stage, dataloader, evaluator)
            dataloader, evaluator = self.sets[0].dataloader, self.sets[0].evaluator
            self._evaluator_key = self.sets[0].evaluator_key
        assert not isinstance(dataloader, (list, tuple))
        super().__init__(runner, dataloader)
        with at_key(f"{self.stage}_evaluator", whole=True):
            self.evaluator = runner.build_evaluator(evaluator)
        for one in self.sets[1:]:
            one.metainfo = metainfo_of(one.dataloader, _READERS)
        metainfo = metainfo_of(self.dataloader, _READERS)
        if self.sets:
            self.sets[0].metainfo = metainfo
        if metainfo is not None:
            self.evaluator.dataset_meta = metainfo
            runner.visualizer.dataset_meta = metainfo
        self.fp16 = fp16
        self.loss = loss
        self._loss_meter: LossMeter | None = None
        # The metrics that `loss` adds, by their full names.
        self.loss_names: set[str] = set()
        # Losses that came with the predictions of the current run: `val_loss`, `test_loss`.
        setattr(self, f"{self.stage}_loss", {})

    def run(self) -> dict[str, Any]:
        """Validate or test, without Lightning's loop, and return the metrics."""
        runner, stage = self.runner, self.stage
        runner.call_hook(f"before_{stage}")
        runner.call_hook(f"before_{stage}_epoch")
        runner.model.eval()
        self.start()
        for place in range(len(self.sets) or 1):
            self.enter(place)
            for idx, data_batch in enumerate(batches(self)):
                self.run_iter(idx, data_batch)
        metrics = self.finish()
        runner.call_hook(f"after_{stage}_epoch", metrics=metrics)
        runner.call_hook(f"after_{stage}")
        return metrics

    @torch.no_grad()
    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Predict for one batch, with the hooks before and after it."""
        runner, stage = self.runner, self.stage
        runner.call_hook(f"before_{stage}_iter", batch_idx=idx, data_batch=data_batch)
        outputs = self.step(runner.model, data_batch)
        runner.call_hook(
            f"after_{stage}_iter", batch_idx=idx, data_batch=data_batch, outputs=outputs
        )

    @property
    def _losses(self) -> dict[str, HistoryBuffer]:
        return getattr(self, f"{self.stage}_loss")  # type: ignore[no-any-return]

    def loader(self, place: int) -> Any:
        """Return the loader of a set; of the set at hand, the one that hooks may have replaced."""
        return self.dataloader if place == self._place else self.sets[place].dataloader

    def enter(self, place: int) -> None:
        """Go on to a set, after the metrics of those before it."""
        while self._place < place:
            self._found |= self._named(self._figures())
            self._open(self._place + 1)
            self._forget_losses()

    def _open(self, place: int) -> None:
        """Make a set the one at hand: ``dataloader`` and ``evaluator`` are its own."""
        if place == self._place:
            return
        self.sets[self._place].dataloader = self.dataloader
        self._place, one = place, self.sets[place]
        self.dataloader, self.evaluator = one.dataloader, one.evaluator
        self._evaluator_key = one.evaluator_key
        self.evaluator.dataset_meta = one.metainfo
        if one.metainfo is not None:
            self.runner.visualizer.dataset_meta = one.metainfo

    def _named(self, figures: dict[str, Any]) -> dict[str, Any]:
        if not self.sets:
            return figures
        return {f"{self.sets[self._place].name}/{name}": figures[name] for name in figures}

    def start(self) -> None:
        """Begin with the first set, and forget the losses and metrics of the last run."""
        self._open(0)
        self._found = {}
        self._forget_losses()

    def _forget_losses(self) -> None:
        self._losses.clear()
        self._loss_meter = None
        if self.loss:
            from mm2pl.metrics.losses import LossMeter

            self._loss_meter = LossMeter(len(self.dataloader.dataset))

    def step(self, model: Any, data_batch: Any) -> Any:
        """Predict for one batch and hand the predictions to the evaluator.

        Returns:
            The predictions, less a trailing element that only carries losses.
        """
        meter = self._loss_meter
        # Of its own: models write their predictions into the batch, and may change it for the loss.
        batch_for_loss = copy.deepcopy(data_batch) if meter is not None else None
        try:
            with autocast(enabled=self.fp16):
                outputs = getattr(model, f"{self.stage}_step")(data_batch)
            outputs, _ = _update_losses(outputs, self._losses, self.stage)
        except Exception as error:
            used_at(error, "model")
            raise
        try:
            self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        except Exception as error:
            used_at(error, self._evaluator_key)
            raise
        if meter is not None:
            self._add_loss(meter, model, batch_for_loss)
        return outputs

    def _add_loss(self, meter: LossMeter, model: Any, data_batch: Any) -> None:
        try:
            with autocast(enabled=self.fp16):
                meter.add(model, data_batch)
        except Exception as error:
            used_at(error, "model")
            raise

    def finish(self) -> dict[str, Any]:
        """Return the metrics, and the mean losses if the predictions carried any.

        Of several sets all, each behind the set's name and a slash.
        """
        if not self.sets:
            return self._figures()
        self.enter(len(self.sets) - 1)
        found = self._found | self._named(self._figures())
        self._open(0)
        return found

    def _figures(self) -> dict[str, Any]:
        """Return the metrics of the set at hand."""
        try:
            metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        except Exception as error:
            used_at(error, self._evaluator_key)
            raise
        if self._losses:
            metrics.update(_parse_losses(self._losses, self.stage))
        if self.loss:
            metrics = self._with_losses(metrics)
        return metrics

    def _with_losses(self, metrics: dict[str, Any]) -> dict[str, Any]:
        means = self._loss_meter.result() if self._loss_meter is not None else {}
        losses = {f"{self.stage}_{name}": value for name, value in means.items()}
        if not losses:
            raise ConfigError(
                f"{type(self).__name__} has not come to compute a loss",
                key_path=f"{self.stage}_cfg.loss",
                hint="a loop with a run() or run_iter() of its own must call those of its base",
            )
        twice = next((name for name in losses if name in metrics), None)
        if twice is not None:
            raise ConfigError(
                f"there is a metric {twice!r} beside the loss of that name",
                key_path=f"{self.stage}_evaluator",
                hint="give the metric a prefix; a model that returns its losses needs no loss=True",
            )
        self.loss_names |= self._named(losses).keys()
        return {**metrics, **losses}


@LOOPS.register_module()
class ValLoop(_EvalLoop):
    """Validation.

    Args:
        runner: The runner that owns the loop.
        dataloader: A built loader, or the config of one; a list of several is gone through in
            turn.
        evaluator: An evaluator, or the config of one or of its metrics; for several loaders it may
            be a list with one for each.
        fp16: Run the model under autocast.
        loss: Report the model's losses on these data too, averaged over the samples, as
            ``val_loss`` and so on.
    """

    stage = "val"
    val_loss: dict[str, HistoryBuffer]


@LOOPS.register_module()
class TestLoop(_EvalLoop):
    """Test; the arguments are :class:`ValLoop`'s."""

    __test__ = False  # pytest would collect it by its name
    stage = "test"
    test_loss: dict[str, HistoryBuffer]


def _whole(value: Any, name: str) -> int:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ConfigTypeError(f"{name} must be an integer, got {value!r}")
    if int(value) != value:
        raise ConfigAssertionError(f"{name} must be an integer, got {value!r}")
    return int(value)
