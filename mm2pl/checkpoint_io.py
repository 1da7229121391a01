"""Checkpoint files at Lightning's doors: ``ckpt_path``, ``save_checkpoint`` and a plugin."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from lightning.fabric.plugins import TorchCheckpointIO

from mm2pl import checkpoint as files
from mm2pl import damage, lightning_layout
from mm2pl.errors import CheckpointError
from mm2pl.latest_checkpoint import newest_good
from mm2pl.mmengine.hooks import CheckpointHook
from mm2pl.mmengine.optim.optimizer.zero_optimizer import gather_shards
from mm2pl.mmengine.runner.checkpoint import _load_checkpoint
from mm2pl.optim import torch_optimizers, wrappers_of

if TYPE_CHECKING:
    from mm2pl.runner import Runner


class MMCheckpointIO(TorchCheckpointIO):
    """Lets any of Lightning's Trainers go on from mm2pl's and MMEngine's checkpoints.

    ``Trainer(plugins=MMCheckpointIO())`` reads without running code, gives MMEngine's files the
    keys that Lightning looks for, and writes files that are complete or absent.

    Args:
        raw: Of files with a moving average of the weights, read the weights in training: a plain
            Trainer has no hook that exchanges them.
    """

    def __init__(self, raw: bool = False) -> None:
        super().__init__()
        self._raw = raw

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None
    ) -> None:
        """Write a file; ``storage_options`` are arguments of MMEngine's file backends."""
        files.write(checkpoint, os.fspath(path), storage_options)

    def load_checkpoint(
        self,
        path: Any,
        map_location: Callable[..., Any] | None = lambda storage, _: storage,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        """Read a file.

        Args:
            path: Its path or URI.
            map_location: As in :func:`torch.load`.
            weights_only: False lets it run code.

        Raises:
            CheckpointError: It is missing, broken, unsafe, or no checkpoint.
        """
        name = os.fspath(path)
        with files.trusting(name) if weights_only is False else nullcontext():
            loaded = _load_checkpoint(name, map_location=map_location)
        if not isinstance(loaded, dict) or "state_dict" not in loaded:
            raise CheckpointError(
                f"{name} has no 'state_dict', so it is no checkpoint of a Trainer's",
                hint="weights alone go into a model by mm2pl.mmengine.runner.load_checkpoint",
            )
        with damage.taking_up(name, "content", "loaded"):
            lightning_layout.complete(loaded)
            if self._raw:
                loaded["state_dict"] = lightning_layout.in_training(loaded["state_dict"], loaded)
        return loaded


class FilesOfRun:
    """What a run's Trainer asks about checkpoints.

    Args:
        runner: The run.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def find(self, word: str) -> str | None:
        """Return the run's newest file, or its best one.

        Lightning's own callbacks come first: where there are any, the words are theirs.
        """
        runner = self._runner
        if runner.trainer.checkpoint_callbacks:
            return None
        if word == "last":
            return newest_good(runner.work_dir, runner.logger.warning)
        hooks = [one for one in runner.hooks if isinstance(one, CheckpointHook)]
        best = next(filter(None, map(_best_of, hooks)), None)
        if best is None:
            raise CheckpointError(
                "the run has no best checkpoint yet",
                key_path="ckpt_path",
                hint="default_hooks.checkpoint.save_best='auto' keeps one while it trains",
            )
        return str(best)

    def give(self, path: str | None) -> None:
        """Let the fit, validation or test that now begins load a file."""
        self._runner._ckpt_path = path

    def collect(self, weights_only: bool) -> dict[str, Any]:
        """Return what a file of this moment holds; on other ranks than the first, nothing."""
        runner = self._runner
        weights_only = weights_only or not wrappers_of(runner.optim_wrapper)
        meta, whole = runner._hook_callback.counters()
        if not weights_only:
            gather_shards(torch_optimizers(runner.optim_wrapper))
            runner.gather_states(meta)
        if runner.rank:
            return {}
        collected: dict[str, Any] = runner._collect(
            meta, not weights_only, not weights_only, exactly=whole
        )
        if weights_only:  # so that any torch.load reads it
            for key in ("message_hub", "callbacks"):
                collected.pop(key, None)
        return collected


def _best_of(hook: CheckpointHook) -> str | None:
    """Return the best file of a hook, by the first of its metrics."""
    if not (hook.save_best and hook.key_indicators):
        return None
    return hook._best_path(hook.key_indicators[0])
