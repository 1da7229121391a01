"""The loops' settings, counters and per-step work; Lightning's Trainer drives them."""

from __future__ import annotations

import bisect
import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import DataLoader

from mm2pl.errors import ConfigAssertionError, ConfigTypeError, ModelError
from mm2pl.mmengine.evaluator import Evaluator
from mm2pl.mmengine.logging import HistoryBuffer, print_log
from mm2pl.mmengine.registry import LOOPS
from mm2pl.mmengine.registry.errors import at_key, used_at
from mm2pl.mmengine.runner.amp import autocast
from mm2pl.mmengine.runner.base_loop import BaseLoop
from mm2pl.mmengine.runner.utils import calc_dynamic_intervals
from mm2pl.mmengine.structures import BaseDataElement
from mm2pl.mmengine.utils import is_list_of

if TYPE_CHECKING:
    from mm2pl.runner import Runner

__all__ = ["EpochBasedTrainLoop", "IterBasedTrainLoop", "TestLoop", "ValLoop"]

Intervals = Sequence[tuple[int, int]]


class _TrainLoop(BaseLoop):
    """What both training loops share: the counters and when to validate."""

    by_epoch: bool
    _max_epochs: int
    _max_iters: int

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader[Any] | dict[str, Any],
        val_begin: int,
        val_interval: int,
        dynamic_intervals: Intervals | None,
    ) -> None:
        super().__init__(runner, dataloader)
        self._epoch = 0
        self._iter = 0
        self.val_begin = val_begin
        self.val_interval = val_interval
        # Hooks set this; it is looked at where MMEngine looks: per epoch or per iteration.
        self.stop_training = False
        self.dynamic_milestones, self.dynamic_intervals = calc_dynamic_intervals(
            val_interval, dynamic_intervals
        )
        metainfo = _metainfo(self.dataloader, "visualizer")
        if metainfo is not None:
            runner.visualizer.dataset_meta = metainfo

    @property
    def max_epochs(self) -> int:
        """Epochs to train; 1 for an iteration-based run."""
        return self._max_epochs

    @property
    def max_iters(self) -> int:
        """Iterations to train."""
        return self._max_iters

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return self._epoch

    @property
    def iter(self) -> int:
        """Finished iterations, over all epochs."""
        return self._iter

    def _validation_due(self, done: int, total: int) -> bool:
        step = bisect.bisect(self.dynamic_milestones, done + 1)
        self.val_interval = self.dynamic_intervals[step - 1]
        return (
            self.runner.val_loop is not None
            and done >= self.val_begin
            and (done % self.val_interval == 0 or done == total)
        )

    def validation_due(self) -> bool:
        """Whether to validate now, after an epoch or iteration was counted."""
        raise NotImplementedError("a subclass decides by epochs or by iterations")


@LOOPS.register_module()
class EpochBasedTrainLoop(_TrainLoop):
    """Training counted in epochs.

    Args:
        runner: The runner that owns the loop.
        dataloader: A built loader, or the config of one.
        max_epochs: Epochs to train.
        val_begin: First epoch (from 1) after which to validate.
        val_interval: Epochs between validations.
        dynamic_intervals: ``(epoch, interval)`` pairs: the interval that holds from that epoch on.
    """

    by_epoch = True

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader[Any] | dict[str, Any],
        max_epochs: int,
        val_begin: int = 1,
        val_interval: int = 1,
        dynamic_intervals: Intervals | None = None,
    ) -> None:
        super().__init__(runner, dataloader, val_begin, val_interval, dynamic_intervals)
        self._max_epochs = _whole(max_epochs, "max_epochs")
        self._max_iters = self._max_epochs * len(self.dataloader)

    def validation_due(self) -> bool:
        return self._validation_due(self._epoch, self._max_epochs)


@LOOPS.register_module()
class IterBasedTrainLoop(_TrainLoop):
    """Training counted in iterations, over data that start again when they end.

    Args:
        runner: The runner that owns the loop.
        dataloader: A built loader, or the config of one.
        max_iters: Iterations to train.
        val_begin: First iteration (from 1) after which to validate.
        val_interval: Iterations between validations.
        dynamic_intervals: ``(iteration, interval)`` pairs: the interval that holds from there on.
    """

    by_epoch = False

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader[Any] | dict[str, Any],
        max_iters: int,
        val_begin: int = 1,
        val_interval: int = 1000,
        dynamic_intervals: Intervals | None = None,
    ) -> None:
        super().__init__(runner, dataloader, val_begin, val_interval, dynamic_intervals)
        self._max_iters = _whole(max_iters, "max_iters")
        self._max_epochs = 1
        self.dataloader_iterator = _InfiniteDataloaderIterator(self.dataloader)

    def validation_due(self) -> bool:
        return self._validation_due(self._iter, self._max_iters)


class _InfiniteDataloaderIterator:
    """Reads a loader over and over, telling its sampler the round.

    Differs: MMEngine sleeps two seconds between rounds.
    """

    def __init__(self, dataloader: DataLoader[Any]) -> None:
        self._dataloader = dataloader
        # Started here, not at the first batch: it draws the workers' base seed from torch's RNG.
        self._iterator = iter(dataloader)
        self._epoch = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._iterator)
        except StopIteration:
            print_log(
                "Reach the end of the dataloader, it will be restarted and continue to iterate."
                " It is recommended to use `mmengine.dataset.InfiniteSampler` to enable the"
                " dataloader to iterate infinitely.",
                logger="current",
                level=logging.WARNING,
            )
            self._epoch += 1
            set_sampler_epoch(self._dataloader, self._epoch)
            self._iterator = iter(self._dataloader)
            return next(self._iterator)


def set_sampler_epoch(dataloader: Any, epoch: int) -> None:
    """Tell the loader's sampler, or else its batch sampler's, which round over the data it is."""
    for sampler in (
        getattr(dataloader, "sampler", None),
        getattr(getattr(dataloader, "batch_sampler", None), "sampler", None),
    ):
        if sampler is not None and hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)
            return


class _EvalLoop(BaseLoop):
    """What validation and test share: the evaluator and losses among the predictions."""

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader[Any] | dict[str, Any],
        evaluator: Evaluator | dict[str, Any] | list[Any],
        fp16: bool = False,
    ) -> None:
        super().__init__(runner, dataloader)
        with at_key(f"{self.stage}_evaluator", whole=True):
            self.evaluator = runner.build_evaluator(evaluator)
        metainfo = _metainfo(self.dataloader, "evaluator, metric and visualizer")
        if metainfo is not None:
            self.evaluator.dataset_meta = metainfo
            runner.visualizer.dataset_meta = metainfo
        self.fp16 = fp16
        self._losses: dict[str, HistoryBuffer] = {}

    def start(self) -> None:
        """Forget the losses of the last run."""
        self._losses.clear()

    def step(self, model: Any, data_batch: Any) -> Any:
        """Predict for one batch and hand the predictions to the evaluator.

        Returns:
            The predictions, less a trailing element that only carries losses.
        """
        try:
            with autocast(enabled=self.fp16):
                outputs = getattr(model, f"{self.stage}_step")(data_batch)
            outputs = self._take_losses(outputs)
        except Exception as error:
            used_at(error, "model")
            raise
        try:
            self.evaluator.process(data_samples=outputs, data_batch=data_batch)
        except Exception as error:
            used_at(error, f"{self.stage}_evaluator")
            raise
        return outputs

    def finish(self) -> dict[str, Any]:
        """Return the metrics, and the mean losses if the predictions carried any."""
        try:
            metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
        except Exception as error:
            used_at(error, f"{self.stage}_evaluator")
            raise
        if self._losses:
            means = {name: buffer.mean() for name, buffer in self._losses.items()}
            metrics.update(means)
            metrics[f"{self.stage}_loss"] = sum(
                (value for name, value in means.items() if "loss" in name), 0
            )
        return metrics

    def _take_losses(self, outputs: Any) -> Any:
        try:
            last = outputs[-1]
        except (TypeError, LookupError) as error:
            raise ModelError(
                f"{self.stage}_step() returned {outputs!r:.80}, not a list of predictions",
                hint='return one prediction for each sample from forward(mode="predict")',
            ) from error
        if not (isinstance(last, BaseDataElement) and last.keys() == ["loss"]):
            return outputs
        for name, value in last.get("loss").items():
            buffer = self._losses.setdefault(name, HistoryBuffer())
            values = value if is_list_of(value, torch.Tensor) else [value]
            for one in values:
                if isinstance(one, torch.Tensor):
                    buffer.update(one.item())
        return outputs[:-1]


@LOOPS.register_module()
class ValLoop(_EvalLoop):
    """Validation.

    Args:
        runner: The runner that owns the loop.
        dataloader: A built loader, or the config of one.
        evaluator: An evaluator, or the config of one or of its metrics.
        fp16: Run the model under autocast.
    """

    stage = "val"

    @property
    def val_loss(self) -> dict[str, HistoryBuffer]:
        """Losses that came with the predictions of the current run."""
        return self._losses


@LOOPS.register_module()
class TestLoop(_EvalLoop):
    """Test; the arguments are :class:`ValLoop`'s."""

    __test__ = False  # pytest would collect it by its name
    stage = "test"

    @property
    def test_loss(self) -> dict[str, HistoryBuffer]:
        """Losses that came with the predictions of the current run."""
        return self._losses


def _whole(value: Any, name: str) -> int:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise ConfigTypeError(f"{name} must be an integer, got {value!r}")
    if int(value) != value:
        raise ConfigAssertionError(f"{name} must be an integer, got {value!r}")
    return int(value)


def _metainfo(dataloader: Any, readers: str) -> Any:
    dataset: Any = getattr(dataloader, "dataset", None)
    if hasattr(dataset, "metainfo"):
        return dataset.metainfo
    print_log(
        f"Dataset {type(dataset).__name__} has no metainfo. ``dataset_meta`` in {readers} will be"
        " None.",
        logger="current",
        level=logging.WARNING,
    )
    return None
