"""What every optimizer wrapper offers: the optimizer's groups, its rates and its state."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any

import torch
from torch.optim import Optimizer


class BaseOptimWrapper(metaclass=ABCMeta):
    """Interface of all optimizer wrappers.

    Attributes:
        optimizer: The wrapped torch optimizer.
        base_param_settings: The optimizer's own defaults as one more, empty parameter group, kept
            when the optimizer has several groups. Schedulers drive it like the others, so it shows
            the base learning rate that no ``paramwise_cfg`` factor has touched. Else ``None``.

    Args:
        optimizer: The torch optimizer to wrap.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.base_param_settings: dict[str, Any] | None = None
        if len(optimizer.param_groups) > 1:
            self.base_param_settings = {"params": torch.tensor([0.0]), **optimizer.defaults}

    @abstractmethod
    def update_params(self, *args: Any, **kwargs: Any) -> None:
        """Run backward and, when it is time, step and clear the gradients."""

    @abstractmethod
    def backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        """Compute the gradients of ``loss`` (a scalar)."""

    @abstractmethod
    def zero_grad(self, **kwargs: Any) -> None:
        """Clear the gradients."""

    @abstractmethod
    def step(self, **kwargs: Any) -> None:
        """Update the parameters from their gradients."""

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's state, with ``base_param_settings`` beside it if there are any."""
        state: dict[str, Any] = self.optimizer.state_dict()
        if self.base_param_settings is not None:
            state["base_param_settings"] = self.base_param_settings
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned.

        Differs: ``state_dict`` itself is left as it was; MMEngine removes its own keys from it.
        """
        state = dict(state_dict)
        base_param_settings = state.pop("base_param_settings", None)
        if base_param_settings is not None:
            self.base_param_settings = base_param_settings
        self.optimizer.load_state_dict(state)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The optimizer's groups, followed by ``base_param_settings`` if there are any."""
        groups: list[dict[str, Any]] = self.optimizer.param_groups
        return groups if self.base_param_settings is None else [*groups, self.base_param_settings]

    @property
    def defaults(self) -> dict[str, Any]:
        """The optimizer's default options."""
        defaults: dict[str, Any] = self.optimizer.defaults
        return defaults

    def get_lr(self) -> dict[str, list[float]]:
        """Return ``lr`` of each group, and ``base_lr`` if there are ``base_param_settings``."""
        rates = {}
        if self.base_param_settings is not None:
            rates["base_lr"] = [self.base_param_settings["lr"]]
        rates["lr"] = [group["lr"] for group in self.optimizer.param_groups]
        return rates

    def get_momentum(self) -> dict[str, list[float]]:
        """Return each group's momentum: of Adam and its kin the first beta, else 0."""
        return {"momentum": [_momentum(group) for group in self.optimizer.param_groups]}


def _momentum(group: dict[str, Any]) -> float:
    if "momentum" in group:
        return group["momentum"]  # type: ignore[no-any-return]
    return group["betas"][0] if "betas" in group else 0
