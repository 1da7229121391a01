"""``trainer = dict(schedule_per_update=True)``: schedules count updates of the optimizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.cli.trainer_options import parse
from mm2pl.errors import CheckpointError, ConfigError
from mm2pl.flexible_runner import FlexibleRunner
from mm2pl.mmengine.hooks import CheckpointHook
from mm2pl.mmengine.model import BaseModel
from mm2pl.mmengine.optim import AmpOptimWrapper, ExponentialLR, OptimWrapper, OptimWrapperDict
from mm2pl.mmengine.optim.scheduler._per_update import EpochOfUpdates, step_per_update
from mm2pl.runner import Runner
from mm2pl.translate import translate
from tests.unit import schedule_runs
from tests.unit.schedule_runs import UPDATES, Watched, endless, validation

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec")


class Pair(BaseModel):
    """Two optimizers: the critic runs at every iteration, the actor at every second one, twice."""

    def __init__(self) -> None:
        super().__init__()
        self.critic, self.actor = nn.Linear(2, 1), nn.Linear(2, 1)
        self.steps = 0

    def forward(self, inputs, target, mode="tensor"):
        return [self.critic(inputs)]

    def train_step(self, data, optim_wrapper):
        data = self.data_preprocessor(data, True)
        loss = self.critic(data["inputs"]).square().mean()
        optim_wrapper["critic"].update_params(loss)
        for _ in range(2 * (self.steps % 2)):
            optim_wrapper["actor"].update_params(self.actor(data["inputs"]).square().mean())
        self.steps += 1
        return {"loss": loss}


class Both:
    """Constructor of the two wrappers."""

    def __init__(self, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> None:
        self.cfg = optim_wrapper_cfg

    def __call__(self, model: Any) -> OptimWrapperDict:
        def wrapper(name: str) -> OptimWrapper:
            optimizer = Watched(getattr(model, name).parameters(), name=name, lr=1.0)
            return OptimWrapper(optimizer, accumulative_counts=self.cfg[name])

        return OptimWrapperDict(critic=wrapper("critic"), actor=wrapper("actor"))


@pytest.fixture(autouse=True)
def forget() -> None:
    UPDATES.clear()


PER_UPDATE = {"schedule_per_update": True}


def train(folder: Path, **settings: Any) -> Runner:
    return schedule_runs.train(folder, **{"trainer": PER_UPDATE, **settings})


ITERATIONS = {"by_epoch": False, "begin": 2}
SCHEDULES: dict[str, Any] = {
    "to the default end": {"type": "CosineAnnealingLR", "by_epoch": False, "eta_min": 0.01},
    "by iteration": {"type": "MultiStepLR", "milestones": [3, 7], **ITERATIONS},
    "converted from epochs": {
        "type": "CosineAnnealingLR",
        "begin": 1,
        "T_max": 2,
        "end": 3,
        "convert_to_iter_based": True,
    },
    "milestones converted from epochs": {
        "type": "MultiStepLR",
        "milestones": [1, 3],
        "convert_to_iter_based": True,
    },
    "by epoch": {"type": "ExponentialLR", "gamma": 0.5},
    "of the momentum": {"type": "LinearMomentum", "start_factor": 0.2, "by_epoch": False, "end": 9},
    "a cycle": {"type": "OneCycleLR", "eta_max": 2.0, "total_steps": 20, "by_epoch": False},
    "torch's": {
        "type": "torch.optim.lr_scheduler.CosineAnnealingWarmRestarts",
        "T_0": 3,
        **ITERATIONS,
    },
    "a warm-up and what follows": [
        {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 4},
        {"type": "PolyLR", "power": 0.9, "by_epoch": False, "begin": 4},
    ],
}


SLOW = pytest.mark.slow
FAST = ("to the default end", "milestones converted from epochs", "torch's")


@pytest.mark.proves("trainer.schedule_per_update")
@pytest.mark.parametrize(
    "schedule",
    [
        pytest.param(one, id=name, marks=() if name in FAST else SLOW)
        for name, one in SCHEDULES.items()
    ],
)
def test_accumulation_over_4_is_scheduled_as_batches_4_times_as_large(
    schedule: Any, tmp_path: Path
) -> None:
    large = train(tmp_path / "a", batch=16, param_scheduler=schedule, trainer=None)
    expected, UPDATES[""] = UPDATES[""], []
    small = train(tmp_path / "b", batch=4, accumulate=4, param_scheduler=schedule)
    assert len(expected) == 20
    assert UPDATES[""] == expected
    assert len({*expected}) > 1
    torch.testing.assert_close(small.model.fc.weight, large.model.fc.weight)


def test_the_iteration_loop_counts_updates_too(tmp_path: Path) -> None:
    loop = {"type": "IterBasedTrainLoop", "max_iters": 10}
    linear = {"type": "LinearLR", "start_factor": 0.5, "by_epoch": False}
    train(
        tmp_path,
        batch=4,
        accumulate=4,
        param_scheduler=linear,
        train_cfg=loop,
        train_dataloader=endless(),
    )
    # Ten iterations by fours are 3 updates: the last window is shorter, and counts.
    assert [rate for rate, _ in UPDATES[""]] == [0.5, 0.75, 1.0]


@pytest.mark.filterwarnings("ignore:scheduler.step\\(\\) was called before")
def test_without_it_schedules_step_per_iteration_as_mmengines_do(tmp_path: Path) -> None:
    decay = {"type": "ExponentialLR", "gamma": 0.5, "by_epoch": False}
    train(tmp_path, batch=20, accumulate=4, param_scheduler=decay, trainer=None)
    assert [rate for rate, _ in UPDATES[""]] == [0.5 ** (4 * n + 3) for n in range(4)]


def test_an_epoch_without_a_whole_number_of_updates_keeps_its_border(tmp_path: Path) -> None:
    steps = {"type": "MultiStepLR", "milestones": [1, 2], "convert_to_iter_based": True}
    train(tmp_path, batch=8, accumulate=4, param_scheduler=[{**steps, "gamma": 0.5}])
    # 10 iterations an epoch: the borders at 10 and 20 fall into update 2, and before update 5.
    assert [rate for rate, _ in UPDATES[""]] == [1.0] * 2 + [0.5] * 3 + [0.25] * 5


def test_each_optimizer_has_updates_of_its_own(tmp_path: Path) -> None:
    decay = {"type": "ExponentialLR", "gamma": 0.5, "by_epoch": False, "end": 100}
    train(
        tmp_path,
        batch=8,
        param_scheduler={"critic": decay, "actor": decay},
        model={"type": Pair},
        optim_wrapper={"constructor": Both, "critic": 4, "actor": 1},
        train_cfg={"by_epoch": True, "max_epochs": 1},
    )
    # Of 10 iterations two windows of the critic are whole; the actor steps twice in every second.
    assert [rate for rate, _ in UPDATES["critic"]] == [1.0, 0.5]
    both = [0.25**n for n in range(5)]
    assert [rate for rate, _ in UPDATES["actor"]] == [rate for rate in both for _ in range(2)]


def test_a_plateau_still_waits_for_validations(tmp_path: Path) -> None:
    plateau = {"type": "ReduceOnPlateauLR", "monitor": "score", "patience": 0, "factor": 0.5}
    train(
        tmp_path,
        batch=8,
        accumulate=4,
        param_scheduler=plateau,
        **validation(),
    )
    assert [rate for rate, _ in UPDATES[""]] == [1.0] * 5 + [0.5] * 2 + [0.25] * 3


def saved(folder: Path, every: int, **changes: Any) -> None:
    train(
        folder,
        batch=4,
        accumulate=4,
        param_scheduler=SCHEDULES["to the default end"],
        default_hooks={
            "checkpoint": {"type": CheckpointHook, "interval": every, "by_epoch": False}
        },
        train_dataloader=endless(),
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": 80},
        **changes,
    )


@pytest.mark.parametrize("at", [pytest.param(40, marks=SLOW), 42])  # the second is inside a window
def test_a_resumed_run_goes_on_as_if_it_had_not_stopped(at: int, tmp_path: Path) -> None:
    saved(tmp_path, at)
    whole, UPDATES[""] = UPDATES[""], []
    saved(tmp_path, 100, load_from=str(tmp_path / f"iter_{at}.pth"), resume=True)
    assert len(whole) == 20
    assert UPDATES[""] == whole[10:]


@pytest.mark.filterwarnings("ignore:scheduler.step\\(\\) was called before")
@pytest.mark.parametrize("first", [None, PER_UPDATE])
def test_states_that_count_something_else_are_refused(first: Any, tmp_path: Path) -> None:
    saved(tmp_path, 40, trainer=first)
    other = None if first else PER_UPDATE
    with pytest.raises(CheckpointError, match=r"trainer\.schedule_per_update"):
        saved(tmp_path, 100, trainer=other, load_from=str(tmp_path / "iter_40.pth"), resume=True)


def test_an_update_that_the_loss_scaler_skips_counts() -> None:
    layer = nn.Linear(1, 1)
    wrapper = AmpOptimWrapper(optimizer=torch.optim.SGD(layer.parameters(), lr=1.0))
    before = layer.weight.detach().clone()
    decay = ExponentialLR(wrapper, gamma=0.5, by_epoch=False)
    wrapper.update_params(layer(torch.ones(1, 1)).sum() * float("inf"))
    step_per_update([decay])
    assert torch.equal(layer.weight, before)
    assert wrapper.get_lr() == {"lr": [0.5]}


def test_a_library_s_schedule_gets_whole_numbers_of_updates_too() -> None:
    """It multiplies the length of an epoch in a ``build_iter_from_epoch`` of its own."""
    epoch = EpochOfUpdates(10, 4, 35)
    assert [int(count * epoch) for count in (1, 2, 3, 3.5)] == [2, 5, 7, 9]
    assert [epoch * count for count in (1, 0)] == [2, 0]
    assert (epoch > 0, int(epoch)) == (True, 3)


@pytest.mark.slow
def test_the_flexible_runner_counts_updates_too(tmp_path: Path) -> None:
    linear = {"type": "LinearLR", "start_factor": 0.5, "by_epoch": False}
    loop = {"by_epoch": True, "max_epochs": 1}
    train(
        tmp_path,
        batch=8,
        accumulate=4,
        param_scheduler=linear,
        train_cfg=loop,
        kind=FlexibleRunner,
    )
    assert [rate for rate, _ in UPDATES[""]] == [0.5, 0.75, 1.0]


def test_the_command_line_has_it_too() -> None:
    assert parse(["--trainer.schedule_per_update=true"]) == PER_UPDATE


@pytest.mark.parametrize("given", [1, "yes"])
def test_it_is_a_switch(given: Any) -> None:
    with pytest.raises(ConfigError, match="must be True or False"):
        translate({"model": {}, "trainer": {"schedule_per_update": given}})
