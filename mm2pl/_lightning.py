"""The only place that touches what Lightning does not promise to keep.

Checked on Lightning 2.5.0 to 2.6.6.
"""

from __future__ import annotations

import functools
import logging
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, ParamSpec, Protocol, TypeVar

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.optimizer import _optimizers_to_device
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.trainer.connectors.checkpoint_connector import _CheckpointConnector
from lightning.pytorch.trainer.connectors.logger_connector.logger_connector import _LoggerConnector
from lightning.pytorch.trainer.states import TrainerStatus

# Lightning validates when (batches so far) is a multiple of `val_check_batch`; it has no "never".
NEVER = 2**62
# A length larger than any; Lightning sums it over all processes in 64 bits.
UNKNOWN = 2**40

_NOTHING: AbstractContextManager[None] = nullcontext()


class NullProfiler(Profiler):
    """Measures nothing, at the price of nothing.

    Lightning enters ``profile()`` some thirteen times a step; its own pass-through profiler makes a
    new generator each time, which costs a tenth of a toy step.
    """

    def profile(self, action_name: str) -> Any:
        return _NOTHING

    def start(self, action_name: str) -> None:
        return None

    def stop(self, action_name: str) -> None:
        return None

    def summary(self) -> str:
        return ""


class QuietModule(pl.LightningModule):
    """A LightningModule that leaves batches alone and whose bookkeeping attribute is cheap to set.

    Lightning writes ``_current_fx_name`` twice around each hook, and ``nn.Module.__setattr__``
    looks through parameters, buffers and modules every time. Hooks see the batch raw, and the
    model's data preprocessor moves it, so Lightning's three hooks around a transfer are passed by.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)

    def _on_before_batch_transfer(self, batch: Any, dataloader_idx: int = 0) -> Any:
        return batch

    def _apply_batch_transfer_handler(
        self, batch: Any, device: torch.device | None = None, dataloader_idx: int = 0
    ) -> Any:
        return batch


class _QuietConnector(_LoggerConnector):
    """Sums up what ``self.log`` recorded only if it recorded something."""

    def on_batch_end(self) -> None:
        results = self.trainer._results
        if results:
            super().on_batch_end()
        elif results is not None:
            results.batch = results.batch_size = None  # let the batch go

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        loggers = self.trainer.loggers
        written = getattr(loggers[0], "of_hooks", ()) if len(loggers) > 1 else ()
        if written:
            # Loggers beside the run's own have got these from the hooks.
            self._logged_metrics.update(metrics)
            metrics = {name: value for name, value in metrics.items() if name not in written}
        super().log_metrics(metrics, step)


def skip_empty_results(trainer: pl.Trainer) -> None:
    """Spare a new Trainer the summary of logged results after batches that logged nothing."""
    trainer._logger_connector = _QuietConnector(trainer)


class RunFiles(Protocol):
    """What a Trainer asks of a run about checkpoints."""

    def find(self, word: str) -> str | None:
        """Return the file that ``last`` or ``best`` stands for, if it is the run's to say."""

    def give(self, path: str | None) -> None:
        """Take the file that the fit, validation or test that now begins is to load."""

    def collect(self, weights_only: bool) -> dict[str, Any]:
        """Return what a checkpoint of this moment holds; called on all ranks."""


class _FilesOfRun(_CheckpointConnector):
    """Leaves reading and collecting checkpoints to the run, whose ``setup`` loads them."""

    def __init__(self, trainer: pl.Trainer, files: RunFiles) -> None:
        super().__init__(trainer)
        self._files = files

    def _select_ckpt_path(self, state_fn: Any, ckpt_path: Any, *args: Any, **kwargs: Any) -> Any:
        if ckpt_path in ("last", "best"):
            ckpt_path = self._files.find(ckpt_path) or ckpt_path
        path = super()._select_ckpt_path(state_fn, ckpt_path, *args, **kwargs)
        self._files.give(None if path is None else os.fspath(path))
        return path

    def resume_start(self, checkpoint_path: Any = None, *args: Any, **kwargs: Any) -> None:
        self._ckpt_path = checkpoint_path

    def dump_checkpoint(self, weights_only: bool | None = None) -> dict[str, Any]:
        return self._files.collect(bool(weights_only))


def leave_checkpoints_to(trainer: pl.Trainer, files: RunFiles) -> None:
    """Let a new Trainer's ``ckpt_path`` and ``save_checkpoint`` be the run's."""
    trainer._checkpoint_connector = _FilesOfRun(trainer, files)


def steps(trainer: pl.Trainer) -> int:
    """Return how many steps the optimizers have made, also while no module is attached."""
    return int(trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress.total.completed)


def set_steps(trainer: pl.Trainer, count: int, iterations: int) -> None:
    """Let ``global_step``, and the step that callbacks log by, go on from those of a checkpoint."""
    loop: Any = trainer.fit_loop.epoch_loop
    for progress in (
        loop.manual_optimization.optim_step_progress,
        loop.automatic_optimization.optim_progress.optimizer.step,
    ):
        for counts in (progress.total, progress.current):
            counts.ready = counts.completed = count
    loop._batches_that_stepped = iterations


def is_step_done(trainer: pl.Trainer) -> bool:
    """Whether the batch at hand is trained on, within ``on_train_batch_end`` and before."""
    current: Any = trainer.fit_loop.epoch_loop.batch_progress.current
    return bool(current.processed == current.ready)


class StoppedIteration(RuntimeError):
    """A StopIteration of a hook's or a model's, which Lightning would take for the end of the data.

    Attributes:
        original: The StopIteration.
    """

    def __init__(self, original: StopIteration) -> None:
        super().__init__(f"a hook, the model or the data raised StopIteration: {original}")
        self.original = original


_P = ParamSpec("_P")
_R = TypeVar("_R")


def no_end_of_data(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let what Lightning's loops call fail with a StopIteration, not end the loop in silence."""

    @functools.wraps(function)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except StopIteration as error:
            raise StoppedIteration(error) from error

    return guarded


def is_running(trainer: pl.Trainer) -> bool:
    """Whether the Trainer is within a fit, validation or test."""
    return trainer.state.status == TrainerStatus.RUNNING


def validate_after_this_batch(trainer: pl.Trainer, due: bool) -> None:
    """Decide, within ``on_train_batch_end``, whether Lightning validates next."""
    trainer.val_check_batch = 1 if due else NEVER


def validates_after_this_batch(trainer: pl.Trainer) -> bool:
    """Whether :func:`validate_after_this_batch` has decided so."""
    return trainer.val_check_batch == 1


def validate_now(trainer: pl.Trainer) -> None:
    """Validate within a fit but between two batch loops, where Lightning has no place for it."""
    connector = trainer._logger_connector
    first = connector._first_loop_iter
    trainer.validating = True
    trainer.fit_loop.epoch_loop.val_loop.run()
    trainer.training = True
    connector._first_loop_iter = first


def stop_without_validation(trainer: pl.Trainer) -> None:
    """End the fit at the next border; ``should_stop`` alone makes Lightning validate once more."""
    trainer.check_val_every_n_epoch = NEVER
    trainer.should_stop = True


def forget_stop(trainer: pl.Trainer) -> None:
    """Undo a stop, so that a later fit runs and validates; Lightning before 2.6 keeps it."""
    trainer.check_val_every_n_epoch = None
    trainer.should_stop = False


def open_validation(trainer: pl.Trainer) -> None:
    """Let a fit validate that began without validation data: a hook may have brought some."""
    loop: Any = trainer.fit_loop.epoch_loop.val_loop
    if loop._combined_loader is not None and sum(loop._max_batches) == 0:
        loop._max_batches = [len(one) for one in loop._combined_loader.flattened]


def set_epochs(trainer: pl.Trainer, done: int, total: int) -> None:
    """Tell the fit loop how many epochs there are, and how many a resumed run has behind it."""
    trainer.fit_loop.max_epochs = total
    progress: Any = trainer.fit_loop.epoch_progress
    for count in (progress.current, progress.total):
        count.ready = count.started = count.processed = count.completed = done


def set_epochs_to_go(trainer: pl.Trainer, count: int) -> None:
    """Say, within ``on_train_epoch_end``, how many epochs still follow."""
    progress: Any = trainer.fit_loop.epoch_progress
    trainer.fit_loop.max_epochs = progress.current.processed + count


def follow_iterations(trainer: pl.Trainer) -> None:
    """Take the length anew within ``on_train_batch_end`` or a validation: hooks may change it."""
    loop: Any = trainer.fit_loop
    length = _changed_length(loop._combined_loader, loop.max_batches, trainer.limit_train_batches)
    if length is not None:
        loop.max_batches = length
        loop._combined_loader.limits = [length]
        fetcher = loop._data_fetcher
        fetcher.length = length
        fetcher.done = fetcher.fetched >= length
        loop.epoch_loop.batch_progress.is_last_batch = fetcher.done


def follow_train_length(trainer: pl.Trainer) -> None:
    """Take the training loader's length anew: a hook may have put another loader in its place.

    Lightning asks for the length once per fit and counts batches by it.
    """
    loop: Any = trainer.fit_loop
    # Of a loader that was there for a while the fetcher alone knows.
    known = loop.max_batches if loop._data_fetcher.length == loop.max_batches else None
    length = _changed_length(loop._combined_loader, known, trainer.limit_train_batches)
    if length is not None:
        loop.max_batches = length
        loop._combined_loader.limits = [length]
        iter(loop._data_fetcher)


def follow_eval_length(trainer: pl.Trainer) -> None:
    """Do for the validation or test at hand what :func:`follow_train_length` does."""
    loop: Any = trainer._evaluation_loop
    limit = trainer.limit_test_batches if trainer.testing else trainer.limit_val_batches
    loaders = loop._combined_loader.flattened
    if limit != 1.0 or isinstance(limit, int) or len(loaders) != len(loop.max_batches):
        return
    try:
        lengths = [len(one) for one in loaders]
    except TypeError:  # over an IterableDataset without a length
        return
    if lengths != list(loop.max_batches) or loop._data_fetcher.length != sum(lengths):
        loop._max_batches = lengths
        loop._combined_loader.limits = list(lengths)
        iter(loop._data_fetcher)


def _changed_length(loader: Any, known: float | None, limit: float) -> int | None:
    """Return the loader's length if it is not the known one; None also if the user limits it."""
    if limit != 1.0 or isinstance(limit, int) or len(loader.flattened) != 1:
        return None
    try:
        length = len(loader.flattened[0])
    except TypeError:  # over an IterableDataset without a length
        return None
    return None if length == known else length


def publish_losses(trainer: pl.Trainer, outputs: Any, metrics: Any) -> None:
    """Make what a training step returned ``callback_metrics``, without waiting for a device.

    Each value goes by ``train/NAME``, and by its name unless a metric of the last validation has
    that.

    Args:
        trainer: The run's.
        outputs: Losses and other values by name; anything else is left alone.
        metrics: Metrics of the last validation.
    """
    if not isinstance(outputs, (dict, Mapping)):
        return
    known = metrics if isinstance(metrics, (dict, Mapping)) else ()
    found = trainer._logger_connector._callback_metrics
    for name, value in outputs.items():
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            value = value.detach()
            found[f"train/{name}"] = value
            if name not in known:
                found[name] = value


def check_without_validation(callback: pl.Callback, alone: bool) -> None:
    """Let a callback that says not when look, or save, at the ends of epochs, if none is validated.

    Lightning decides it by the Trainer's arguments, which say nothing of when a run validates here.
    """
    for kind, name in _AT_EPOCHS_END.items():
        if alone and isinstance(callback, kind) and getattr(callback, name) is None:
            setattr(callback, name, True)


_AT_EPOCHS_END: dict[type[pl.Callback], str] = {
    EarlyStopping: "_check_on_train_epoch_end",
    ModelCheckpoint: "_save_on_train_epoch_end",
}


def to_device(module: pl.LightningModule, trainer: pl.Trainer) -> None:
    """Bring model and optimizers back from the CPU, where Lightning leaves them after a run."""
    device = trainer.strategy.root_device
    module.to(device)
    _optimizers_to_device(trainer.strategy.optimizers, device)


_SPEAKERS = ("lightning.pytorch.callbacks", "lightning.pytorch.profilers")


class _HandOn(logging.Handler):
    """Writes Lightning's lines into the run's log."""

    def __init__(self, log: logging.Logger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.log(record.levelno, record.getMessage())


@contextmanager
def _handed_on(log: logging.Logger) -> Iterator[None]:
    """Write what Lightning's callbacks and profilers say into a log."""
    handler = _HandOn(log)
    speakers = [logging.getLogger(name) for name in _SPEAKERS]
    before = [(one.level, one.propagate) for one in speakers]
    for one in speakers:
        one.addHandler(handler)
        one.setLevel(logging.INFO)
        one.propagate = False
    try:
        yield
    finally:
        for one, (level, propagate) in zip(speakers, before, strict=True):
            one.removeHandler(handler)
            one.setLevel(level)
            one.propagate = propagate


@contextmanager
def quiet(log: logging.Logger | None = None) -> Iterator[None]:
    """Silence what the run's own log says, or what says nothing to a user.

    Lightning sets its logger's level to INFO when it is imported; a level that somebody else has
    set stays. The warnings are of parts frozen on purpose and of Lightning's own debts.

    Args:
        log: The run's log, which gets what Lightning's own callbacks and profilers say.
    """
    logger = logging.getLogger("lightning.pytorch")
    chatty = logger.level == logging.INFO
    if chatty:
        logger.setLevel(logging.WARNING)
    speech = nullcontext() if log is None else _handed_on(log)
    try:
        with speech, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Found .* module.* in eval mode")
            warnings.filterwarnings("ignore", message="Total length of .* across ranks is zero")
            warnings.filterwarnings("ignore", message="train_dataloader yielded None")
            # LoggerHook writes the last of a few batches, whatever its interval.
            warnings.filterwarnings("ignore", message="The number of training batches")
            # Evaluators have collected their metrics from all processes already.
            warnings.filterwarnings("ignore", message="It is recommended to use `self.log")
            # Schedules are the hooks'; the monitor reads the optimizers.
            warnings.filterwarnings("ignore", message="You are using `LearningRateMonitor`")
            # What is saved behind a step are the weights after it, as it should be (2.6).
            warnings.filterwarnings("ignore", message="Using ModelCheckpoint with manual optim")
            # Lightning 2.6 on torch 2.13
            warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
            yield
    finally:
        if chatty:
            logger.setLevel(logging.INFO)


@contextmanager
def keyboard_interrupts() -> Iterator[None]:
    """Let Ctrl-C be a KeyboardInterrupt; Lightning turns it into an exit and ignores the next."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as end:
        if not isinstance(end.__context__, KeyboardInterrupt):
            raise
        signal.signal(signal.SIGINT, handler)
        raise end.__context__ from None


def take_over_sigterm(trainer: pl.Trainer) -> Any:
    """Return the handler from before the fit: Lightning's own ends a run unsaved, with status 0.

    Within a fit. Its handler and its look at every step (2.6) are collective calls that not all
    ranks make alike.
    """
    loop: Any = trainer.fit_loop.epoch_loop
    loop._broadcast_sigterm_tensor = _do_nothing
    return trainer._signal_connector._original_handlers.get(signal.SIGTERM)


def give_back_sigterm(trainer: pl.Trainer) -> None:
    """Undo :func:`take_over_sigterm`, after the fit, which has put back the handler."""
    trainer.fit_loop.epoch_loop.__dict__.pop("_broadcast_sigterm_tensor", None)


def _do_nothing() -> None:
    return None


def is_last_batch(trainer: pl.Trainer) -> bool:
    """Whether the batch at hand ends the training epoch."""
    return bool(trainer.is_last_batch)
