"""Wrappers and schedulers are built from whatever a config holds, and bound to Lightning."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.errors import ConfigError
from mm2pl.mmengine.optim import AmpOptimWrapper, LinearLR, OptimWrapper, OptimWrapperDict
from mm2pl.optim import (
    bind_to_lightning,
    make_optim_wrapper,
    make_schedulers,
    scale_learning_rates,
    scale_to_batch_size,
    torch_optimizers,
    unbind,
)

DEFAULTS = {"epoch_length": 5, "max_epochs": 3, "max_iters": 15}


def wrapper(lr: float = 0.1) -> OptimWrapper:
    return OptimWrapper(torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=lr))


def test_a_built_wrapper_passes_through():
    made = wrapper()
    assert make_optim_wrapper(nn.Linear(2, 1), made) is made


def test_a_built_optimizer_is_wrapped():
    optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1)
    assert make_optim_wrapper(nn.Linear(2, 1), {"optimizer": optimizer}).optimizer is optimizer


def test_built_wrappers_by_name_become_one_dict():
    parts = {"a": wrapper(), "b": wrapper()}
    made = make_optim_wrapper(nn.Linear(2, 1), parts)
    assert isinstance(made, OptimWrapperDict)
    assert dict(made.items()) == parts


@pytest.mark.parametrize("given", [{"a": wrapper(), "b": {"lr": 1}}, [1]])
def test_what_is_no_wrapper_is_refused(given):
    with pytest.raises(ConfigError, match="must be an OptimWrapper"):
        make_optim_wrapper(nn.Linear(2, 1), given)


def test_schedules_end_with_the_run_unless_they_say_when():
    linear: dict[str, Any] = {"type": "LinearLR", "start_factor": 0.5}
    by_epoch, by_iteration, own = make_schedulers(
        [linear, {**linear, "by_epoch": False}, {**linear, "end": 2}], wrapper(), DEFAULTS
    )
    assert (by_epoch.end, by_iteration.end, own.end) == (3, 15, 2)


def test_built_schedulers_pass_through():
    one = wrapper()
    scheduler = LinearLR(one, end=3)
    assert make_schedulers(scheduler, one, DEFAULTS) == [scheduler]


def test_each_optimizer_gets_its_own_schedules_or_the_common_ones():
    both = OptimWrapperDict(a=wrapper(), b=wrapper())
    linear, step = {"type": "LinearLR"}, {"type": "MultiStepLR", "milestones": [1]}
    own = make_schedulers({"a": linear, "b": [step]}, both, DEFAULTS)
    common = make_schedulers(linear, both, DEFAULTS)
    names = {name: [type(one).__name__ for one in made] for name, made in own.items()}
    assert names == {"a": ["LinearLR"], "b": ["MultiStepLR"]}
    assert common["a"][0] is not common["b"][0]


def test_every_group_of_every_optimizer_is_scaled():
    both = OptimWrapperDict(a=wrapper(0.1), b=wrapper(0.2))
    scale_learning_rates(both, 2.0)
    assert [one.param_groups[0]["lr"] for one in torch_optimizers(both)] == [0.2, 0.4]


def test_a_batch_size_rule_without_its_base_is_refused_with_the_key():
    with pytest.raises(AssertionError) as caught:
        scale_to_batch_size(wrapper(), 8, {"enable": True}, logging.getLogger("run"))
    assert isinstance(caught.value, ConfigError)
    assert caught.value.key_path == "auto_scale_lr.base_batch_size"


def test_an_optimizer_of_two_wrappers_is_listed_once():
    one = wrapper()
    shared = OptimWrapperDict(a=one, b=OptimWrapper(one.optimizer))
    assert torch_optimizers(shared) == [one.optimizer]


def test_binding_takes_over_backward_and_step_until_it_is_undone():
    class LightningOptimizer:
        def __init__(self, optimizer: torch.optim.Optimizer) -> None:
            self.optimizer = optimizer

        def step(self) -> None:
            calls.append("step")

    calls: list[str] = []
    one = wrapper()
    bind_to_lightning(
        one, lambda loss: calls.append("backward"), [LightningOptimizer(one.optimizer)]
    )
    weight = one.param_groups[0]["params"][0]
    before = weight.detach().clone()
    one.update_params(weight.sum())
    assert calls == ["backward", "step"]
    assert torch.equal(weight, before)
    unbind(one)
    one.update_params(weight.sum())
    assert not torch.equal(weight, before)


class ClosingOptimizer:
    """Gives each step a closure, as LightningOptimizer does, with the user's in it."""

    def __init__(self, optimizer: torch.optim.Optimizer, calls: list[str]) -> None:
        self.optimizer = optimizer
        self.calls = calls

    def step(self, closure: Any = None, **kwargs: Any) -> None:
        def around() -> Any:
            result = closure() if closure is not None else None
            self.calls.append("hooks")
            return result

        self.optimizer.step(closure=around, **kwargs)


@pytest.mark.parametrize("kind", [OptimWrapper, AmpOptimWrapper])
def test_a_step_gets_what_was_given_to_it_and_no_closure_of_lightnings(kind: Any):
    class Optimizer(torch.optim.SGD):
        def step(self, scale: float = 1.0) -> None:  # type: ignore[override]
            calls.append(f"step by {scale}")

    calls: list[str] = []
    net = nn.Linear(2, 1)
    one = kind(optimizer=Optimizer(net.parameters(), lr=0.1))
    bind_to_lightning(one, torch.Tensor.backward, [ClosingOptimizer(one.optimizer, calls)])
    one.update_params(net(torch.ones(1, 2)).sum(), step_kwargs={"scale": 0.5})
    one.update_params(net(torch.ones(1, 2)).sum())
    assert calls == ["hooks", "step by 0.5", "hooks", "step by 1.0"]
    assert "step" not in one.optimizer.__dict__


def test_a_closure_of_the_users_is_run_within_lightnings():
    calls: list[str] = []
    net = nn.Linear(2, 1)
    one = OptimWrapper(torch.optim.SGD(net.parameters(), lr=0.1))
    bind_to_lightning(one, torch.Tensor.backward, [ClosingOptimizer(one.optimizer, calls)])
    closure = lambda: calls.append("mine")  # noqa: E731
    one.update_params(net(torch.ones(1, 2)).sum(), step_kwargs={"closure": closure})
    assert calls == ["mine", "hooks"]


def test_there_is_nothing_to_unbind_before_a_wrapper_is_built():
    unbind({"optimizer": {"type": "SGD"}})
    unbind(None)


def test_schedules_of_a_name_that_no_optimizer_has_are_told(monkeypatch):
    monkeypatch.setattr("mm2pl.optim.print_log", lambda message, **_: told.append(message))
    told: list[str] = []
    both = OptimWrapperDict(a=wrapper(), b=wrapper())
    made = make_schedulers({"a": [], "b": [], "c": [{"type": "LinearLR"}]}, both, DEFAULTS)
    assert made == {"a": [], "b": []}
    assert told == [
        "param_scheduler.c has no effect: there is no optimizer of this name, only a, b"
    ]
