"""Lightning's loops over batches at a lower price; like ``_lightning``, this touches its inside.

A step of Lightning's costs as much again as that of a tiny model. Most of it tells a profiler, a
debug log and methods that nobody overrides what nobody asked for. The steps here do what
Lightning's do, in their order, and leave that out: every callback gets all its points, and all
counters count. Whether there is somebody to tell is looked at when a run over batches begins, and
of the profiler at every step; then the steps are Lightning's own.

Checked on Lightning 2.5.0 to 2.6.6; with a later one the steps are Lightning's own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import lightning
import lightning.pytorch as pl
import torch
from lightning.pytorch.loops.evaluation_loop import _EvaluationLoop
from lightning.pytorch.loops.fetchers import _PrefetchDataFetcher
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.strategies import SingleDeviceStrategy
from lightning.pytorch.trainer import call
from lightning.pytorch.utilities.combined_loader import _MaxSizeCycle
from lightning.pytorch.utilities.exceptions import SIGTERMException
from packaging.version import Version

from mm2pl._lightning import NEVER, NullProfiler, QuietModule
from mm2pl.strategies import WrappedModelStrategy

_NEXT = Version("2.7.dev0")  # not looked at yet
# Both do at a step what Lightning's base of all strategies does.
_STRATEGIES = (SingleDeviceStrategy, WrappedModelStrategy)

# Methods of a LightningModule that Lightning calls for each batch, and the steps here do not.
_PASSED_BY = (
    "on_train_batch_start",
    "on_validation_batch_start",
    "on_validation_batch_end",
    "on_test_batch_start",
    "on_test_batch_end",
    "on_before_backward",
    "backward",
    "on_after_backward",
    "on_before_optimizer_step",
    "manual_backward",
)


def use_lean_loops(trainer: pl.Trainer) -> None:
    """Give a new Trainer loops whose steps cost less."""
    fit: Any = trainer.fit_loop
    fit.epoch_loop = LeanEpochLoop(trainer, fit.epoch_loop.min_steps, fit.epoch_loop.max_steps)
    fit.epoch_loop.val_loop = _lean(fit.epoch_loop.val_loop)
    trainer.validate_loop = _lean(trainer.validate_loop)
    trainer.test_loop = _lean(trainer.test_loop)


def _lean(loop: Any) -> LeanEvaluationLoop:
    return LeanEvaluationLoop(
        loop.trainer, loop._trainer_fn, loop._stage, loop.verbose, loop.inference_mode
    )


def nobody_listens(trainer: pl.Trainer, module: pl.LightningModule | None) -> bool:
    """Whether there is nobody, callbacks aside, whom Lightning would tell of a step's parts."""
    strategy: Any = trainer.strategy
    return (
        Version(lightning.__version__) < _NEXT
        and type(trainer.profiler) is NullProfiler  # type: ignore[attr-defined]
        and not call.log.isEnabledFor(logging.DEBUG)
        and type(strategy) in _STRATEGIES
        and type(strategy.precision_plugin) is Precision
        and isinstance(module, QuietModule)
        and strategy.model is module
        and not module.automatic_optimization
        and not any(_has_own(module, name) for name in _PASSED_BY)
    )


def _has_own(module: pl.LightningModule, name: str) -> bool:
    inherited = getattr(pl.LightningModule, name)
    return name in vars(module) or getattr(type(module), name) is not inherited


def tell(trainer: pl.Trainer, module: pl.LightningModule, point: str, *arguments: Any) -> None:
    """Call a point on all callbacks."""
    attributes = vars(module)
    before = attributes["_current_fx_name"]
    attributes["_current_fx_name"] = point  # `log` asks where it is called
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        getattr(callback, point)(trainer, module, *arguments)
    attributes["_current_fx_name"] = before


def _ask(module: pl.LightningModule, point: str, *arguments: Any) -> Any:
    """Call a method of the module as Lightning does."""
    attributes = vars(module)
    before = attributes["_current_fx_name"]
    attributes["_current_fx_name"] = point
    output = getattr(module, point)(*arguments)
    attributes["_current_fx_name"] = before
    return output


class _Lean:
    """What the loops share: whether the steps at hand are lean.

    Attributes:
        module: The module if they are, else None.
        silence: The profiler that measures nothing.
    """

    module: Any = None
    silence: Any = None

    def _become_lean(self, trainer: pl.Trainer, fetcher: Any) -> None:
        module = trainer.lightning_module
        lean = type(fetcher) is _PrefetchDataFetcher and nobody_listens(trainer, module)
        self.module = module if lean else None
        self.silence = trainer.profiler  # type: ignore[attr-defined]
        if lean:
            fetcher._start_profiler = fetcher._stop_profiler = _nothing


def _begin_batch(connector: Any, results: Any, batch: Any, dataloader_idx: int | None) -> None:
    connector._first_loop_iter = connector._first_loop_iter is None
    results.batch, results.batch_size, results.dataloader_idx = batch, None, dataloader_idx


def _end_batch(connector: Any, results: Any) -> None:
    if results:
        connector.on_batch_end()
    else:  # nothing was logged
        results.batch = None


class LeanEpochLoop(_Lean, _TrainingEpochLoop):
    """Lightning's loop over the batches of a training epoch."""

    _look_for_sigterm: Callable[[], None] | None = None

    def on_run_start(self, data_fetcher: Any) -> None:
        super().on_run_start(data_fetcher)
        trainer: Any = self.trainer
        self.module = None
        if trainer.world_size > 1:  # from Lightning 2.5.1 on, unless the run looks by itself
            self._look_for_sigterm = getattr(self, "_broadcast_sigterm_tensor", None)
        if (
            self.max_steps == -1
            and trainer.accumulate_grad_batches == 1
            and getattr(trainer, "_val_check_time_interval", None) is None
            and type(data_fetcher.iterator._iterator) is _MaxSizeCycle
            and data_fetcher.combined_loader.flattened == [data_fetcher.combined_loader.iterables]
        ):
            self._become_lean(trainer, data_fetcher)

    @property
    def done(self) -> bool:
        if self.module is None or self._restarting or self.trainer.should_stop:
            return super().done
        return self._num_ready_batches_reached()

    def advance(self, data_fetcher: Any) -> None:
        trainer: Any = self.trainer
        module = self.module
        if (
            module is None
            or self._restarting
            or data_fetcher.batches
            or trainer.profiler is not self.silence
        ):
            super().advance(data_fetcher)
            return
        self.val_loop._restarting = False
        if self._look_for_sigterm is not None:
            self._look_for_sigterm()
        batch = _next(data_fetcher)
        progress, connector, results = self.batch_progress, trainer._logger_connector, self._results
        total: Any = progress.total
        current: Any = progress.current
        batch_idx = current.ready
        progress.is_last_batch = data_fetcher.done
        total.ready += 1
        current.ready += 1
        _begin_batch(connector, results, batch, None)
        output = None
        if batch is not None:
            tell(trainer, module, "on_train_batch_start", batch, batch_idx)
            total.started += 1
            current.started += 1
            output = self._step(trainer, module, batch, batch_idx)
        total.processed += 1
        current.processed += 1
        tell(trainer, module, "on_train_batch_end", output, batch, batch_idx)
        _ask(module, "on_train_batch_end", output, batch, batch_idx)
        _end_batch(connector, results)
        total.completed += 1
        current.completed += 1
        if results:
            connector.update_train_step_metrics()

    def _step(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> dict[str, Any]:
        """Do a step of manual optimization, in which the optimizers' steps count."""
        manual, optimizers = self.manual_optimization, trainer.strategy._lightning_optimizers
        for optimizer in optimizers:
            optimizer._on_before_step = manual._on_before_step
            optimizer._on_after_step = manual._on_after_step
        found = _ask(module, "training_step", batch, batch_idx)
        for optimizer in optimizers:
            optimizer._on_before_step = optimizer._on_after_step = _nothing
        if found is None:
            return {}
        output: dict[str, Any] = found.copy()
        output["loss"] = output["loss"].detach()
        return output

    def on_advance_end(self, data_fetcher: Any) -> None:
        trainer: Any = self.trainer
        if (
            self.module is None
            or trainer.val_check_batch != NEVER
            or trainer.should_stop
            or self._skip_next_val
            or trainer.received_sigterm
        ):
            super().on_advance_end(data_fetcher)
        else:
            self._batches_that_stepped += 1


def _next(fetcher: Any) -> Any:
    """Return the next batch of the one loader that there is, whose length is known."""
    if fetcher.done:
        raise StopIteration
    cycle = fetcher.iterator._iterator
    try:
        batch = next(cycle.iterators[0])
    except StopIteration:
        fetcher.done = True
        raise
    cycle._idx += 1
    fetcher.fetched += 1
    fetcher.done = fetcher.fetched >= fetcher.length
    return batch


class LeanEvaluationLoop(_Lean, _EvaluationLoop):
    """Lightning's loop over the batches of a validation or test."""

    def on_run_start(self) -> None:
        super().on_run_start()
        trainer: Any = self.trainer
        self._become_lean(trainer, self._data_fetcher)
        self._stage_name = "test" if trainer.testing else "validation"
        self._is_trial = trainer.sanity_checking
        self._several = self._is_sequential and self.num_dataloaders > 1

    def _evaluation_step(
        self, batch: Any, batch_idx: int, dataloader_idx: int, dataloader_iter: Any
    ) -> None:
        trainer: Any = self.trainer
        module = self.module
        if module is None or trainer.profiler is not self.silence:
            super()._evaluation_step(batch, batch_idx, dataloader_idx, dataloader_iter)
            return
        name, connector, results = self._stage_name, trainer._logger_connector, self._results
        place = (dataloader_idx,) if self._several else ()
        total: Any = self.batch_progress.total
        current: Any = self.batch_progress.current
        total.ready += 1
        current.ready += 1
        _begin_batch(connector, results, batch, dataloader_idx if self._several else None)
        tell(trainer, module, f"on_{name}_batch_start", batch, batch_idx, *place)
        total.started += 1
        current.started += 1
        output = _ask(module, f"{name}_step", batch, batch_idx, *place)
        total.processed += 1
        current.processed += 1
        tell(trainer, module, f"on_{name}_batch_end", output, batch, batch_idx, *place)
        _end_batch(connector, results)
        total.completed += 1
        current.completed += 1
        if not self._is_trial:
            self._has_run = True
            seen = self._seen_batches_per_dataloader
            if results:
                connector.update_eval_step_metrics(seen[dataloader_idx])
            seen[dataloader_idx] += 1
        if trainer.received_sigterm:
            self._end_by_sigterm()

    def _end_by_sigterm(self) -> None:
        if not self.batch_progress.is_last_batch:
            raise SIGTERMException


def _nothing() -> None:
    return None


def backward_of(module: pl.LightningModule) -> Callable[..., None]:
    """Return ``module.manual_backward``, or a shorter way to the same where nobody listens."""
    trainer: Any = module.trainer
    if not nobody_listens(trainer, module):
        return module.manual_backward
    silence = trainer.profiler

    def backward(loss: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        if trainer.profiler is not silence:
            module.manual_backward(loss, *args, **kwargs)
            return
        tell(trainer, module, "on_before_backward", loss)
        loss.backward(*args, **kwargs)  # type: ignore[no-untyped-call]
        tell(trainer, module, "on_after_backward")

    return backward


def step_of(module: pl.LightningModule, optimizer: Any) -> Callable[..., None] | None:
    """Return a shorter way to a LightningOptimizer's step without a closure, where nobody listens.

    Args:
        module: The module.
        optimizer: One of ``module.optimizers()``.
    """
    trainer: Any = module.trainer
    if not nobody_listens(trainer, module):
        return None
    bound = optimizer.optimizer

    def step(**kwargs: Any) -> None:
        # Not Lightning's own, which gives a closure: not every optimizer takes or ignores one.
        optimizer._on_before_step()
        tell(trainer, module, "on_before_optimizer_step", bound)
        bound.step(**kwargs)
        optimizer._on_after_step()

    return step
