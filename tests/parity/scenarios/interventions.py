"""Hooks that step in at random: at any point, they stop, stretch, swap, run loops, save, freeze."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from case import Case, eval_loader, loader
from mmengine.hooks import Hook
from tracing import EVENTS

POINTS = ("before_train", "before_train_epoch", "before_train_iter", "after_train_iter")
POINTS += ("after_train_epoch", "before_val", "before_val_epoch", "before_val_iter")
POINTS += ("after_val_iter", "after_val_epoch", "after_val", "after_train")


def _lengthen(runner: Any, by: int) -> None:
    loop = runner.train_loop
    if hasattr(loop, "dataloader_iterator"):
        loop._max_iters = max(runner.iter + 1, loop._max_iters + 3 * by)
    else:
        loop._max_epochs = max(runner.epoch + 1, loop._max_epochs + by)


def _swap_training_data(runner: Any, share: float) -> None:
    section = {**loader(size=int(8 + 15 * share)), "drop_last": True}
    loop = runner.train_loop
    loop.dataloader = runner.build_dataloader(section, seed=3)
    if hasattr(loop, "dataloader_iterator"):
        loop.dataloader_iterator = type(loop.dataloader_iterator)(loop.dataloader)


def _swap_validation_data(runner: Any, share: float) -> None:
    section = eval_loader(size=int(5 + 10 * share))
    runner.val_loop.dataloader = runner.build_dataloader(section, seed=3)


def _remove_the_average(runner: Any, share: float) -> None:
    for hook in [one for one in runner.hooks if type(one).__name__ == "EMAHook"]:
        runner.hooks.remove(hook)


def _lower_the_rate(runner: Any, share: float) -> None:
    for group in runner.optim_wrapper.optimizer.param_groups:
        group["lr"] *= share


# What is done with the runner and a number from 0 to 1.
ACTIONS: dict[str, Callable[[Any, float], Any]] = {
    "stop": lambda runner, share: setattr(runner.train_loop, "stop_training", True),
    "do not stop": lambda runner, share: setattr(runner.train_loop, "stop_training", False),
    "longer": lambda runner, share: _lengthen(runner, 1),
    "shorter": lambda runner, share: _lengthen(runner, -1),
    "swap training data": _swap_training_data,
    "swap validation data": _swap_validation_data,
    "add a hook": lambda runner, share: runner.register_hook(
        {"type": "IterTracer", "tag": "added"}, priority="VERY_LOW"
    ),
    "remove the average": _remove_the_average,
    "test loop": lambda runner, share: runner.test_loop.run(),
    "save": lambda runner, share: runner.save_checkpoint(
        runner.work_dir, f"{share}.pth", by_epoch=share < 0.5
    ),
    "lower the rate": _lower_the_rate,
    "drop schedules": lambda runner, share: setattr(runner, "param_schedulers", []),
    "other interval": lambda runner, share: setattr(
        runner.train_loop, "val_interval", int(1 + 3 * share)
    ),
    "freeze": lambda runner, share: runner.model.first.requires_grad_(False) and None,
    "evaluation mode": lambda runner, share: runner.model.eval() and None,
}


class StepIn(Hook):
    """Does each planned action at a point's n-th time."""

    def __init__(self, draw: random.Random) -> None:
        self.times: Counter[str] = Counter()
        self.acting = False
        self.plan = []
        for _ in range(draw.randint(6, 9)):
            point = draw.choice(POINTS)
            latest = 9 if point.endswith("iter") else 2 if "val" in point else 1
            row = (point, draw.randint(1, latest), draw.choice([*ACTIONS]), draw.random())
            self.plan.append(row)

    def step_in(self, point: str, runner: Any) -> None:
        if self.acting:
            return
        self.times[point] += 1
        for planned, time, name, share in self.plan:
            if (planned, time) == (point, self.times[point]):
                self.acting = True
                result = ACTIONS[name](runner, share)
                self.acting = False
                place = {"at": point, "iter": runner.iter, "epoch": runner.epoch}
                EVENTS.append({"did": name, **place, "result": result})


def _at(point: str) -> Any:
    def method(self: StepIn, runner: Any, *args: Any, **kwargs: Any) -> None:
        self.step_in(point, runner)

    return method


for _point in POINTS:
    setattr(StepIn, _point, _at(_point))


def _train(case: Case, seed: int, by_epoch: bool) -> None:
    draw = random.Random(seed)
    changes: dict[str, Any] = {"train_cfg": {"by_epoch": True, "max_epochs": 3}}
    if not by_epoch:
        loop = {"type": "IterBasedTrainLoop", "max_iters": 9, "val_interval": 3}
        changes = {"train_cfg": loop}
        changes["train_dataloader"] = loader(sampler={"type": "InfiniteSampler"})
    checkpoint = {"type": "CheckpointHook", "interval": 2, "by_epoch": by_epoch}
    runner = case.runner(
        custom_hooks=[{"type": "EMAHook", "momentum": 0.1}],
        default_hooks={"logger": {"type": "LoggerHook", "interval": 2}, "checkpoint": checkpoint},
        param_scheduler={"type": "ExponentialLR", "gamma": 0.9, "by_epoch": False},
        **changes,
    )
    hook = StepIn(draw)
    runner.register_hook(hook, priority=draw.choice(["HIGHEST", "NORMAL", "VERY_LOW", "LOWEST"]))
    runner.train()
    case.note(runner.iter, runner.epoch, runner.max_iters, runner.max_epochs)


def into_epochs(case: Case) -> None:
    for seed in (1, 2, 35):
        _train(case, seed, by_epoch=True)


def into_iterations(case: Case) -> None:
    for seed in (4, 5, 6):
        _train(case, seed, by_epoch=False)


class PassBy(Hook):
    """Gives the loops loaders of another length, and takes them back before they are read."""

    def _train_on(self, runner: Any, size: int) -> None:
        section = {**loader(size=size), "drop_last": True}
        runner.train_loop.dataloader = runner.build_dataloader(section, seed=3)

    def _validate_on(self, runner: Any, size: int) -> None:
        runner.val_loop.dataloader = runner.build_dataloader(eval_loader(size=size), seed=3)

    def after_train_epoch(self, runner: Any) -> None:
        self._validate_on(runner, 8)

    def before_val(self, runner: Any) -> None:
        self._validate_on(runner, 13)

    def after_val(self, runner: Any) -> None:
        self._train_on(runner, 10)

    def before_train_epoch(self, runner: Any) -> None:
        self._train_on(runner, 22)


def loaders_that_pass_by(case: Case) -> None:
    runner = case.runner(train_dataloader=loader(drop_last=True))
    runner.register_hook(PassBy())
    runner.train()
    case.note(runner.iter)
