"""A rich progress bar on a terminal; nothing elsewhere, where the log's lines do better."""

from __future__ import annotations

import logging
import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ProgressBar

from mm2pl._lightning import UNKNOWN
from mm2pl.driving import Driver, driver_of

if TYPE_CHECKING:
    from rich.console import Console

    from mm2pl.runner import Runner

_SECONDS_BETWEEN_DRAWINGS = 0.2


def progress_bars(runner: Runner) -> list[pl.Callback]:
    """Return the progress bar that suits where the output goes, if any.

    Args:
        runner: The run whose progress is shown.
    """
    if not sys.stdout.isatty() or os.environ.get("TERM") in (None, "", "dumb", "unknown"):
        return []
    return [RunProgress(runner)]


class _Task(NamedTuple):
    """A line of the bar: rich's number for it, and the batches it counts up to if known."""

    number: Any
    total: float | None


class RunProgress(ProgressBar):
    """One line below the log: epoch or iterations done, time left, loss and learning rate.

    Lightning's own bars draw from a thread, count epochs from 0 where the log counts from 1, and
    let the log's lines, which are written to the real terminal, break the bar. This one draws
    within the callbacks, a few times a second, and puts the log above itself.

    Args:
        runner: The run whose progress is shown.
    """

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self._runner = runner
        self._enabled = True
        self._progress: Any = None
        self._tasks: dict[str, _Task] = {}
        self._drawn = 0.0
        self._streams: list[tuple[logging.StreamHandler[Any], Any]] = []

    def disable(self) -> None:
        self._enabled = False

    def enable(self) -> None:
        self._enabled = True

    # Lightning's points

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._open()

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        loop = self._runner.train_loop
        if driver_of(loop) is Driver.ITSELF:
            self._begin("train", type(loop).__name__, 1)
        elif loop.by_epoch:
            name = f"Epoch {loop.epoch + 1}/{loop.max_epochs}"
            self._begin("train", name, trainer.num_training_batches)
        else:
            self._begin("train", "Train", loop.max_iters, loop.iter)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        loop = self._runner.train_loop
        self._advance("train", batch_idx + 1 if getattr(loop, "by_epoch", True) else loop.iter)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._open()
        self._begin("val", "Validate", sum(trainer.num_val_batches))

    def on_validation_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._advance("val", sum(trainer.num_val_batches[:dataloader_idx]) + batch_idx + 1)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._end("val")
        if trainer.state.fn != "fit":
            self._close()

    def on_test_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._open()
        self._begin("test", "Test", sum(trainer.num_test_batches))

    def on_test_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._advance("test", sum(trainer.num_test_batches[:dataloader_idx]) + batch_idx + 1)

    def on_test_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._close()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._close()

    # Drawing

    def _open(self) -> None:
        if not self._enabled or self._progress is not None:
            return
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[values]}"),
            auto_refresh=False,
            transient=True,
        )
        self._progress.start()
        above = _AboveBar(self._progress.console)
        for handler in self._runner.logger.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream.isatty():
                self._streams.append((handler, handler.setStream(above)))

    def _close(self) -> None:
        if self._progress is None:
            return
        self._progress.stop()
        for handler, stream in self._streams:
            handler.setStream(stream)
        self._progress, self._tasks, self._streams = None, {}, []

    def _begin(self, name: str, text: str, total: float, done: int = 0) -> None:
        if self._progress is None:
            return
        self._end(name)
        known = total if total < UNKNOWN else None
        task = self._progress.add_task(text, total=known, completed=done, values="")
        self._tasks[name] = _Task(task, known)
        self._draw(name, done)

    def _advance(self, name: str, done: float) -> None:
        task = self._tasks.get(name)
        if task is None:
            return
        waited = time.monotonic() - self._drawn
        if waited > _SECONDS_BETWEEN_DRAWINGS or done == task.total:
            self._draw(name, done)

    def _draw(self, name: str, done: float) -> None:
        self._progress.update(self._tasks[name].number, completed=done, values=self._values(name))
        self._progress.refresh()
        self._drawn = time.monotonic()

    def _end(self, name: str) -> None:
        if name in self._tasks:
            self._progress.remove_task(self._tasks.pop(name).number)

    def _values(self, name: str) -> str:
        """Return the newest loss and learning rate; one on a device is not waited for."""
        scalars = self._runner.message_hub.log_scalars
        wanted = {"loss": "train/loss", "lr": "train/lr"} if name == "train" else {}
        values = {
            label: scalars[key].newest_known() for label, key in wanted.items() if key in scalars
        }
        return "  ".join(
            f"{label} {value:.4g}" for label, value in values.items() if value is not None
        )


class _AboveBar:
    """A stream whose lines are printed above the bar, as they are.

    Rich's own redirection would parse the log's colours and wrap its lines at the terminal's width.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, text: str) -> None:
        from rich.segment import Segment, Segments

        self._console.print(Segments([Segment(text)]), soft_wrap=True, end="")

    def flush(self) -> None:
        """Do nothing: a line is printed at once."""
