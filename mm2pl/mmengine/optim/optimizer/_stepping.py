"""Stands between an optimizer's ``step`` and what calls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch.optim import Optimizer


@contextmanager
def stepping_by(optimizer: Optimizer, call: Callable[..., Any]) -> Iterator[None]:
    """Let the next call of ``optimizer.step`` be one of ``call``, which may end in the real step.

    For what must see the optimizer itself: a loss scaler keeps its state by the optimizer's
    identity, and a fused optimizer takes scale and overflow flag from its own attributes.

    Args:
        optimizer: The optimizer. Its ``step`` is the real one again when ``call`` begins.
        call: Gets what the caller gives to ``step``.
    """
    own = optimizer.__dict__.get("step")  # e.g. the counting step that a scheduler put there

    def restore() -> None:
        optimizer.__dict__.pop("step", None)
        if own is not None:
            optimizer.__dict__["step"] = own

    def step_once(*args: Any, **kwargs: Any) -> Any:
        restore()
        return call(*args, **kwargs)

    optimizer.__dict__["step"] = step_once
    try:
        yield
    finally:
        restore()
