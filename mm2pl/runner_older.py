"""What scripts and hooks of MMEngine's first releases ask of a runner."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from mm2pl.callbacks import HookCallback
from mm2pl.errors import ConfigRuntimeError, nearest
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.registry import RUNNERS
from mm2pl.translate.older import OLDER_ARGUMENTS


class OlderRunner:
    """The runner's methods and attributes of those days."""

    _hook_callback: HookCallback
    _last_outputs: dict[str, Any] | None = None

    def run(self: Any) -> Any:
        """Train if there is something to train, else validate, or test; the older ``train()``."""
        for name in ("train", "val", "test"):
            if getattr(self, f"_{name}_loop") is not None:
                self._say_once(f"Runner.run() is an older form of Runner.{name}()")
                return getattr(self, name)()
        raise ConfigRuntimeError(
            "there is nothing to run", hint="add train_dataloader, train_cfg and optim_wrapper"
        )

    @property
    def outputs(self) -> dict[str, Any] | None:
        """The training step's outputs: ``loss``, ``log_vars`` and ``num_samples``.

        Of the step at hand; between two steps, those that were looked at last. Nothing is made
        before it is asked for, and tensors are detached. Hooks get what a step returned as
        ``outputs`` today.
        """
        self._say_once("runner.outputs is an older form of the outputs that after_train_iter gets")
        given = self._hook_callback.outputs
        if given is not None:
            values = given if isinstance(given, Mapping) else {}
            log_vars = {name: _detached(value) for name, value in values.items()}
            size = batch_size(self._hook_callback.batch)
            self._last_outputs = {
                "loss": log_vars.get("loss"),
                "log_vars": log_vars,
                "num_samples": size,
            }
        return self._last_outputs

    def _say_once(self: Any, text: str) -> None:
        told = self.__dict__.setdefault("_told", set())
        if text not in told:
            told.add(text)
            self.logger.warning(text)


def check_older(arguments: Mapping[str, Any]) -> None:
    """Refuse arguments that ``Runner`` never took.

    Raises:
        TypeError: One is unknown.
    """
    for name in arguments:
        if name not in OLDER_ARGUMENTS:
            near = nearest(name, inspect.signature(RUNNERS.get("Runner")).parameters)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"Runner.__init__() got an unexpected keyword argument {name!r}{meant}")


def batch_size(batch: Any) -> int | None:
    """Return how many samples a batch holds: samples, or columns of them; None if unknown."""
    if isinstance(batch, torch.Tensor):
        return len(batch) if batch.dim() else None
    if isinstance(batch, (list, tuple)) and any(isinstance(one, Mapping) for one in batch):
        return len(batch)
    columns = batch.values() if isinstance(batch, Mapping) else batch
    for column in columns if isinstance(columns, Iterable) else ():
        if isinstance(column, (list, tuple)) or (isinstance(column, torch.Tensor) and column.dim()):
            return len(column)
    return None


def adapt(hook: Hook) -> None:
    """Let points of a hook that take fewer arguments than today's be called as today's are.

    Of MMEngine's own, ``after_train_iter`` once had no ``batch_idx``, and ``after_val_epoch`` no
    ``metrics``. Differs: MMEngine raises a TypeError at such a point.
    """
    for point in hook.get_triggered_stages():
        method = getattr(hook, point)
        parameters = inspect.signature(method).parameters.values()
        if any(one.kind is one.VAR_KEYWORD for one in parameters):
            continue
        rest = [one.name for one in parameters][1:]
        given = inspect.signature(getattr(Hook, point)).parameters
        missing = [name for name in list(given)[2:] if name not in rest]
        if missing and set(rest) <= set(given):
            setattr(hook, point, _with_fewer(method, missing))
            where = f"{type(hook).__name__}.{point}"
            print_log(
                f"{where} has an older signature, without {', '.join(missing)}",
                logger="current",
                level=logging.WARNING,
            )


def _with_fewer(method: Callable[..., Any], missing: list[str]) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(runner: Any, **arguments: Any) -> Any:
        kept = {name: value for name, value in arguments.items() if name not in missing}
        return method(runner, **kept)

    return call


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value
