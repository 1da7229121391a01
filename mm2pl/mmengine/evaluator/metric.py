"""The base of all metrics, and one that dumps the predictions instead."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mm2pl.errors import ConfigError
from mm2pl.mmengine.dist import broadcast_object_list, collect_results, is_main_process
from mm2pl.mmengine.fileio import dump
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.registry import METRICS
from mm2pl.mmengine.structures import BaseDataElement


class BaseMetric(ABC):
    """Collects something from each batch in ``self.results`` and computes figures from it all.

    Args:
        collect_device: Where the processes exchange their results: ``cpu`` or ``gpu``.
        prefix: Put before the metrics' names, with a slash; by default ``default_prefix``.
        collect_dir: A folder that all processes see, to exchange results over (``cpu`` alone).
    """

    default_prefix: str | None = None

    def __init__(
        self,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        if collect_dir is not None and collect_device != "cpu":
            raise ConfigError("`collect_dir` could only be configured when `collect_device='cpu'`")
        self._dataset_meta: dict[str, Any] | None = None
        self.collect_device = collect_device
        self.results: list[Any] = []
        self.prefix = prefix or self.default_prefix
        self.collect_dir = collect_dir
        if self.prefix is None:
            _warn(f"The prefix is not set in metric class {type(self).__name__}.")

    @property
    def dataset_meta(self) -> dict[str, Any] | None:
        """The data's meta information, class names and the like."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict[str, Any] | None) -> None:
        self._dataset_meta = dataset_meta

    @abstractmethod
    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Take from one batch what the metric needs and append it to ``self.results``.

        Args:
            data_batch: The batch as the loader gave it.
            data_samples: One prediction for each sample.
        """

    @abstractmethod
    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Return figures by name, computed from the results of all batches and processes."""

    def evaluate(self, size: int) -> dict[str, Any]:
        """Compute the figures on the main process, give them to all, and start anew.

        Args:
            size: Number of samples of the dataset; what distributed samplers added is dropped.
        """
        if not self.results:
            _warn(
                f"{type(self).__name__} got empty `self.results`. Please ensure that the processed "
                "results are properly added into `self.results` in `process` method."
            )
        folder = {"tmpdir": self.collect_dir} if self.collect_device == "cpu" else {}
        results = collect_results(self.results, size, self.collect_device, **folder)
        shared: list[Any] = [None]
        if is_main_process():
            figures = self.compute_metrics(_to_cpu(results))
            if self.prefix:
                figures = {f"{self.prefix}/{name}": value for name, value in figures.items()}
            shared = [figures]
        broadcast_object_list(shared)
        self.results.clear()
        metrics: dict[str, Any] = shared[0]
        return metrics


@METRICS.register_module()
class DumpResults(BaseMetric):
    """Writes all predictions to a pickle file, for an evaluation later.

    Args:
        out_file_path: The file; ends with ``.pkl`` or ``.pickle``.
        collect_device: See :class:`BaseMetric`.
        collect_dir: See :class:`BaseMetric`.
    """

    def __init__(
        self, out_file_path: str, collect_device: str = "cpu", collect_dir: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, collect_dir=collect_dir)
        if not out_file_path.endswith((".pkl", ".pickle")):
            raise ConfigError(f"The output file must be a pkl file, but got {out_file_path!r}.")
        self.out_file_path = out_file_path

    def process(self, data_batch: Any, predictions: Sequence[dict[str, Any]]) -> None:
        """Keep the predictions, on the CPU."""
        self.results.extend(_to_cpu(predictions))

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Write the file; there are no figures."""
        dump(results, self.out_file_path)
        print_log(f"Results has been saved to {self.out_file_path}.", logger="current")
        return {}


def _warn(message: str) -> None:
    print_log(message, logger="current", level=logging.WARNING)


def _to_cpu(data: Any) -> Any:
    """Return ``data`` with all tensors and data elements in it on the CPU."""
    if isinstance(data, (Tensor, BaseDataElement)):
        return data.to("cpu")
    if isinstance(data, (list, tuple)):
        moved = [_to_cpu(item) for item in data]
        return moved if isinstance(data, list) else tuple(moved)
    if isinstance(data, dict):
        return {key: _to_cpu(value) for key, value in data.items()}
    return data
