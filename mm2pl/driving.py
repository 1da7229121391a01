"""Who drives a loop: Lightning's Trainer point by point, or the loop itself."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any

from mm2pl.mmengine.runner import loops


class Driver(Enum):
    """How much of a loop is Lightning's."""

    LIGHTNING = "Lightning's loops call the hooks and the model"
    STEPS = "Lightning's loops call the loop's run_iter for each batch"
    ITSELF = "one step of Lightning's is the loop's whole run"


def driver_of(loop: Any) -> Driver:
    """Say who drives a loop, by what it overrides.

    Lightning would not call the code of a ``run``, ``run_epoch`` or ``run_iter`` of its own. Such a
    loop therefore runs by itself within one step of Lightning's; a training loop that has only its
    own ``run_iter`` still gets its epochs and batches from Lightning.
    """
    if overrides(loop, "run") or overrides(loop, "run_epoch"):
        return Driver.ITSELF
    if not overrides(loop, "run_iter"):
        return Driver.LIGHTNING
    return Driver.STEPS if loop.stage == "train" else Driver.ITSELF


def overrides(loop: Any, name: str) -> bool:
    """Whether a loop has code of its own for one of the methods of MMEngine's loops."""
    method = getattr(loop, name, None)
    if method is None:
        return False
    # Not by __module__, which the alias changes; and behind decorators such as torch.no_grad.
    return getattr(inspect.unwrap(method), "__globals__", None) is not vars(loops)
