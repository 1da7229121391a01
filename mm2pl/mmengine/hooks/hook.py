"""The base of all hooks: 22 points, and the questions that hooks ask at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from mm2pl.mmengine.runner.priority import Priority

DATA_BATCH = dict[Any, Any] | tuple[Any, ...] | list[Any] | None

_MODES = ("train", "val", "test")


class Hook:
    """Something to do at points of a run. Override the points that matter; all others do nothing.

    The epoch and iteration points of training, validation and testing go through four shared
    methods, ``_before_epoch``, ``_after_epoch``, ``_before_iter`` and ``_after_iter``, which get
    the phase as ``mode``: overriding one of them serves all three phases.

    ``priority`` says when the hook runs at a point, relative to the others; ``stages`` names all
    points in the order in which a run comes by them.
    """

    priority: str | int | Priority = "NORMAL"
    stages: ClassVar[tuple[str, ...]] = (
        "before_run",
        "after_load_checkpoint",
        "before_train",
        "before_train_epoch",
        "before_train_iter",
        "after_train_iter",
        "after_train_epoch",
        "before_val",
        "before_val_epoch",
        "before_val_iter",
        "after_val_iter",
        "after_val_epoch",
        "after_val",
        "before_save_checkpoint",
        "after_train",
        "before_test",
        "before_test_epoch",
        "before_test_iter",
        "after_test_iter",
        "after_test_epoch",
        "after_test",
        "after_run",
    )

    def before_run(self, runner: Any) -> None:
        """Run once, before anything is trained, validated or tested."""

    def after_run(self, runner: Any) -> None:
        """Run once, when everything is done."""

    def before_train(self, runner: Any) -> None:
        """Run before the training loop."""

    def after_train(self, runner: Any) -> None:
        """Run after the training loop."""

    def before_val(self, runner: Any) -> None:
        """Run before each validation."""

    def after_val(self, runner: Any) -> None:
        """Run after each validation."""

    def before_test(self, runner: Any) -> None:
        """Run before a test."""

    def after_test(self, runner: Any) -> None:
        """Run after a test."""

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """See, and change, what is about to be written to a checkpoint file."""

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """See, and change, what was read from a checkpoint file before it is used."""

    def before_train_epoch(self, runner: Any) -> None:
        """Run before each training epoch."""
        self._before_epoch(runner, mode="train")

    def before_val_epoch(self, runner: Any) -> None:
        """Run before the batches of a validation."""
        self._before_epoch(runner, mode="val")

    def before_test_epoch(self, runner: Any) -> None:
        """Run before the batches of a test."""
        self._before_epoch(runner, mode="test")

    def after_train_epoch(self, runner: Any) -> None:
        """Run after each training epoch, and before the validation that may follow it."""
        self._after_epoch(runner, mode="train")

    def after_val_epoch(self, runner: Any, metrics: dict[str, Any] | None = None) -> None:
        """Run when a validation's ``metrics`` (name to value) are known."""
        self._after_epoch(runner, mode="val")

    def after_test_epoch(self, runner: Any, metrics: dict[str, Any] | None = None) -> None:
        """Run when a test's ``metrics`` (name to value) are known."""
        self._after_epoch(runner, mode="test")

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: DATA_BATCH = None) -> None:
        """Run before each training step; ``data_batch`` is what the loader gave."""
        self._before_iter(runner, batch_idx=batch_idx, data_batch=data_batch, mode="train")

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: DATA_BATCH = None) -> None:
        """Run before each validation step."""
        self._before_iter(runner, batch_idx=batch_idx, data_batch=data_batch, mode="val")

    def before_test_iter(self, runner: Any, batch_idx: int, data_batch: DATA_BATCH = None) -> None:
        """Run before each test step."""
        self._before_iter(runner, batch_idx=batch_idx, data_batch=data_batch, mode="test")

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Run after each training step; ``outputs`` holds the losses by name."""
        self._after_iter(
            runner, batch_idx=batch_idx, data_batch=data_batch, outputs=outputs, mode="train"
        )

    def after_val_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Run after each validation step; ``outputs`` are the predictions."""
        self._after_iter(
            runner, batch_idx=batch_idx, data_batch=data_batch, outputs=outputs, mode="val"
        )

    def after_test_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Run after each test step; ``outputs`` are the predictions."""
        self._after_iter(
            runner, batch_idx=batch_idx, data_batch=data_batch, outputs=outputs, mode="test"
        )

    def _before_epoch(self, runner: Any, mode: str = "train") -> None:
        """Run before the batches of any phase; ``mode`` is train, val or test."""

    def _after_epoch(self, runner: Any, mode: str = "train") -> None:
        """Run after the batches of any phase; ``mode`` is train, val or test."""

    def _before_iter(
        self, runner: Any, batch_idx: int, data_batch: DATA_BATCH = None, mode: str = "train"
    ) -> None:
        """Run before each step of any phase; ``mode`` is train, val or test."""

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: Sequence[Any] | dict[str, Any] | None = None,
        mode: str = "train",
    ) -> None:
        """Run after each step of any phase; ``mode`` is train, val or test."""

    def every_n_epochs(self, runner: Any, n: int, start: int = 0) -> bool:
        """Say whether this epoch, counted from 1 after ``start``, is a multiple of ``n``.

        False for ``n <= 0``. The epoch numbered ``start`` itself counts as one.
        """
        return _is_multiple(runner.epoch + 1 - start, n)

    def every_n_inner_iters(self, batch_idx: int, n: int) -> bool:
        """Say whether this batch, counted from 1 in its epoch, is a multiple of ``n``."""
        return n > 0 and (batch_idx + 1) % n == 0

    def every_n_train_iters(self, runner: Any, n: int, start: int = 0) -> bool:
        """Say whether this training step, counted from 1 after ``start``, is a multiple of ``n``.

        False for ``n <= 0``. The step numbered ``start`` itself counts as one.
        """
        return _is_multiple(runner.iter + 1 - start, n)

    def every_n_iters(self, runner: Any, n: int) -> bool:
        """Do what ``every_n_train_iters`` does; its name in MMEngine's first releases."""
        return self.every_n_train_iters(runner, n)

    def end_of_epoch(self, dataloader: Any, batch_idx: int) -> bool:
        """Say whether this is the last batch of ``dataloader``."""
        return bool(batch_idx + 1 == len(dataloader))

    def is_last_train_epoch(self, runner: Any) -> bool:
        """Say whether no training epoch follows this one."""
        return bool(runner.epoch + 1 == runner.max_epochs)

    def is_last_train_iter(self, runner: Any) -> bool:
        """Say whether no training step follows this one."""
        return bool(runner.iter + 1 == runner.max_iters)

    def get_triggered_stages(self) -> list[str]:
        """Return the points at which this hook does something, in the order of ``stages``.

        Differs: MMEngine's order is that of a set, which changes from process to process.
        """
        return [stage for stage in Hook.stages if self._overrides(stage)]

    @classmethod
    def _overrides(cls, stage: str) -> bool:
        return any(getattr(cls, method) is not getattr(Hook, method) for method in METHODS[stage])


def _is_multiple(number: int, n: int) -> bool:
    return n > 0 and number >= 0 and number % n == 0


# The methods that a point calls: its own and, in the phases, the shared one.
METHODS = {stage: [stage] for stage in Hook.stages} | {
    f"{when}_{mode}_{unit}": [f"{when}_{mode}_{unit}", f"_{when}_{unit}"]
    for when in ("before", "after")
    for unit in ("epoch", "iter")
    for mode in _MODES
}
