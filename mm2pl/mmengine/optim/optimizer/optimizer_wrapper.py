"""The optimizer wrapper: accumulation, clipping and the update, around one torch optimizer."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import Optimizer

from mm2pl.errors import ConfigAssertionError, ConfigTypeError, nearest
from mm2pl.mmengine.logging import MessageHub, print_log
from mm2pl.mmengine.optim.optimizer.base import BaseOptimWrapper
from mm2pl.mmengine.registry import OPTIM_WRAPPERS
from mm2pl.mmengine.utils.dl_utils import has_batch_norm

_CLIPPERS: dict[str, Callable[..., torch.Tensor | None]] = {
    "norm": clip_grad_norm_,
    "value": clip_grad_value_,
}


@OPTIM_WRAPPERS.register_module()
class OptimWrapper(BaseOptimWrapper):
    """Wraps one optimizer; works by itself as well as in a training run.

    A run ties it to its trainer with :meth:`bind`; a subclass that overrides ``backward`` or
    ``step`` should end them in ``self._run_backward(loss)`` and ``self._run_step()``.

    Args:
        optimizer: The torch optimizer.
        accumulative_counts: Backward passes whose gradients are averaged into one update.
        clip_grad: Arguments of ``clip_grad_norm_`` (``type='norm'``, the default) or
            ``clip_grad_value_`` (``type='value'``) from ``torch.nn.utils``. The norm is logged as
            ``train/grad_norm``.

    Raises:
        ConfigError: A count below 1, or ``clip_grad`` is not a dict with arguments of the clipper
            (an ``AssertionError`` too, as in MMEngine), or its ``type`` is unknown.

    Example:
        >>> wrapper = OptimWrapper(SGD(model.parameters(), lr=0.1), accumulative_counts=3)
        >>> wrapper.initialize_count_status(model, 0, len(loader))
        >>> for batch in loader:
        ...     with wrapper.optim_context(model):
        ...         loss = model(batch)
        ...     wrapper.update_params(loss)
    """

    def __init__(
        self,
        optimizer: Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict[str, Any] | None = None,
    ) -> None:
        _check_counts(accumulative_counts)
        super().__init__(optimizer)
        self._accumulative_counts = accumulative_counts
        self._inner_count = 0
        self._max_counts = -1  # unknown
        self._remainder_counts = -1
        self.message_hub = MessageHub.get_current_instance()
        self.clip_grad_kwargs: dict[str, Any] | None = None
        if clip_grad is not None:
            self._set_clipping(clip_grad)

    def _set_clipping(self, clip_grad: dict[str, Any]) -> None:
        key_path = "clip_grad"
        kwargs = dict(clip_grad) if isinstance(clip_grad, dict) else {}
        kind = kwargs.pop("type", "norm")
        if kind not in _CLIPPERS:
            raise ConfigAssertionError(
                f'type of clip_grad must be "norm" or "value", not {kind!r}',
                key_path=f"{key_path}.type",
                choices=nearest(str(kind), _CLIPPERS),
            )
        if not kwargs:
            raise ConfigAssertionError(
                f"clip_grad must be a dict with arguments of {_CLIPPERS[kind].__name__}, "
                f"not {clip_grad!r}",
                key_path=key_path,
                hint="for example clip_grad=dict(max_norm=1.0)",
            )
        # Differs: MMEngine finds a wrong argument at the first update.
        check_arguments(_CLIPPERS[kind], kwargs, key_path, "parameters")
        self.clip_func = _CLIPPERS[kind]
        self.grad_name = f"grad_{kind}"
        self.clip_grad_kwargs = kwargs

    def bind(
        self,
        backward: Callable[..., None] | None = None,
        step: Callable[..., None] | None = None,
    ) -> None:
        """Let a trainer do the backward pass and the optimizer's step; ``None`` gives torch's back.

        Everything around the two (loss scaling, counting, unscaling, clipping) stays here.

        Args:
            backward: Called as ``backward(loss, **kwargs)`` with the scaled loss.
            step: Called as ``step(**kwargs)`` when the gradients are ready.
        """
        for name, call in (("_run_backward", backward), ("_run_step", step)):
            self.__dict__.pop(name, None)
            if call is not None:
                self.__dict__[name] = call

    def _run_backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        loss.backward(**kwargs)  # type: ignore[no-untyped-call]

    def _run_step(self, **kwargs: Any) -> None:
        self.optimizer.step(**kwargs)

    def update_params(
        self,
        loss: torch.Tensor,
        step_kwargs: dict[str, Any] | None = None,
        zero_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Run backward; at the end of an accumulation window also step and clear the gradients.

        Args:
            loss: Scalar loss of this iteration.
            step_kwargs: Arguments for :meth:`step`.
            zero_kwargs: Arguments for :meth:`zero_grad`.
        """
        self.backward(self.scale_loss(loss))
        if self.should_update():
            self.step(**(step_kwargs or {}))
            self.zero_grad(**(zero_kwargs or {}))

    def backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        """Compute the gradients and count the pass.

        Args:
            loss: Scalar loss, already scaled by :meth:`scale_loss`.
            kwargs: Arguments for ``torch.Tensor.backward``.
        """
        self._run_backward(loss, **kwargs)
        self._inner_count += 1

    def zero_grad(self, **kwargs: Any) -> None:
        """Clear the gradients; ``kwargs`` go to the optimizer's ``zero_grad``."""
        self.optimizer.zero_grad(**kwargs)

    def step(self, **kwargs: Any) -> None:
        """Clip the gradients if asked, then update; ``kwargs`` go to the optimizer's ``step``."""
        if self.clip_grad_kwargs:
            self._clip_grad()
        self._run_step(**kwargs)

    def optim_context(self, model: nn.Module) -> AbstractContextManager[None]:
        """Return the context for the forward pass.

        While gradients accumulate it is ``model.no_sync()``, if the model (DDP) has that.
        """
        if not self.should_sync() and hasattr(model, "no_sync"):
            return model.no_sync()  # type: ignore[no-any-return, operator]
        return nullcontext()

    def _clip_grad(self) -> None:
        params = [
            param
            for group in self.optimizer.param_groups
            for param in group["params"]
            if param.requires_grad and param.grad is not None
        ]
        if not params:
            return
        norm = self.clip_func(params, **(self.clip_grad_kwargs or {}))
        if norm is not None:  # clipping by value returns nothing
            # A plain tensor is read later, when it is logged; any other may need all ranks to read.
            value = norm if type(norm) is torch.Tensor else float(norm)
            self.message_hub.update_scalar(f"train/{self.grad_name}", value)

    def initialize_count_status(self, model: nn.Module, init_counts: int, max_counts: int) -> None:
        """Tell the wrapper where training starts and where it ends.

        With the end known the last, shorter accumulation window is averaged over its true length
        and not lost.

        Args:
            model: The model, looked through for BatchNorm.
            init_counts: Backward passes already done.
            max_counts: Backward passes in all.
        """
        counts = self._accumulative_counts
        self._inner_count = init_counts
        self._max_counts = max_counts
        self._remainder_counts = max_counts % counts
        if init_counts % counts and not self._has_gradients():
            _warn(
                f"training resumes at iteration {init_counts}, inside a window of {counts} "
                "accumulated iterations: the gradients of the window's first part are lost"
            )
        if counts > 1 and has_batch_norm(model):
            _warn(
                "gradients accumulate, but the model's BatchNorm layers still see one small batch "
                "at a time, which may cost some accuracy"
            )

    def _has_gradients(self) -> bool:
        groups = self.optimizer.param_groups
        return any(param.grad is not None for group in groups for param in group["params"])

    def should_update(self) -> bool:
        """Return whether the pass just done ends an accumulation window or the training."""
        count = self._inner_count
        return count % self._accumulative_counts == 0 or count == self._max_counts

    def should_sync(self) -> bool:
        """Return whether the pass about to be done will end a window, so that ranks must sync."""
        count = self._inner_count + 1
        return count % self._accumulative_counts == 0 or count == self._max_counts

    def scale_loss(self, loss: torch.Tensor) -> torch.Tensor:
        """Divide the loss by the length of the current accumulation window.

        Raises:
            ConfigError: There is no window at this count: ``initialize_count_status`` was called
                with wrong counts, or training goes on past ``max_counts``.
        """
        factor = self._accumulative_counts
        if factor == 1:
            return loss  # dividing by 1 changes no bit and costs a node in the graph
        if self._max_counts >= 0 and self._inner_count >= self._max_counts - self._remainder_counts:
            factor = self._remainder_counts
            if factor <= 0:
                raise ConfigAssertionError(
                    f"backward pass {self._inner_count + 1} of {self._max_counts} has no "
                    f"accumulation window of {self._accumulative_counts}",
                    hint="check the counts given to initialize_count_status",
                )
        return loss / factor

    @property
    def inner_count(self) -> int:
        """Backward passes done so far."""
        return self._inner_count

    def __repr__(self) -> str:
        return (
            f"Type: {type(self).__name__}\n"
            f"_accumulative_counts: {self._accumulative_counts}\n"
            f"optimizer: \n{self.optimizer!r}\n"
        )


def _check_counts(counts: Any) -> None:
    try:
        is_enough = counts >= 1
    except TypeError:
        raise ConfigTypeError(
            f"accumulative_counts must be a whole number, not {counts!r}",
            key_path="accumulative_counts",
        ) from None
    if not is_enough:
        raise ConfigAssertionError(
            f"accumulative_counts must be at least 1, not {counts}",
            key_path="accumulative_counts",
            hint="1 updates at every iteration",
        )
    if counts % 1:
        _warn(
            f"accumulative_counts={counts} is no whole number: an update comes only where the"
            " count of iterations is a multiple of it"
        )


def check_arguments(
    function: Callable[..., Any], given: dict[str, Any], key_path: str, first: str = "self"
) -> None:
    """Raise :class:`ConfigTypeError` if a function does not take these arguments.

    Args:
        function: The function, whose argument ``first`` is filled in.
        given: The others by name.
        key_path: Where they stand in the config.
        first: That argument's name.
    """
    try:
        inspect.signature(function).bind(**{first: None, **given})
    except TypeError as error:
        known = [name for name in inspect.signature(function).parameters if name != first]
        wrong = next((name for name in given if name not in known), None)
        raise ConfigTypeError(
            f"{function.__name__}: {error}",
            key_path=f"{key_path}.{wrong}" if wrong else key_path,
            choices=nearest(wrong, known) if wrong else (),
            hint=f"{function.__name__} takes {', '.join(known)}",
        ) from error


def _warn(message: str) -> None:
    print_log(message, logger="current", level=logging.WARNING)
