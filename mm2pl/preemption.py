"""SIGTERM, by which a scheduler takes a node away: save after the iteration at hand, and exit."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch

from mm2pl import _lightning, durable
from mm2pl.driving import Driver, driver_of
from mm2pl.mmengine.dist import is_main_process
from mm2pl.mmengine.hooks import CheckpointHook

if TYPE_CHECKING:
    from mm2pl.runner import Runner

STATUS = 128 + signal.SIGTERM
# torchrun hands on the SIGTERM that a scheduler sends to all processes of a job anyway.
_SAME_NOTICE = 5.0
_NOTICED = b"mm2pl: SIGTERM: saving after this iteration; a second SIGTERM ends the run at once\n"
_NOTICED_BY_ONE = (
    b"mm2pl: SIGTERM: saving once all processes know, within seconds or a few iterations\n"
)
# Asking the others takes a third of a toy's step, and on a GPU waits for it: so seldom, but often
# enough that no scheduler loses patience.
_ASK_EVERY = 1.0  # seconds
_ASK_AFTER = 20  # iterations at most


class Preempted(SystemExit):
    """A run was told to end, and has saved; a script that does not catch it exits with 143.

    Attributes:
        path: The checkpoint to go on from.
    """

    def __init__(self, path: str) -> None:
        super().__init__(STATUS)
        self.path = path


class Preemption(pl.Callback):
    """Ends a training after the iteration in which SIGTERM arrives.

    All ranks end after the same iteration, whichever of them were told: they ask each other about
    once a second. A handler of the user's is left alone.

    Args:
        runner: The run.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._arrived: float | None = None
        self._alone = runner.world_size == 1
        self._whole = True  # between two iterations, and not in a validation
        self._asked = time.monotonic()
        self._every = self._left = 1  # iterations, the same in all ranks

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        before = _lightning.take_over_sigterm(trainer)
        if before is None:  # not Python's
            return
        # A loop with a run of its own is one iteration to Lightning: nothing would be saved in it.
        noted = before == signal.SIG_DFL and driver_of(self._runner.train_loop) is not Driver.ITSELF
        signal.signal(signal.SIGTERM, self._note if noted else before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self._arrived is None:
            self._arrived = now
            os.write(2, _NOTICED if self._alone else _NOTICED_BY_ONE)
        elif "TORCHELASTIC_RUN_ID" not in os.environ or now - self._arrived > _SAME_NOTICE:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    def _is_due(self, trainer: pl.Trainer) -> bool:
        if self._alone:
            return self._arrived is not None
        now = time.monotonic()
        told = [float(self._arrived is not None), (now - self._asked) / self._every]
        reduced = torch.tensor(told, device=trainer.strategy.root_device)
        torch.distributed.all_reduce(reduced, torch.distributed.ReduceOp.MAX)
        due, seconds = reduced.tolist()
        fitting = int(_ASK_EVERY / max(seconds, 1e-6))
        self._every = self._left = max(1, min(fitting, 2 * self._every, _ASK_AFTER))
        self._asked = now
        return bool(due)

    def on_train_batch_start(self, *args: Any, **kwargs: Any) -> None:
        self._whole = False

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._whole = False

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        self._whole = True
        self._left -= 1
        if (self._alone or self._left <= 0) and self._is_due(trainer):
            self._end()

    def on_validation_batch_end(self, trainer: pl.Trainer, *args: Any, **kwargs: Any) -> None:
        # Weights may be exchanged for their average meanwhile: only what was saved before counts.
        if self._alone and self._arrived is not None and _saved(self._runner):
            self._end()

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._whole = True
        if self._is_due(trainer):
            self._end()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        # Data workers outlive one SIGTERM, if they can. Else torch raises, at any point.
        if not self._alone or self._arrived is None or "DataLoader worker" not in str(exception):
            return
        if self._whole or _saved(self._runner):
            self._end()
        self._runner.logger.error(
            "SIGTERM: the data workers have ended in mid iteration, of which nothing can be saved;"
            " resume=True goes on from the last checkpoint (mm2pl fit: --resume)"
        )
        raise SystemExit(STATUS) from exception

    def _end(self) -> None:
        runner = self._runner
        path = _saved(runner) or save(runner)
        runner.logger.warning(
            f"SIGTERM: the run ends after epoch {runner.epoch}, iteration {runner.iter}, and is"
            f" saved in {path}; resume=True goes on from there (mm2pl fit: --resume)"
        )
        raise Preempted(path)


@contextmanager
def watching(runner: Runner) -> Iterator[None]:
    """Let a training end by SIGTERM as :class:`Preemption` says, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    callback = Preemption(runner)
    callbacks: list[Any] = runner.trainer.callbacks  # type: ignore[attr-defined]
    before = signal.getsignal(signal.SIGTERM)
    callbacks.append(callback)
    try:
        yield
    finally:
        if callback in callbacks:
            callbacks.remove(callback)
        _lightning.give_back_sigterm(runner.trainer)
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _saved(runner: Runner) -> str | None:
    """Return the last checkpoint if it is of this very iteration."""
    for hook in _checkpoint_hooks(runner):
        if hook.last_iter == runner.iter:
            hook.checkpoint_files.wait()
            return hook.last_ckpt
    return None


def save(runner: Runner) -> str:
    """Save a run between two iterations, and return the file's path.

    The next regular checkpoint takes its place.
    """
    for hook in _checkpoint_hooks(runner):
        return hook.save_between(runner)
    name = f"preempted_iter_{runner.iter}.pth"
    meta = {"epoch": runner.epoch, "iter": runner.iter}
    runner.save_checkpoint(runner.work_dir, name, meta=meta)
    path = os.path.join(runner.work_dir, name)
    if is_main_process():
        durable.write_text(Path(runner.work_dir, "last_checkpoint"), path)
    return path


def _checkpoint_hooks(runner: Runner) -> list[CheckpointHook]:
    hooks = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    return [hook for hook in hooks if hook.file_backend is not None]
