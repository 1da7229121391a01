"""The epoch loop: schedules, when it validates, when it stops."""

from __future__ import annotations

from typing import Any

from case import Case, loader
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

WARMUP = {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "begin": 0, "end": 7}


@HOOKS.register_module()
class StopAt(Hook):
    """Asks the loop to stop at an iteration."""

    def __init__(self, iteration: int, point: str = "after_train_iter") -> None:
        self.iteration = iteration
        self.point = point

    def before_train(self, runner: Any) -> None:
        self._stop("before_train", runner)

    def before_train_epoch(self, runner: Any) -> None:
        self._stop("before_train_epoch", runner)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        self._stop("before_train_iter", runner)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self._stop("after_train_iter", runner)

    def before_val(self, runner: Any) -> None:
        self._stop("before_val", runner)

    def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
        self._stop("after_val_epoch", runner)

    def _stop(self, point: str, runner: Any) -> None:
        if point == self.point and runner.iter >= self.iteration:
            runner.train_loop.stop_training = True


def warmup_and_multistep(case: Case) -> None:
    steps = {"type": "MultiStepLR", "by_epoch": True, "milestones": [1, 3], "gamma": 0.3, "end": 4}
    case.train(
        train_cfg={"by_epoch": True, "max_epochs": 4, "val_interval": 1},
        param_scheduler=[WARMUP, steps],
    )


def warmup_and_step(case: Case) -> None:
    case.train(param_scheduler=[WARMUP, {"type": "StepLR", "step_size": 2, "gamma": 0.5}])


def no_scheduler(case: Case) -> None:
    case.train()


def no_validation(case: Case) -> None:
    case.train(val_dataloader=None, val_cfg=None, val_evaluator=None)


def val_begin_and_interval_that_do_not_divide(case: Case) -> None:
    case.train(train_cfg={"by_epoch": True, "max_epochs": 5, "val_begin": 2, "val_interval": 3})


def val_begin_after_the_end(case: Case) -> None:
    case.train(train_cfg={"by_epoch": True, "max_epochs": 2, "val_begin": 9})


def dynamic_intervals(case: Case) -> None:
    case.train(
        train_cfg={
            "type": "EpochBasedTrainLoop",
            "max_epochs": 7,
            "val_interval": 4,
            "dynamic_intervals": [(4, 2), (6, 1)],
        }
    )


def one_batch_an_epoch(case: Case) -> None:
    case.train(train_dataloader=loader(size=4), train_cfg={"by_epoch": True, "max_epochs": 4})


def drop_last(case: Case) -> None:
    case.train(train_dataloader=loader(drop_last=True))


def stopped_in_mid_epoch(case: Case) -> None:
    """The loop looks at ``stop_training`` between epochs only."""
    case.train(custom_hooks=[{"type": "StopAt", "iteration": 8}])


def stopped_before_the_first_step(case: Case) -> None:
    hook = {"type": "StopAt", "iteration": 0, "point": "before_train_iter"}
    case.train(custom_hooks=[hook])


def stopped_by_validation(case: Case) -> None:
    hook = {"type": "StopAt", "iteration": 7, "point": "after_val_epoch"}
    case.train(custom_hooks=[hook], train_cfg={"by_epoch": True, "max_epochs": 5})


def stopped_before_validation(case: Case) -> None:
    hook = {"type": "StopAt", "iteration": 7, "point": "before_val"}
    case.train(custom_hooks=[hook], train_cfg={"by_epoch": True, "max_epochs": 5})


def stopped_before_training(case: Case) -> None:
    case.train(custom_hooks=[{"type": "StopAt", "iteration": 0, "point": "before_train"}])


def stopped_before_an_epoch(case: Case) -> None:
    hook = {"type": "StopAt", "iteration": 6, "point": "before_train_epoch"}
    case.train(custom_hooks=[hook])


def stopped_and_trained_again(case: Case) -> None:
    """``stop_training`` stays set."""
    runner = case.train(custom_hooks=[{"type": "StopAt", "iteration": 4}])
    runner.train()


def trained_twice(case: Case) -> None:
    """A second ``train()`` on a finished runner runs no iteration."""
    runner = case.train(train_cfg={"by_epoch": True, "max_epochs": 1})
    runner.train()
