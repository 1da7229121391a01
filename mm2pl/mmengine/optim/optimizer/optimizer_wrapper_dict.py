"""Several optimizer wrappers under their names, for models with more than one optimizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, NoReturn

import torch
from torch import nn

from mm2pl.errors import ConfigAssertionError, nearest
from mm2pl.mmengine.optim.optimizer.optimizer_wrapper import OptimWrapper


class OptimWrapperDict(OptimWrapper):
    """A read-only mapping of names to wrappers, made by a constructor of the user's.

    What belongs to one optimizer (backward, step, ...) is refused here and must be called on the
    wrapper concerned; state, rates and ``zero_grad`` cover them all.

    Args:
        **optim_wrapper_dict: The wrappers by name.

    Raises:
        ConfigError: A value is not an ``OptimWrapper`` (an ``AssertionError`` too).
    """

    def __init__(self, **optim_wrapper_dict: OptimWrapper) -> None:
        for name, wrapper in optim_wrapper_dict.items():
            if not isinstance(wrapper, OptimWrapper):
                raise ConfigAssertionError(
                    f"OptimWrapperDict takes OptimWrapper instances, not {type(wrapper).__name__}",
                    key_path=f"{name}",
                )
        self.optim_wrappers = optim_wrapper_dict

    def bind(
        self,
        backward: Callable[..., None] | None = None,
        step: Callable[..., None] | None = None,
    ) -> None:
        """Refused: bind each wrapper."""
        _refuse("bind")

    def update_params(
        self,
        loss: torch.Tensor,
        step_kwargs: dict[str, Any] | None = None,
        zero_kwargs: dict[str, Any] | None = None,
    ) -> None:
        """Refused: a loss belongs to one wrapper."""
        _refuse("update_params")

    def backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        """Refused: a loss belongs to one wrapper."""
        _refuse("backward")

    def step(self, **kwargs: Any) -> None:
        """Refused: step each wrapper when its own loss has been propagated."""
        _refuse("step")

    def optim_context(self, model: nn.Module) -> AbstractContextManager[None]:
        """Refused: enter the context of the wrapper whose model is run."""
        _refuse("optim_context")

    def zero_grad(self, **kwargs: Any) -> None:
        """Clear the gradients of all. Differs: MMEngine drops ``kwargs``."""
        for wrapper in self.optim_wrappers.values():
            wrapper.zero_grad(**kwargs)

    def initialize_count_status(self, model: nn.Module, cur_iter: int, max_iters: int) -> None:
        """Do nothing: which wrapper runs how often is known to the model alone."""

    @property
    def param_groups(self) -> dict[str, list[dict[str, Any]]]:  # type: ignore[override]
        """The parameter groups of each wrapper, by name."""
        return {name: wrapper.param_groups for name, wrapper in self.items()}

    def get_lr(self) -> dict[str, list[float]]:
        """Return the rates of all as ``NAME.lr`` and, where there is one, ``NAME.base_lr``."""
        return _prefixed({name: wrapper.get_lr() for name, wrapper in self.items()})

    def get_momentum(self) -> dict[str, list[float]]:
        """Return the momentum of all as ``NAME.momentum``."""
        return _prefixed({name: wrapper.get_momentum() for name, wrapper in self.items()})

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each wrapper, by name."""
        return {name: wrapper.state_dict() for name, wrapper in self.items()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; an unknown name is an error."""
        for name, state in state_dict.items():
            self[name].load_state_dict(state)

    def items(self) -> Iterator[tuple[str, OptimWrapper]]:
        """Iterate over names and wrappers."""
        yield from self.optim_wrappers.items()

    def values(self) -> Iterator[OptimWrapper]:
        """Iterate over the wrappers."""
        yield from self.optim_wrappers.values()

    def keys(self) -> Iterator[str]:
        """Iterate over the names."""
        yield from self.optim_wrappers.keys()

    def __getitem__(self, key: str) -> OptimWrapper:
        if key not in self.optim_wrappers:
            raise ConfigAssertionError(
                f"there is no optimizer wrapper {key!r}, only {', '.join(self.optim_wrappers)}",
                choices=nearest(key, self.optim_wrappers),
                hint="the wrappers' names are chosen by the optimizer wrapper constructor",
            )
        return self.optim_wrappers[key]

    def __contains__(self, key: str) -> bool:
        return key in self.optim_wrappers

    def __len__(self) -> int:
        return len(self.optim_wrappers)

    def __repr__(self) -> str:
        return "".join(f"name: {name}\n{wrapper!r}" for name, wrapper in self.items())


def _prefixed(values: dict[str, dict[str, list[float]]]) -> dict[str, list[float]]:
    return {f"{name}.{key}": value for name, of in values.items() for key, value in of.items()}


def _refuse(method: str) -> NoReturn:
    raise NotImplementedError(
        f"`{method}` of an OptimWrapperDict: call it on each optimizer wrapper by itself, "
        f"e.g. optim_wrapper['generator'].{method}(...)"
    )
