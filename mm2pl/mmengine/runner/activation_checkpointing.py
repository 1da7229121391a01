"""Trade computation for memory in named sub-modules."""

from __future__ import annotations

from functools import partial
from operator import attrgetter

from torch import nn
from torch.utils.checkpoint import checkpoint

__all__ = ["turn_on_activation_checkpointing"]


def turn_on_activation_checkpointing(model: nn.Module, modules: list[str] | str) -> None:
    """Recompute the forward of the named sub-modules in the backward pass.

    Args:
        model: The whole model.
        modules: Dotted names of sub-modules.
    """
    for name in [modules] if isinstance(modules, str) else modules:
        module = attrgetter(name)(model)
        # The re-entrant form is what MMEngine runs: it was the default in the torch of its day.
        module.forward = partial(checkpoint, module.forward, use_reentrant=True)
