"""Runs several metrics over the same predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, repeat
from typing import Any

from mm2pl.errors import ConfigError, ConfigTypeError, DataAssertionError
from mm2pl.mmengine.dataset import pseudo_collate
from mm2pl.mmengine.evaluator.metric import BaseMetric
from mm2pl.mmengine.registry import EVALUATOR, METRICS
from mm2pl.mmengine.structures import BaseDataElement


@EVALUATOR.register_module()
class Evaluator:
    """Feeds predictions to metrics and joins their results in one dict.

    Args:
        metrics: One metric or several, as configs or objects; those of torchmetrics too, see
            :class:`mm2pl.metrics.TorchMetric`.
    """

    def __init__(
        self, metrics: dict[str, Any] | BaseMetric | Sequence[dict[str, Any] | BaseMetric]
    ) -> None:
        self._dataset_meta: dict[str, Any] | None = None
        several = metrics if isinstance(metrics, (list, tuple)) else [metrics]
        self.metrics: list[BaseMetric] = [_built(*each) for each in enumerate(several)]

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """The data's meta information (class names and the like); setting it tells the metrics."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict[str, Any] | None) -> None:
        self._dataset_meta = dataset_meta
        for metric in self.metrics:
            metric.dataset_meta = dataset_meta

    def process(self, data_samples: Sequence[Any], data_batch: Any | None = None) -> None:
        """Give every metric the predictions for one batch, data elements as dicts.

        Args:
            data_samples: One prediction for each sample.
            data_batch: The batch as the loader gave it.
        """
        samples = [
            sample.to_dict() if isinstance(sample, BaseDataElement) else sample
            for sample in data_samples
        ]
        for metric in self.metrics:
            metric.process(data_batch, samples)

    def evaluate(self, size: int) -> dict[str, Any]:
        """Return the results of all metrics, by name.

        Args:
            size: Number of samples of the dataset; what distributed samplers added is dropped.

        Raises:
            ConfigError: Two metrics give a result of the same name.
        """
        results: dict[str, Any] = {}
        for metric in self.metrics:
            for name, value in metric.evaluate(size).items():
                if name in results:
                    raise ConfigError(
                        "There are multiple evaluation results with the same metric name "
                        f"{name}, the second from {type(metric).__name__}.",
                        hint="Give the metrics different prefixes, e.g. "
                        f"dict(type='{type(metric).__name__}', prefix='second').",
                    )
                results[name] = value
        return results

    def offline_evaluate(
        self, data_samples: Sequence[Any], data: Sequence[Any] | None = None, chunk_size: int = 1
    ) -> dict[str, Any]:
        """Evaluate predictions that were made earlier.

        Args:
            data_samples: All predictions; any iterable if there is no ``data``.
            data: The samples they were made for, as many, if the metrics need them.
            chunk_size: How many to process at a time.

        Raises:
            DataError: The two have different lengths.
        """
        if data is not None and len(data_samples) != len(data):
            raise DataAssertionError(
                "data_samples and data should have the same length, but got data_samples length: "
                f"{len(data_samples)} data length: {len(data)}"
            )
        batches = repeat(None) if data is None else map(pseudo_collate, _chunks(data, chunk_size))
        size = 0
        for chunk, batch in zip(_chunks(data_samples, chunk_size), batches, strict=False):
            self.process(chunk, batch)
            size += len(chunk)
        return self.evaluate(size)


def _built(index: int, metric: Any) -> BaseMetric:
    from mm2pl.metrics.torch_metric import torch_metric

    built = torch_metric(metric) or (METRICS.build(metric) if isinstance(metric, dict) else metric)
    if hasattr(built, "process"):
        return built
    raise ConfigTypeError(
        f"a metric must be a dict or an object that has process(), got {metric!r}",
        key_path=str(index),
        hint=f"dict(type={metric!r})" if isinstance(metric, str) else None,
    )


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
