"""The only place that touches what Lightning does not promise to keep.

Checked on Lightning 2.5.0 to 2.6.6.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import lightning.pytorch as pl
from lightning.pytorch.profilers import Profiler

# Lightning validates when (batches so far) is a multiple of `val_check_batch`; it has no "never".
NEVER = 2**62

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
    """A LightningModule whose bookkeeping attribute is cheap to set.

    Lightning writes ``_current_fx_name`` twice around each hook, and ``nn.Module.__setattr__``
    looks through parameters, buffers and modules every time.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_current_fx_name":
            self.__dict__[name] = value
        else:
            super().__setattr__(name, value)


def validate_after_this_batch(trainer: pl.Trainer, due: bool) -> None:
    """Decide, within ``on_train_batch_end``, whether Lightning validates next."""
    trainer.val_check_batch = 1 if due else NEVER


def stop_without_validation(trainer: pl.Trainer) -> None:
    """End the fit at the next border; ``should_stop`` alone makes Lightning validate once more."""
    trainer.limit_val_batches = 0
    trainer.should_stop = True


def allow_validation(trainer: pl.Trainer) -> None:
    """Undo :func:`stop_without_validation`, so that a later ``validate`` runs."""
    trainer.limit_val_batches = 1.0


def set_finished_epochs(trainer: pl.Trainer, epochs: int) -> None:
    """Tell the fit loop how many epochs a resumed run has behind it."""
    progress: Any = trainer.fit_loop.epoch_progress
    for count in (progress.current, progress.total):
        count.ready = count.started = count.processed = count.completed = epochs


def is_last_batch(trainer: pl.Trainer) -> bool:
    """Whether the batch at hand ends the training epoch."""
    return bool(trainer.is_last_batch)
