"""Joins the states of torchmetrics' metrics over processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from mm2pl.mmengine.dist import all_gather_object, get_comm_device, get_world_size


@contextmanager
def joined_states(metric: Any) -> Iterator[None]:
    """Let a metric, and those within it, have the states of all processes for a while.

    torchmetrics' own way needs as many entries in each process where a state is a list of boxes
    or masks, and processes without added samples have not as many.
    """
    if get_world_size() == 1:
        yield
        return
    metric.to("cpu")
    parts = [one for one in metric.modules() if hasattr(one, "_reductions")]
    own = [{name: getattr(one, name) for name in one._reductions} for one in parts]
    asks = [one.distributed_available_fn for one in parts]
    everywhere = all_gather_object(own)
    for index, one in enumerate(parts):
        for name, reduction in one._reductions.items():
            joined = _joined([process[index][name] for process in everywhere])
            setattr(one, name, reduction(joined) if reduction and len(joined) else joined)
        one.distributed_available_fn = _alone
        one._update_count = max(1, one._update_count)  # by others, if not here
    metric.to(get_comm_device())
    try:
        yield
    finally:
        for one, states, ask in zip(parts, own, asks, strict=True):
            one.distributed_available_fn = ask
            for name, value in states.items():
                setattr(one, name, value)


def _joined(values: list[Any]) -> Any:
    if isinstance(values[0], Tensor):
        return torch.stack(values)
    return [item for value in values for item in value]


def _alone() -> bool:
    """Stand in for torchmetrics' question whether there are other processes to ask."""
    return False
