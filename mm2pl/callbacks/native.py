"""Lightning's callbacks among MMEngine's hooks."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Checkpoint, ProgressBar

from mm2pl.errors import ConfigError
from mm2pl.mmengine.hooks import Hook
from mm2pl.progress import RunProgress

if TYPE_CHECKING:
    from mm2pl.callbacks.hook_callback import HookCallback
    from mm2pl.mmengine.runner.priority import Priority

# Lightning's point: the one of MMEngine's within which it runs, behind and in front of hooks.
TWINS = {
    "on_train_start": "before_train",
    "on_train_epoch_start": "before_train_epoch",
    "on_train_batch_start": "before_train_iter",
    "on_train_batch_end": "after_train_iter",
    "on_train_end": "after_train",
    **{
        f"on_{phase}_{point}": twin.format(stage)
        for phase, stage in (("validation", "val"), ("test", "test"))
        for point, twin in {
            "start": "before_{}",
            "epoch_start": "before_{}_epoch",
            "batch_start": "before_{}_iter",
            "batch_end": "after_{}_iter",
            "epoch_end": "after_{}_epoch",
            "end": "after_{}",
        }.items()
    },
}
_SAVES = ("state_dict", "on_save_checkpoint")


class NativeCallback(Hook):
    """The place of one of Lightning's callbacks among the hooks.

    Lightning calls the callback, as one of ``trainer.callbacks``; this hook itself only puts its
    state into MMEngine's checkpoints.

    Args:
        callback: The callback.
        priority: By default the ``priority`` of its class, ``VERY_LOW`` for one that saves
            checkpoints (as ``CheckpointHook``), ``NORMAL`` for any other.

    Attributes:
        behind: Stands behind the callback in ``trainer.callbacks``.
    """

    def __init__(self, callback: pl.Callback, priority: str | int | Priority | None = None) -> None:
        self.callback = callback
        self.behind: pl.Callback | None = None
        if priority is None:
            saves = isinstance(callback, Checkpoint)
            priority = getattr(callback, "priority", "VERY_LOW" if saves else "NORMAL")
        self.priority = priority

    def get_triggered_stages(self) -> list[str]:
        """Return the points within which the callback does something."""
        points = {twin for name, twin in TWINS.items() if _overrides(self.callback, name)}
        if any(_overrides(self.callback, name) for name in _SAVES):
            points.add("before_save_checkpoint")
        return [point for point in Hook.stages if point in points]

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Put the callback's state where Lightning has it."""
        _save_state(self.callback, runner, checkpoint)


def save_states_of_others(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Put the states of the Trainer's callbacks that stand behind the hooks into a checkpoint.

    Args:
        runner: The run.
        checkpoint: What is about to be written.
    """
    placed = [native.callback for native in runner._hook_callback.natives]
    for callback in runner.trainer.callbacks:
        if not any(callback is one for one in placed):
            _save_state(callback, runner, checkpoint)


def _save_state(callback: pl.Callback, runner: Any, checkpoint: dict[str, Any]) -> None:
    state = callback.state_dict()
    if state:
        checkpoint.setdefault("callbacks", {})[callback.state_key] = state
    callback.on_save_checkpoint(runner.trainer, runner.module, checkpoint)


def restore_states(runner: Any, checkpoint: dict[str, Any]) -> None:
    """Give the Trainer's callbacks the states that a checkpoint has of them.

    Args:
        runner: The run.
        checkpoint: What the run goes on from; it holds ``callbacks``.
    """
    states = checkpoint["callbacks"]
    for callback in runner.trainer.callbacks:
        callback.on_load_checkpoint(runner.trainer, runner.module, checkpoint)
        state = states.get(callback.state_key)
        if state:
            callback.load_state_dict(copy.deepcopy(state))


class HooksBehind(pl.Callback):
    """Goes on with a point on the hooks behind one of Lightning's callbacks.

    Args:
        head: What calls the hooks in front.
        native: The callback's place among the hooks.
    """

    def __init__(self, head: HookCallback, native: NativeCallback) -> None:
        self._head = head
        self._native = native


def _goes_on(name: str) -> Callable[..., None]:
    # Lightning validates without gradients; MMEngine switches them off around each step alone.
    turns_on = not name.startswith("on_train") and "batch" not in name

    def go_on(self: HooksBehind, *args: Any, **kwargs: Any) -> None:
        if turns_on:
            with torch.enable_grad():
                self._head.go_on(self._native)
        else:
            self._head.go_on(self._native)

    return go_on


for _name in TWINS:
    setattr(HooksBehind, _name, _goes_on(_name))


def arrange(trainer: pl.Trainer, head: HookCallback, hooks: list[Hook]) -> None:
    """Put Lightning's callbacks that stand among the hooks, and no more, into the Trainer's.

    Args:
        trainer: The run's.
        head: Its hooks' callback.
        hooks: All hooks, in order.

    Raises:
        ConfigError: Two callbacks would share one state.
    """
    natives = [hook for hook in hooks if isinstance(hook, NativeCallback)]
    if natives == head.natives:
        return
    _check_states(natives)
    placed: list[pl.Callback] = []
    for native in natives:
        native.behind = native.behind or HooksBehind(head, native)
        placed += [native.callback, native.behind]
    gone = [part for native in head.natives for part in (native.callback, native.behind)]
    ours = {id(one) for one in (head, *placed, *gone)}
    others = [one for one in trainer.callbacks if id(one) not in ours]  # type: ignore[attr-defined]
    if any(isinstance(one, ProgressBar) for one in placed):
        others = [one for one in others if not isinstance(one, RunProgress)]
    head.natives = natives
    # Another list: Lightning may be going through the one that there was.
    trainer.callbacks = [head, *placed, *others]  # type: ignore[attr-defined]


def _check_states(natives: list[NativeCallback]) -> None:
    seen: set[str] = set()
    for native in natives:
        callback = native.callback
        if not _overrides(callback, "state_dict"):
            continue
        if callback.state_key in seen:
            name = type(callback).__name__
            raise ConfigError(
                f"there are two {name}s whose states would go by one name, {callback.state_key}",
                hint="Lightning tells callbacks apart by what their state_key names",
            )
        seen.add(callback.state_key)


def _overrides(callback: pl.Callback, name: str) -> bool:
    return getattr(type(callback), name) is not getattr(pl.Callback, name) or name in vars(callback)
