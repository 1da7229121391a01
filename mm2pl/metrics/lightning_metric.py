"""MMEngine's metrics in plain Lightning code."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
import torchmetrics

from mm2pl.metrics.torch_metric import TorchMetric
from mm2pl.mmengine.dist import all_reduce
from mm2pl.mmengine.evaluator import BaseMetric, Evaluator


class MMEngineMetric(torchmetrics.Metric):
    """A metric of MMEngine's, or an evaluator, as a metric of torchmetrics.

    ``update`` after each batch, then ``self.log_dict(metric.compute())`` and ``metric.reset()``::

        self.accuracy = MMEngineMetric(Accuracy(topk=(1, 5)), dataset_meta=dataset.metainfo)

    Args:
        metric: A metric, several, an evaluator, or the config of one of these.
        dataset_meta: What the metric is told of the data, class names and the like.
        size: Number of samples of the dataset; what a distributed sampler added is dropped. By
            default all samples count.
    """

    full_state_update = False

    def __init__(
        self,
        metric: Evaluator | BaseMetric | dict[str, Any] | Sequence[BaseMetric | dict[str, Any]],
        dataset_meta: dict[str, Any] | None = None,
        size: int | None = None,
    ) -> None:
        # The metric collects from all processes by itself.
        super().__init__(sync_on_compute=False)
        self.evaluator = metric if isinstance(metric, Evaluator) else Evaluator(metric)
        if dataset_meta is not None:
            self.evaluator.dataset_meta = dataset_meta
        self.size = size
        self._seen = 0

    def update(self, data_samples: Sequence[Any], data_batch: Any = None) -> None:
        """Take the predictions for one batch, one for each sample, and the batch itself."""
        self._seen += len(data_samples)
        self.evaluator.process(data_samples, data_batch)

    def compute(self) -> dict[str, Any]:
        """Return the figures by name, on every process."""
        size = self.size
        if size is None:
            seen = torch.tensor(self._seen)
            all_reduce(seen)
            size = int(seen)
        # MMEngine's metrics forget what they have computed from; here `reset` does that.
        evaluator = copy.copy(self.evaluator)
        evaluator.metrics = [copy.copy(metric) for metric in evaluator.metrics]
        for metric in evaluator.metrics:
            metric.results = [*metric.results]
        return evaluator.evaluate(size)

    def forward(self, *args: Any, **kwargs: Any) -> None:
        """Update alone: MMEngine's metrics have no value for a single batch."""
        self.update(*args, **kwargs)

    def reset(self) -> None:
        """Forget all predictions."""
        super().reset()
        self._seen = 0
        for metric in self.evaluator.metrics:
            metric.reset() if isinstance(metric, TorchMetric) else metric.results.clear()
