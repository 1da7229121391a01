"""Any metric of torchmetrics in an evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import metadata
from typing import Any

from torch import Tensor

from mm2pl.errors import ConfigError, ConfigTypeError, DataError
from mm2pl.metrics._columns import (
    Column,
    Key,
    check_lengths,
    checked,
    device_of,
    look_up,
    moved,
    stacked,
)
from mm2pl.metrics._shares import kept_samples
from mm2pl.metrics._states import joined_states
from mm2pl.mmengine.dist import all_gather_object, get_rank
from mm2pl.mmengine.evaluator.metric import BaseMetric, _to_cpu, _warn
from mm2pl.mmengine.registry import METRICS
from mm2pl.mmengine.registry.errors import UnknownTypeError, at_key, record, trail_of

# Arguments of ours beside those of torchmetrics' class in one section.
_PATHS = ("pred_key", "target_key", "keys")
TORCH_METRIC_KEYS = (*_PATHS, "prefix", "name")


class TorchMetric(BaseMetric):
    """Feeds a metric of torchmetrics with what the predictions hold under some keys.

    In a config the class of torchmetrics is named by itself, with these arguments beside its own::

        dict(type='torchmetrics.classification.MulticlassAccuracy', num_classes=10,
             pred_key='pred_label', target_key='gt_label', prefix='top1')

    The last batch is held back until the size of the dataset is known, so that samples which a
    distributed sampler has added never reach ``update``; torchmetrics joins the processes' states.

    Args:
        metric: The metric or ``MetricCollection``, or the config of one.
        pred_key: Where each prediction has the first argument of ``update``: names joined by
            dots, ``*`` for the prediction itself, ``data_batch....`` for something in the batch;
            None to give no such argument. A dict of paths gives a dict for each sample.
        target_key: The same for the second argument.
        keys: Further arguments of ``update`` by name, e.g. ``dict(indexes='query_id')``.
        prefix: Put before the names of the results, with a slash.
        name: Name of a result that has none; by default the name of the metric's class.
    """

    default_prefix = ""

    def __init__(
        self,
        metric: Any,
        pred_key: Key | None = "pred_label",
        target_key: Key | None = "gt_label",
        keys: Mapping[str, Key] | None = None,
        prefix: str | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(prefix=prefix)
        built = _built(metric)
        if not is_torchmetric(type(built)):
            raise ConfigTypeError(f"must be a metric of torchmetrics, got {built!r}")
        self.metric: Any = built
        self.name = name or type(built).__name__
        if not isinstance(keys, Mapping | None):
            raise ConfigTypeError(
                f"must be a dict of paths by argument, got {keys!r}", key_path="keys"
            )
        positional = {"pred_key": pred_key, "target_key": target_key}
        self._paths: dict[int | str, Key] = {
            **dict(
                enumerate(
                    checked(path, key) for key, path in positional.items() if path is not None
                )
            ),
            **{name: checked(path, f"keys.{name}") for name, path in (keys or {}).items()},
        }
        if not self._paths:
            raise ConfigError("there is nothing to give to update", hint="pred_key=... gives it")
        self._given = 0

    def __copy__(self) -> TorchMetric:
        new = object.__new__(type(self))
        new.__dict__ = {**self.__dict__, "metric": self.metric.clone()}
        return new

    def process(self, data_batch: Any, data_samples: Sequence[Any]) -> None:
        """Update the metric with the batch before, and hold this one back."""
        paths = self._paths
        columns = {name: look_up(path, data_samples, data_batch) for name, path in paths.items()}
        check_lengths({repr(paths[name]): column for name, column in columns.items()})
        self._update(self.results)
        self.results = [columns]

    def _update(self, batches: Sequence[dict[Any, Column]], limit: int | None = None) -> None:
        """Give the metric what was held back, at most ``limit`` samples of it."""
        for columns in batches:
            batch = {name: column[:limit] for name, column in columns.items()}
            count = _count(batch)
            if count:
                self._given += count
                self._give({name: stacked(column) for name, column in batch.items()}, batch)

    def _give(self, values: dict[Any, Any], columns: dict[Any, Column]) -> None:
        if any(value is None for value in values.values()):
            for one in zip(*columns.values(), strict=True):  # shapes differ: sample by sample
                rows = zip(columns, one, strict=True)
                self._give({name: stacked([value]) for name, value in rows}, {})
            return
        device = device_of(values)
        if device is not None:
            self.metric.to(device)
            values = moved(values, device)
        positional = [value for name, value in values.items() if isinstance(name, int)]
        named = {name: value for name, value in values.items() if isinstance(name, str)}
        self.metric.update(*positional, **named)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        """Return the figures of all processes' samples, the ones held back included."""
        self._update(results)
        figures = self.metric.compute()
        if not isinstance(figures, Mapping):
            figures = {self.name: figures}
        return {name: _plain(value) for name, value in figures.items()}

    def evaluate(self, size: int) -> dict[str, Any]:
        """Return the figures on every process and start anew.

        Args:
            size: Number of samples of the dataset; what distributed samplers added is left out.

        Raises:
            DataError: More than the last batch of a process is added.
        """
        try:
            if not self.results:
                _warn(f"{self.name} got no predictions.")
            self._update(self.results, self._left(size))
            with joined_states(self.metric):
                figures = self.compute_metrics([])
        finally:
            self.reset()
        put = f"{self.prefix}/" if self.prefix else ""
        return {f"{put}{name}": value for name, value in figures.items()}

    def reset(self) -> None:
        """Forget all predictions."""
        self.results = []
        self._given = 0
        self.metric.reset()

    def _left(self, size: int) -> int:
        """Return how many of the samples held back count.

        All processes work it out for all: none is to wait for one that has met an error.
        """
        held = sum(map(_count, self.results))
        everywhere: list[tuple[int, int]] = all_gather_object((self._given, held))
        kept = kept_samples([given + last for given, last in everywhere], size)
        left = [keep - given for keep, (given, _) in zip(kept, everywhere, strict=True)]
        if min(left) < 0:
            raise DataError(
                f"{-min(left)} samples too many came before the last batch of process"
                f" {left.index(min(left))}, from a dataset of {size}"
            )
        return left[get_rank()]


def is_torchmetric(kind: Any) -> bool:
    """Whether a class is torchmetrics' or derived from one; torchmetrics is not imported."""
    modules = (base.__module__ for base in getattr(kind, "__mro__", ()))
    return any(module.partition(".")[0] == "torchmetrics" for module in modules)


def torch_metric(metric: Any) -> TorchMetric | None:
    """Return the metric for an entry of an evaluator; None if torchmetrics has no part in it.

    Args:
        metric: A metric, or the config of one.
    """
    if not isinstance(metric, dict):
        return TorchMetric(metric) if is_torchmetric(type(metric)) else None
    if not _names_torchmetric(metric):
        return None
    own = {key: metric[key] for key in TORCH_METRIC_KEYS if key in metric}
    try:
        return TorchMetric({key: value for key, value in metric.items() if key not in own}, **own)
    except Exception as error:
        record(error, metric, "")
        trail = trail_of(error)
        if trail is not None:
            trail.config = metric  # the one that stands in the config
        raise


def _names_torchmetric(cfg: Mapping[str, Any]) -> bool:
    kind = cfg.get("type")
    if isinstance(kind, str):
        if kind.startswith("torchmetrics."):
            return True
        with METRICS.switch_scope_and_registry(cfg.get("_scope_")) as registry:
            kind = registry.get(kind)
    return is_torchmetric(kind)


def _built(value: Any, path: str = "") -> Any:
    """Build the metrics in a config from the inside out: collections and wrappers hold others."""
    if isinstance(value, (list, tuple)):
        return [_built(item, f"{path}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    inside = {key: _built(item, f"{path}.{key}".lstrip(".")) for key, item in value.items()}
    if "type" not in inside:
        return inside
    with at_key(path):
        misplaced = [key for key in _PATHS if path and key in inside]
        if misplaced:
            raise ConfigError(
                "is not for one of the metrics within another: update is called once for all",
                key_path=misplaced[0],
                hint="it stands beside the outer metric's own arguments",
            )
        try:
            return METRICS.build(inside)
        except UnknownTypeError as error:
            part = str(inside["type"]).split(".")[1:2]
            extras = metadata("torchmetrics").get_all("Provides-Extra") or []
            if not error.choices and part and part[0] in extras:
                error.hint = (
                    "some classes of torchmetrics need the packages of an extra:"
                    f" pip install 'torchmetrics[{part[0]}]'"
                )
            raise


def _count(columns: Mapping[Any, Column]) -> int:
    return len(next(iter(columns.values())))


def _plain(value: Any) -> Any:
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.item()
    return _to_cpu(value)
