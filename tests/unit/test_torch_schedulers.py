"""Torch's own schedules in ``param_scheduler`` change an optimizer as they do on torch alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam, Optimizer, lr_scheduler

from mm2pl.errors import ConfigError, ConfigKeyError, ConfigTypeError, UnsupportedError
from mm2pl.mmengine.optim import OptimWrapper
from mm2pl.optim import make_schedulers
from mm2pl.torch_schedulers import TorchSchedule

LENGTHS = {"max_epochs": 30, "max_iters": 30, "epoch_length": 10}
PREFIX = "torch.optim.lr_scheduler."
SCHEDULES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 3}),
    ("MultiStepLR", {"milestones": [4, 9]}),
    ("ConstantLR", {"total_iters": 4}),
    ("LinearLR", {}),
    ("ExponentialLR", {"gamma": 0.9}),
    ("PolynomialLR", {"total_iters": 9}),
    ("CosineAnnealingLR", {"T_max": 10}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4}),
    ("CyclicLR", {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 30}),
    ("LambdaLR", {"lr_lambda": lambda step: 0.9**step}),
    ("MultiplicativeLR", {"lr_lambda": lambda step: 0.95}),
]


def _optimizer(kind: Callable[..., Optimizer] = SGD) -> Optimizer:
    first, second = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    options = {"momentum": 0.9} if kind is SGD else {}
    return kind([{"params": [first], "lr": 0.2}, {"params": [second]}], lr=0.1, **options)


def _options(optimizer: Optimizer) -> list[dict[str, Any]]:
    return [{k: v for k, v in one.items() if k != "params"} for one in optimizer.param_groups]


def _made(wrapper: OptimWrapper, name: str, **arguments: Any) -> TorchSchedule:
    cfg = {"type": PREFIX + name, "by_epoch": False, **arguments}
    made = make_schedulers([cfg], wrapper, LENGTHS)
    assert isinstance(made, list)
    assert isinstance(made[0], TorchSchedule)
    return made[0]


@pytest.mark.parametrize("kind", [SGD, Adam])
@pytest.mark.parametrize(("name", "arguments"), SCHEDULES)
def test_every_option_of_every_group_is_as_on_torch_alone(
    name: str, arguments: dict[str, Any], kind: Any
) -> None:
    alone = _optimizer(kind)
    schedule = getattr(lr_scheduler, name)(alone, **arguments)
    wrapper = OptimWrapper(_optimizer(kind))
    ours = _made(wrapper, name, **arguments)
    for _ in range(25):
        assert _options(wrapper.optimizer) == _options(alone)
        alone.step()
        schedule.step()
        ours.step()


@pytest.mark.parametrize(("name", "arguments"), SCHEDULES)
def test_a_resumed_schedule_goes_on_where_it_was(name: str, arguments: dict[str, Any]) -> None:
    first, second = OptimWrapper(_optimizer()), OptimWrapper(_optimizer())
    whole = _made(first, name, **arguments)
    for _ in range(7):
        whole.step()
    resumed = _made(second, name, **arguments)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    resumed.load_state_dict(whole.state_dict())
    for _ in range(7):
        whole.step()
        resumed.step()
        assert _options(second.optimizer) == _options(first.optimizer)
    assert resumed.get_last_value() == whole.get_last_value()


def test_it_waits_for_its_begin_and_stops_at_its_end() -> None:
    wrapper = OptimWrapper(_optimizer())
    ours = _made(wrapper, "ExponentialLR", gamma=0.5, begin=2, end=5)
    rates = []
    for _ in range(7):
        rates.append(wrapper.get_lr()["lr"][0])
        ours.step()
    assert rates == [0.2, 0.2, 0.2, 0.1, 0.05, 0.05, 0.05]


def test_a_begin_before_the_training_is_its_begin_as_with_mmengines() -> None:
    rates = []
    for begin in (0, -2):
        wrapper = OptimWrapper(_optimizer())
        made = _made(wrapper, "ExponentialLR", gamma=0.5, begin=begin, end=3)
        seen = []
        for _ in range(5):
            wrapper.step()
            made.step()
            seen.append(wrapper.get_lr())
        rates.append(seen)
    assert rates[0] == rates[1]


def test_it_follows_a_warm_up_of_mmengines() -> None:
    wrapper = OptimWrapper(_optimizer())
    warm_up = {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 3}
    decay = {"type": PREFIX + "ExponentialLR", "gamma": 0.5, "by_epoch": False, "begin": 3}
    both = make_schedulers([warm_up, decay], wrapper, LENGTHS)
    rates = []
    for _ in range(6):
        rates.append(round(wrapper.get_lr()["lr"][0], 6))
        wrapper.step()
        for one in both:
            one.step()  # type: ignore[attr-defined]
    assert rates == [0.02, 0.11, 0.2, 0.2, 0.1, 0.05]


def test_it_ends_with_the_training_unless_it_says_otherwise() -> None:
    assert _made(OptimWrapper(_optimizer()), "StepLR", step_size=3).end == LENGTHS["max_iters"]


def test_a_class_stands_for_its_name() -> None:
    cfg = {"type": lr_scheduler.StepLR, "step_size": 2}
    made = make_schedulers(cfg, OptimWrapper(_optimizer()), LENGTHS)
    assert isinstance(made, list)
    assert isinstance(made[0], TorchSchedule)
    assert made[0].by_epoch


def test_the_plateau_follows_its_metric_as_on_torch_alone() -> None:
    alone = _optimizer()
    plateau = lr_scheduler.ReduceLROnPlateau(alone, mode="max", patience=1)
    wrapper = OptimWrapper(_optimizer())
    arguments: dict[str, Any] = {"mode": "max", "patience": 1, "monitor": "accuracy"}
    ours = _made(wrapper, "ReduceLROnPlateau", by_epoch=True, **arguments)
    for value in (0.1, 0.3, 0.2, 0.2, 0.2, 0.1, 0.1):
        plateau.step(value)
        ours.step()
        ours.step({"accuracy": value, "loss": 1.0})
        assert wrapper.get_lr()["lr"] == [one["lr"] for one in alone.param_groups]
    assert wrapper.get_lr()["lr"][0] < 0.2


def test_it_changes_a_bare_optimizer_of_torchs_too() -> None:
    bare = _optimizer()
    ours = TorchSchedule(bare, lr_scheduler.ExponentialLR, gamma=0.5)
    ours.step()
    assert [one["lr"] for one in bare.param_groups] == [0.1, 0.05]


def test_a_metric_that_is_not_evaluated_is_named() -> None:
    ours = _made(OptimWrapper(_optimizer()), "ReduceLROnPlateau", by_epoch=True, monitor="acuracy")
    with pytest.raises(ConfigKeyError, match="Did you mean: accuracy"):
        ours.step({"accuracy": 0.5})


@pytest.mark.parametrize(
    ("cfg", "error", "message"),
    [
        ({"type": PREFIX + "StepLr", "step_size": 2}, ConfigKeyError, "Did you mean: StepLR"),
        ({"type": PREFIX + "StepLR", "step_sise": 2}, ConfigTypeError, "Did you mean: step_size"),
        ({"type": "CyclicLR"}, ConfigKeyError, f"Did you mean: {PREFIX}CyclicLR"),
        (
            {"type": PREFIX + "OneCycleLR", "max_lr": 1.0, "total_steps": 5, "by_epoch": False},
            ConfigError,
            "set end=5, or total_steps=30",
        ),
        ({"type": PREFIX + "StepLR"}, TypeError, "step_size"),
        ({"type": PREFIX + "StepLR", "begin": 5}, TypeError, "step_size"),
        ({"type": PREFIX + "StepLR", "step_size": 2, "begin": 5, "end": 5}, ConfigError, "end"),
        (
            {"type": PREFIX + "StepLR", "step_size": 2, "convert_to_iter_based": True},
            UnsupportedError,
            "by_epoch=False",
        ),
        ({"type": PREFIX + "StepLR", "step_size": 2, "monitor": "x"}, ConfigError, "no metric"),
        ({"type": PREFIX + "ReduceLROnPlateau"}, ConfigTypeError, "monitor='accuracy'"),
        (
            {"type": PREFIX + "ReduceLROnPlateau", "monitor": "x", "by_epoch": False},
            ConfigError,
            "by epoch only",
        ),
        ({"type": PREFIX + "SequentialLR"}, UnsupportedError, "one by one"),
    ],
)
def test_a_wrong_use_is_an_error_that_says_what_to_do(
    cfg: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        make_schedulers([cfg], OptimWrapper(_optimizer()), LENGTHS)
