"""The wrapper that configs name for DeepSpeed, which also works without its engine."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch.optim import Optimizer

from mm2pl.errors import ConfigError
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.optim.optimizer.optimizer_wrapper import OptimWrapper
from mm2pl.mmengine.registry import OPTIM_WRAPPERS
from mm2pl.plan import Status
from mm2pl.support import becomes


@OPTIM_WRAPPERS.register_module()
@becomes(
    Status.APPROXIMATED,
    "an OptimWrapper: there is no DeepSpeed engine that shards, casts and steps in its place",
)
class DeepSpeedOptimWrapper(OptimWrapper):
    """Updates by the DeepSpeed engine that ``model`` is set to; without one it is an OptimWrapper.

    Differs: MMEngine's cannot work without an engine, nor accumulate and clip by itself.

    Args:
        optimizer: The torch optimizer.
        accumulative_counts: As in :class:`OptimWrapper`; an engine accumulates by itself.
        clip_grad: As in :class:`OptimWrapper`; an engine clips by itself.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        accumulative_counts: int = 1,
        clip_grad: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(optimizer, accumulative_counts, clip_grad)
        self._model: Any = None
        self._has_warned = False

    @property
    def model(self) -> Any:
        """The engine.

        Raises:
            ConfigError: None has been set (a ``ValueError``, as in MMEngine).
        """
        if self._model is None:
            raise ConfigError("the model of a DeepSpeedOptimWrapper is the engine; none was set")
        return self._model

    @model.setter
    def model(self, value: Any) -> None:
        self._model = value

    def update_params(
        self,
        loss: torch.Tensor,
        step_kwargs: dict[str, Any] | None = None,
        zero_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Run backward and update; the engine knows by itself when that is due."""
        if self._model is None:
            super().update_params(loss, step_kwargs, zero_kwargs)
            return
        self.backward(loss)
        self.step()

    def backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        """Compute the gradients, by the engine if there is one."""
        if self._model is not None:
            self._model.backward(loss)
            return
        if not self._has_warned:
            self._has_warned = True
            print_log(
                "DeepSpeedOptimWrapper: there is no DeepSpeed engine, so it works as OptimWrapper",
                logger="current",
                level=logging.WARNING,
            )
        super().backward(loss, **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Update, by the engine if there is one."""
        if self._model is not None:
            self._model.step()
        else:
            super().step(**kwargs)

    def zero_grad(self, **kwargs: Any) -> None:
        """Clear the gradients; with an engine, which does it by itself, this is refused."""
        if self._model is not None:
            raise NotImplementedError("the DeepSpeed engine clears the gradients when it steps")
        super().zero_grad(**kwargs)

    def state_dict(self) -> dict[str, Any]:
        """Return the state; with an engine, which saves the optimizer, only the base settings."""
        state = super().state_dict()
        own = ("base_param_settings",)
        return state if self._model is None else {key: state[key] for key in own if key in state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        if self._model is None:
            super().load_state_dict(state_dict)
        elif state_dict.get("base_param_settings") is not None:
            self.base_param_settings = state_dict["base_param_settings"]
