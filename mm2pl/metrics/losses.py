"""The loss on validation data, beside the metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn

from mm2pl.errors import DataError, ModelError
from mm2pl.mmengine.dist import all_gather_object, get_dist_info
from mm2pl.mmengine.model.wrappers import is_model_wrapper


class LossMeter:
    """Runs a model's ``forward(mode="loss")`` on batches and averages the losses over samples.

    The data preprocessor works as for predictions (``training=False``). Training goes on as
    without it, see :func:`undisturbed`. The values stay on their device until :meth:`result`.

    Args:
        size: Number of samples of the dataset; what distributed samplers added does not count.
    """

    def __init__(self, size: int) -> None:
        rank, world = get_dist_info()
        self._size = size
        # The sampler deals samples out in turn.
        self._left = (size - rank + world - 1) // world
        self._seen = self._kept = 0
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
        self._seen += count
        if count > self._left:
            data_batch, count = first_samples(data_batch, self._left), self._left
        self._left -= count
        self._kept += count
        if not count:
            return
        while is_model_wrapper(model):
            model = model.module
        if not hasattr(model, "parse_losses"):
            raise ModelError(
                f"{type(model).__name__} has no losses to average",
                hint='loss=True needs a BaseModel whose forward knows mode="loss"',
            )
        with undisturbed(model):
            data = model.data_preprocessor(data_batch, False)
            loss, values = model.parse_losses(model._run_forward(data, mode="loss"))
        if not isinstance(loss, Tensor):
            raise ModelError(
                f"{type(model).__name__}.forward(mode='loss') returned no loss,"
                f" only {list(values)}",
                hint="in eval mode; some models have one in training only",
            )
        for name, value in values.items():
            # A clone: a model may return a view of what it goes on changing.
            self._values.setdefault(name, []).append(torch.as_tensor(value).detach().clone())
            self._weights.setdefault(name, []).append(count)

    def result(self) -> dict[str, float]:
        """Return the mean of each value over the samples of all processes.

        Raises:
            DataError: Samples were left out, though no sampler has added any.
        """
        totals = {
            name: (
                float(
                    torch.stack(values).cpu().double() @ torch.tensor(self._weights[name]).double()
                ),
                sum(self._weights[name]),
            )
            for name, values in self._values.items()
        }
        gathered = all_gather_object((totals, self._seen, self._kept))
        everywhere, seen, kept = zip(*gathered, strict=True)
        if sum(seen) - sum(kept) > max(0, sum(seen) - self._size):
            raise DataError(
                f"the processes have {', '.join(map(str, seen))} of {self._size} samples,"
                " so that their shares of the mean are not known",
                hint="DefaultSampler deals samples out evenly",
            )
        names = dict.fromkeys(chain.from_iterable(everywhere))
        return {name: _mean(one[name] for one in everywhere if name in one) for name in names}


@contextmanager
def undisturbed(model: nn.Module) -> Iterator[None]:
    """Put back what running a model in between may change.

    These are parameters and buffers (queues, momentum encoders), train and eval modes, and the
    random number generators of Python, NumPy and torch; not a model's other attributes.
    """
    modules = [
        (one, one.training, [{**store} for store in _stores(one)]) for one in model.modules()
    ]
    # Through `data`: autograd is not to take a value that is put back for a new one.
    before = [(one, one.detach().clone()) for one in chain(model.parameters(), model.buffers())]
    try:
        with isolate_rng():
            yield
    finally:
        for module, training, stores in modules:
            module.training = training
            for store, old in zip(_stores(module), stores, strict=True):
                store.clear()
                store.update(old)
        for tensor, value in before:
            tensor.data.copy_(value)


def _stores(module: nn.Module) -> tuple[dict[str, Any], dict[str, Any]]:
    return module._parameters, module._buffers


def _mean(parts: Iterable[tuple[float, int]]) -> float:
    sums, counts = zip(*parts, strict=True)
    return float(sum(sums) / sum(counts))


def count_samples(batch: Any) -> int | None:
    """Return how many samples a batch has; None for a batch of a form that nobody knows."""
    if not _is_of_fields(batch):
        return _length(batch)
    return next((n for n in map(_length, batch) if n is not None), None)


def _length(column: Any) -> int | None:
    if isinstance(column, Tensor):
        return len(column) if column.ndim else None
    if isinstance(column, Mapping):
        # Lists beside tensors and MMEngine's `inputs` may be anything, such as an image's size.
        values = [column.get("inputs"), *sorted(column.values(), key=_is_no_tensor)]
        return next((n for n in map(_length, values) if n is not None), None)
    return len(column) if isinstance(column, (list, tuple)) else None


def _is_no_tensor(value: Any) -> bool:
    return not isinstance(value, Tensor)


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
    return any(isinstance(item, (Tensor, list, tuple)) for item in batch)
