"""Calls MMEngine's hook points from Lightning's, in MMEngine's order."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch

from mm2pl import _lightning
from mm2pl.callbacks.divided import DividedPoints, nothing
from mm2pl.callbacks.native import arrange, restore_states
from mm2pl.driving import Driver, driver_of
from mm2pl.mmengine.hooks._checkpoint_files import finish_writing, take_turns
from mm2pl.optim import unbind

if TYPE_CHECKING:
    from mm2pl.runner import Runner


_STOPPED = "Training ends here: a Lightning callback asked for it (trainer.should_stop)"


class HookCallback(DividedPoints, pl.Callback):
    """The one callback that stands for all hooks of a run.

    A point runs on all hooks before the next point runs on any, although several points may fall
    into one call of Lightning's. Where one of Lightning's callbacks stands among the hooks, this
    one calls those in front of it, and a ``HooksBehind`` goes on after it.

    Args:
        runner: The runner whose hooks are called.

    Attributes:
        outputs: What the training step at hand returned, as hooks see it.
        batch: What the step was given.
        metrics: Metrics of the last validation or test.
        driver: Who drives the training loop.
        trained: What the training loop returned: the model, or what a loop of one's own returns.
        resumed: The checkpoint that the callbacks are to be given their states of.
        validated_at: The iteration after which the last validation of this training came.
    """

    def __init__(self, runner: Runner) -> None:
        super().__init__(runner)
        self.outputs: Any = None
        self.batch: Any = None
        self.metrics: Any = {}
        self.driver = Driver.LIGHTNING
        self.trained: Any = None
        self.resumed: Any = None
        self.validated_at: int | None = None
        self._in_batch = False
        self._ends_epoch = False
        self._started = False
        self._in_epoch = False
        self._by_epoch = True
        self._end_at: int | None = None
        self._evaluates = True
        self._calls_hooks = True
        self._loop: Any = None
        self._eval_loop: Any = None
        self._opens_evaluation = False

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        self._started = self._in_batch = self._ends_epoch = False
        self._point = self.validated_at = None
        _lightning.forget_stop(trainer)
        arrange(trainer, self, self._runner.hooks)  # the list may have been changed by hand
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            _lightning.check_without_validation(callback, self._runner._val_loop is None)
        known = self.natives
        self._runner.prepare(stage)
        for native in self.natives:
            if native not in known:  # a hook brought it: Lightning is past it
                native.callback.setup(trainer, pl_module, stage)

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        take_turns(self._runner.hooks)
        # Not when the run is resumed: callbacks look at their states after their `setup`.
        resumed, self.resumed = self.resumed, None
        if resumed is not None:
            restore_states(self._runner, resumed)

    def teardown(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        if stage == "fit" and not self._started:
            # Nothing was left to train, so Lightning skipped its loop; MMEngine's hooks still run.
            with self._undivided():
                self.on_train_start(trainer, pl_module)
                self.on_train_end(trainer, pl_module)
        finish_writing(self._runner.hooks)
        unbind(self._runner.optim_wrapper)

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        finish_writing(self._runner.hooks, self._runner.logger)
        unbind(self._runner.optim_wrapper)

    # Training

    @_lightning.no_end_of_data
    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = True
        # Kept: a hook that gives the runner another loop does not end this one.
        loop = self._loop = self._runner.train_loop
        self.driver = driver_of(loop)
        self._by_epoch = self.driver is not Driver.ITSELF and loop.by_epoch
        if self.driver is Driver.ITSELF:
            return
        if "max_steps" in self._runner.plan.runtime.trainer:
            self._end_at = loop._max_iters
        self._pass("before_train", partial(self._begin, trainer))

    def _begin(self, trainer: pl.Trainer) -> None:
        self._loop._begin()
        if self._loop.take_up():
            self._validate_first(trainer)
        if self._loop.stop_training:
            # Looked at before the first step too: a hook, or the run before, may have set it.
            trainer.should_stop = True

    def _validate_first(self, trainer: pl.Trainer) -> None:
        """Do the validation that was about to begin when the checkpoint was written."""
        if self._loop.finished:  # then Lightning passes its loops by
            self._loop.validating = True
            self.metrics = self._runner.val_loop.run()
            self._loop.validating = False
            self.validated_at = self._runner.iter
        else:
            _lightning.open_validation(trainer)
            _lightning.validate_now(trainer)

    def _number(self, batch_idx: int) -> int:
        """Return which batch this is: of the epoch, or of the run if that counts iterations."""
        loop = self._loop
        return batch_idx + loop.reading.skipped if self._by_epoch else loop._iter  # type: ignore[no-any-return]

    @_lightning.no_end_of_data
    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._by_epoch:
            self._in_epoch = True
            self._pass("before_train_epoch", partial(self._begin_epoch, trainer))

    def _begin_epoch(self, trainer: pl.Trainer) -> None:
        self._runner.model.train()
        _lightning.follow_train_length(trainer)

    @_lightning.no_end_of_data
    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self.driver is Driver.LIGHTNING:
            self._in_batch = True
            self._pass(
                "before_train_iter",
                nothing,
                batch_idx=self._number(batch_idx),
                data_batch=batch,
            )

    @_lightning.no_end_of_data
    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if self.driver is Driver.ITSELF:
            return
        if batch is None:
            # Lightning passes such a batch by; MMEngine leaves it to the model.
            with self._undivided():
                self.on_train_batch_start(trainer, pl_module, batch, batch_idx)
            pl_module.training_step(batch, batch_idx)
        leave = partial(self._end_batch, trainer)
        if self.driver is Driver.LIGHTNING:
            _lightning.publish_losses(trainer, self.outputs, self.metrics)
            self._pass(
                "after_train_iter",
                leave,
                batch_idx=self._number(batch_idx),
                data_batch=batch,
                outputs=self.outputs,
            )
        else:
            self._pass(None, leave)

    def _end_batch(self, trainer: pl.Trainer) -> None:
        loop = self._loop
        if self.driver is Driver.LIGHTNING:
            self.outputs = self.batch = None
            loop._iter += 1
            self._in_batch = False
        if not self._by_epoch:
            self._decide_what_follows(trainer)
            _lightning.follow_iterations(trainer)
        elif (last := _lightning.is_last_batch(trainer)) or loop._iter == self._end_at:
            # Here and not in on_train_epoch_end: Lightning validates before that.
            self._end_epoch(early=not last)
            if loop._iter == self._end_at:
                loop.stop_training = True
            self._decide_what_follows(trainer)
        else:
            _lightning.validate_after_this_batch(trainer, False)

    @_lightning.no_end_of_data
    def follow_stop(self, trainer: pl.Trainer) -> None:
        """Make a stop that another callback asked for after this batch one of MMEngine's.

        Lightning would validate at once, before the hooks know of the epoch's end.
        """
        if self.driver is Driver.ITSELF:
            return
        if self._in_epoch:
            self._runner.logger.info(_STOPPED)
            self._end_epoch(early=True)
            self._loop.stop_training = True
            self._decide_what_follows(trainer)
        elif not _lightning.validates_after_this_batch(trainer):
            _lightning.stop_without_validation(trainer)

    @_lightning.no_end_of_data
    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self._by_epoch:
            return
        loop = self._loop
        if self._in_epoch:
            # The data ended without a batch that was known to be the last.
            self._end_epoch()
            if loop.validation_due():
                _lightning.open_validation(trainer)
                _lightning.validate_now(trainer)
            if loop.stop_training:
                trainer.should_stop = True
        # Hooks may make a run longer or shorter.
        _lightning.set_epochs_to_go(trainer, max(0, loop._max_epochs - loop._epoch))

    def _end_epoch(self, early: bool = False) -> None:
        self._in_epoch = False
        self._runner.datamodule.finish("train", early)
        self._ends_epoch = True
        self._runner.call_hook("after_train_epoch")
        self._loop._epoch += 1
        self._ends_epoch = False

    def counters(self) -> tuple[dict[str, Any], bool]:
        """Return the ``epoch`` and ``iter`` that a checkpoint of this moment goes on with.

        Also whether no batch is half trained on; else it is trained on again.
        """
        runner = self._runner
        in_batch = self._in_batch
        whole = not in_batch or _lightning.is_step_done(runner.trainer)
        meta = {"epoch": runner.epoch + self._ends_epoch, "iter": runner.iter + in_batch * whole}
        return meta, whole

    def _decide_what_follows(self, trainer: pl.Trainer) -> None:
        due = self._loop.validation_due()
        if due:
            _lightning.open_validation(trainer)
        _lightning.validate_after_this_batch(trainer, due)
        if self._loop.stop_training and not due:
            _lightning.stop_without_validation(trainer)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.driver is not Driver.ITSELF:
            if trainer.should_stop and not (self._loop.stop_training or self._loop.finished):
                self._runner.logger.info(_STOPPED)
            self._loop._end()
            self._pass("after_train", self._end_training)
        else:
            self._pass(None, self._end_run)

    def _end_training(self) -> None:
        self.trained = self._runner.model
        self._runner.call_hook("after_run")

    # Validation and test

    @_lightning.no_end_of_data
    def start_evaluation(self, stage: str) -> None:
        """Open a validation or test; passed on from the module, which alone sees the moment."""
        runner = self._runner
        loop = self._eval_loop = runner.eval_loop(stage)
        self._evaluates = driver_of(loop) is not Driver.ITSELF
        self._calls_hooks = self._evaluates and not runner.trainer.sanity_checking
        if runner.trainer.sanity_checking:
            runner.model.eval()
            loop.start()
            return
        self._opens_evaluation = self._evaluates and bool(self.natives)
        if self._opens_evaluation:  # in parts, see _start
            return
        if self._evaluates:
            # MMEngine switches gradients off around each step only, Lightning around the whole run.
            with torch.enable_grad():
                runner.call_hook(f"before_{stage}")
                runner.call_hook(f"before_{stage}_epoch")
            self._enter_evaluation()
        _lightning.follow_eval_length(runner.trainer)

    def _enter_evaluation(self) -> None:
        self._runner.model.eval()
        self._eval_loop.start()

    @_lightning.no_end_of_data
    def _start(self, stage: str) -> None:
        if self._opens_evaluation:
            with torch.enable_grad():
                self._pass(f"before_{stage}", nothing)

    @_lightning.no_end_of_data
    def _epoch_start(self, stage: str) -> None:
        if self._opens_evaluation:
            with torch.enable_grad():
                self._pass(f"before_{stage}_epoch", self._open_evaluation)

    def _open_evaluation(self) -> None:
        self._opens_evaluation = False
        self._enter_evaluation()
        _lightning.follow_eval_length(self._runner.trainer)

    @_lightning.no_end_of_data
    def evaluate(self, batch: Any) -> Any:
        """Do one step of a validation or test: a batch's, or the whole run of its loop."""
        loop = self._eval_loop
        if self._evaluates:
            return loop.step(self._runner.model, batch)
        with torch.enable_grad():
            self.metrics = loop.run()
        return None

    @_lightning.no_end_of_data
    def _batch_start(self, stage: str, batch: Any, batch_idx: int, place: int) -> None:
        if place and self._evaluates:
            self._runner.datamodule.finish(stage, place=place - 1)
            with torch.enable_grad():
                self._eval_loop.enter(place)
        if self._calls_hooks:
            name = f"before_{stage}_iter"
            self._pass(name, nothing, batch_idx=batch_idx, data_batch=batch)

    @_lightning.no_end_of_data
    def _batch_end(self, stage: str, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self._calls_hooks:
            name = f"after_{stage}_iter"
            self._pass(name, nothing, batch_idx=batch_idx, data_batch=batch, outputs=outputs)

    @_lightning.no_end_of_data
    def _epoch_end(self, stage: str) -> None:
        runner = self._runner
        sanity = runner.trainer.sanity_checking
        runner.datamodule.finish(stage, early=sanity)
        if sanity:
            self._eval_loop.finish()  # the metrics are computed, and mean nothing
        elif self._evaluates:
            with torch.enable_grad():
                self.metrics = self._eval_loop.finish()
                self._pass(f"after_{stage}_epoch", nothing, metrics=self.metrics)

    @_lightning.no_end_of_data
    def _end(self, stage: str, leave: Callable[[], None]) -> None:
        with torch.enable_grad():
            self._pass(f"after_{stage}" if self._calls_hooks else None, leave)

    def _end_run(self) -> None:
        self._runner.call_hook("after_run")

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start("val")

    def on_validation_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_start("val")

    def on_validation_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._batch_start("val", batch, batch_idx, dataloader_idx)

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._batch_end("val", outputs, batch, batch_idx)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_end("val")

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        fitting = trainer.state.fn == "fit"
        if fitting and not trainer.sanity_checking:
            self.validated_at = self._runner.iter
        self._end("val", partial(self._go_on_training, trainer) if fitting else self._end_run)

    def _go_on_training(self, trainer: pl.Trainer) -> None:
        if trainer.sanity_checking:
            return
        if not self._by_epoch:
            _lightning.follow_iterations(trainer)
        if self._loop.stop_training:
            trainer.should_stop = True

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._start("test")

    def on_test_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_start("test")

    def on_test_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._batch_start("test", batch, batch_idx, dataloader_idx)

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._batch_end("test", outputs, batch, batch_idx)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_end("test")

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._end("test", self._end_run)
