"""The loss on validation data, beside the metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor

from mm2pl.errors import ModelError
from mm2pl.mmengine.dist import all_gather_object, get_dist_info
from mm2pl.mmengine.model.wrappers import is_model_wrapper


class LossMeter:
    """Runs a model's ``forward(mode="loss")`` on batches and averages the losses over samples.

    The data preprocessor works as for predictions (``training=False``). What the forward draws
    from random number generators is put back, so that training goes on as without it. The values
    stay on their device until :meth:`result`.

    Args:
        size: Number of samples of the dataset; what distributed samplers added does not count.
    """

    def __init__(self, size: int) -> None:
        rank, world = get_dist_info()
        # The sampler deals samples out in turn.
        self._left = (size - rank + world - 1) // world
        self._values: dict[str, list[Tensor]] = {}
        self._weights: dict[str, list[int]] = {}

    def add(self, model: Any, data_batch: Any) -> None:
        """Run the model, in the mode in which it is, on a batch as the loader gave it.

        Raises:
            ModelError: The model is not one of MMEngine's kind.
        """
        count = count_samples(data_batch)
        if count is None:
            count = 1
        elif count > self._left:
            data_batch, count = first_samples(data_batch, self._left), self._left
        self._left -= count
        if not count:
            return
        while is_model_wrapper(model):
            model = model.module
        if not hasattr(model, "parse_losses"):
            raise ModelError(
                f"{type(model).__name__} has no losses to average",
                hint='loss=True needs a BaseModel whose forward knows mode="loss"',
            )
        with isolate_rng():
            data = model.data_preprocessor(data_batch, False)
            _, values = model.parse_losses(model._run_forward(data, mode="loss"))
        for name, value in values.items():
            # A clone: a model may return a view of what it goes on changing.
            self._values.setdefault(name, []).append(torch.as_tensor(value).detach().clone())
            self._weights.setdefault(name, []).append(count)

    def result(self) -> dict[str, float]:
        """Return the mean of each value over the samples of all processes."""
        totals = {
            name: (
                float(
                    torch.stack(values).cpu().double() @ torch.tensor(self._weights[name]).double()
                ),
                sum(self._weights[name]),
            )
            for name, values in self._values.items()
        }
        everywhere: list[dict[str, tuple[float, int]]] = all_gather_object(totals)
        names = dict.fromkeys(chain.from_iterable(everywhere))
        return {name: _mean(one[name] for one in everywhere if name in one) for name in names}


def _mean(parts: Iterable[tuple[float, int]]) -> float:
    sums, counts = zip(*parts, strict=True)
    return float(sum(sums) / sum(counts))


def count_samples(batch: Any) -> int | None:
    """Return how many samples a batch has; None for a batch of a form that nobody knows."""
    if _is_of_fields(batch):
        return _length(batch[0])
    return _length(batch)


def _length(column: Any) -> int | None:
    if isinstance(column, Tensor):
        return len(column) if column.ndim else None
    if isinstance(column, Mapping):
        return next((n for n in map(_length, column.values()) if n is not None), None)
    return len(column) if isinstance(column, (list, tuple)) else None


def first_samples(batch: Any, count: int) -> Any:
    """Return a batch of the first samples only."""
    if _is_of_fields(batch):
        return [_first(column, count) for column in batch]
    return _first(batch, count)


def _first(column: Any, count: int) -> Any:
    if isinstance(column, Mapping):
        return {name: _first(value, count) for name, value in column.items()}
    return column[:count] if _length(column) is not None else column


def _is_of_fields(batch: Any) -> bool:
    """Whether a batch is a list of columns, such as images and labels, and not of samples."""
    if not isinstance(batch, (list, tuple)):
        return False
    return bool(batch) and all(isinstance(item, (Tensor, list, tuple)) for item in batch)
