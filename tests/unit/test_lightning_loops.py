"""Lean steps beside Lightning's own: the same calls, counters, metrics and weights."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.profilers import PassThroughProfiler
from torch import nn

from mm2pl import _lightning_loops
from mm2pl._lightning import NullProfiler
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.dataset import default_collate
from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.model import BaseModel
from mm2pl.runner import Runner

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec")
EPOCHS = {"by_epoch": True, "max_epochs": 2}
ITERATIONS = {"by_epoch": False, "max_iters": 8, "val_interval": 3}
POINTS = [
    f"on_{name}"
    for name in (
        "train_batch_start",
        "before_backward",
        "after_backward",
        "before_optimizer_step",
        "train_batch_end",
        "validation_start",
        "validation_batch_start",
        "validation_batch_end",
        "validation_end",
        "test_batch_start",
        "test_batch_end",
        "train_epoch_end",
    )
]


class Points(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 10

    def __getitem__(self, index: int) -> Any:
        return {"inputs": torch.tensor([index / 10, 1.0])}


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 1)

    def forward(self, inputs, mode="tensor"):
        out = self.fc(inputs)
        if mode == "predict":
            return list(out)
        return {"loss": (out - 1).square().mean(), "bias": self.fc.bias.detach().clone()}


class Mean(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [float(one) for one in data_samples]

    def compute_metrics(self, results):
        return {"mean": sum(results) / len(results)}


class Record(pl.Callback):
    """Notes at each point what a callback can see there, and logs a value."""

    def __init__(self) -> None:
        self.seen: list[Any] = []


def _noting(point: str) -> Any:
    def note(self: Record, trainer: Any, module: Any, *arguments: Any) -> None:
        loop = trainer.fit_loop.epoch_loop
        evaluation = trainer._evaluation_loop if trainer.evaluating else loop.val_loop
        if "batch" in point or "backward" in point:
            module.log(f"{point}/logged", float(len(self.seen)))
        self.seen.append(
            (
                point,
                module._current_fx_name,
                [_plain(one) for one in arguments],
                _plain(dict(trainer.callback_metrics)),
                _plain(dict(trainer.logged_metrics)),
                trainer.global_step,
                trainer.is_last_batch,
                loop.batch_progress.state_dict(),
                loop._batches_that_stepped,
                evaluation.batch_progress.state_dict(),
                dict(evaluation._seen_batches_per_dataloader),
            )
        )

    return note


for _point in POINTS:
    setattr(Record, _point, _noting(_point))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, torch.Tensor):
        return value.tolist(), value.requires_grad
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value if isinstance(value, (int, float, str)) else type(value).__name__


def loader() -> dict[str, Any]:
    return {
        "batch_size": 2,
        "dataset": Points(),
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": default_collate,
    }


def runner_of(folder: Path, train_cfg: dict[str, Any], name: str, **settings: Any) -> Runner:
    torch.manual_seed(0)
    arguments: dict[str, Any] = {
        "train_dataloader": loader(),
        "train_cfg": train_cfg,
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}, "clip_grad": {"max_norm": 1.0}},
        "val_dataloader": loader(),
        "val_cfg": {},
        "val_evaluator": [Mean()],
        "test_dataloader": [loader(), loader()],
        "test_cfg": {},
        "test_evaluator": [[Mean()], [Mean()]],
        "log_processor": {"by_epoch": train_cfg["by_epoch"]},
        "experiment_name": f"{folder.name}_{name}",
        "randomness": {"seed": 0},
    }
    return Runner(Line(), str(folder / name), **arguments | settings)


def run(folder: Path, train_cfg: dict[str, Any], name: str, **settings: Any) -> Any:
    """Train and test; return what a callback saw, the weights, and the logged scalars."""
    runner = runner_of(folder, train_cfg, name, **settings)
    record = Record()
    runner.trainer.callbacks.append(record)  # type: ignore[attr-defined]
    runner.train()
    runner.test()
    scalars = {
        name: history.data[0].tolist()
        for name, history in runner.message_hub.log_scalars.items()
        if "time" not in name
    }
    return record.seen, _plain(dict(runner.model.state_dict())), scalars


@pytest.mark.parametrize("counts", [1, 2])
@pytest.mark.parametrize("train_cfg", [EPOCHS, ITERATIONS], ids=["epochs", "iterations"])
def test_callbacks_see_what_they_see_in_lightnings_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train_cfg: dict[str, Any], counts: int
) -> None:
    wrapper = {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": counts}
    lean = run(tmp_path, train_cfg, "lean", optim_wrapper=wrapper)
    monkeypatch.setattr(_lightning_loops, "nobody_listens", lambda trainer, module: False)
    full = run(tmp_path, train_cfg, "full", optim_wrapper=wrapper)
    for ours, lightnings in zip(lean[0], full[0], strict=True):
        assert ours == lightnings
    assert lean[1:] == full[1:]
    assert {seen[0] for seen in lean[0]} == set(POINTS)


class Peek(Hook):
    """Notes at every iteration whether the steps are lean, and may do something at one."""

    def __init__(self, act: Any = None) -> None:
        self.lean: list[bool] = []
        self.act = act

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        self.lean.append(runner.trainer.fit_loop.epoch_loop.module is runner.module)
        if self.act is not None and len(self.lean) == 2:
            self.act(runner)

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        self.lean.append(runner.trainer._evaluation_loop.module is runner.module)


@pytest.mark.parametrize("train_cfg", [EPOCHS, ITERATIONS], ids=["epochs", "iterations"])
def test_the_steps_of_a_plain_run_are_lean(tmp_path: Path, train_cfg: dict[str, Any]) -> None:
    peek = Peek()
    runner_of(tmp_path, train_cfg, "run", custom_hooks=[peek]).train()
    assert peek.lean
    assert all(peek.lean)


class Listening(PassThroughProfiler):
    """Notes what is measured."""

    def __init__(self) -> None:
        super().__init__()
        self.actions: list[str] = []

    def start(self, action_name: str) -> None:
        self.actions.append(action_name)


def test_a_profiler_is_told_of_each_part(tmp_path: Path) -> None:
    cfg = Config({"trainer": {"profiler": {"type": "SimpleProfiler"}}})
    runner = runner_of(tmp_path, EPOCHS, "run", cfg=cfg)
    runner.train()
    seconds = runner.trainer.profiler.recorded_durations  # type: ignore[attr-defined]
    assert len(seconds["optimizer_step"]) == 10
    assert len(seconds["[_TrainingEpochLoop].train_dataloader_next"]) == 10
    assert len(seconds["[Callback]HookCallback.on_train_batch_end"]) == 10


def test_a_profiler_that_comes_in_mid_run_is_told_of_what_follows(tmp_path: Path) -> None:
    profiler = Listening()

    def bring(runner: Any) -> None:
        runner.trainer.profiler = profiler

    runner_of(tmp_path, ITERATIONS, "run", custom_hooks=[Peek(bring)]).train()
    assert profiler.actions.count("run_training_batch") == 6
    assert profiler.actions.count("[Strategy]SingleDeviceStrategy.validation_step") == 15


def test_a_debug_log_is_told_of_each_call(tmp_path: Path) -> None:
    log = logging.getLogger("lightning.pytorch.trainer.call")
    level = log.level
    log.setLevel(logging.DEBUG)
    try:
        runner_of(tmp_path, EPOCHS, "run", custom_hooks=[peek := Peek()]).train()
    finally:
        log.setLevel(level)
    assert not any(peek.lean)


def test_the_steps_of_a_lightning_that_was_not_looked_at_are_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning.__version__", "2.7.0rc1")
    runner_of(tmp_path, EPOCHS, "run", custom_hooks=[peek := Peek()]).train()
    assert not any(peek.lean)


@pytest.mark.parametrize("point", ["on_train_batch_start", "on_after_backward"])
def test_a_module_with_a_point_of_its_own_gets_it(tmp_path: Path, point: str) -> None:
    runner = runner_of(tmp_path, EPOCHS, "run", custom_hooks=[peek := Peek()])
    calls: list[int] = []
    runner.module.__dict__[point] = lambda *args: calls.append(1)
    runner.train()
    assert not any(peek.lean)
    assert len(calls) == 10


def test_a_callback_that_comes_in_mid_run_gets_its_points(tmp_path: Path) -> None:
    record = Record()

    def bring(runner: Any) -> None:
        runner.trainer.callbacks.append(record)

    runner_of(tmp_path, ITERATIONS, "run", custom_hooks=[Peek(bring)]).train()
    assert sum(seen[0] == "on_train_batch_end" for seen in record.seen) == 7


def test_an_error_in_a_lean_step_is_the_users(tmp_path: Path) -> None:
    def fail(runner: Any) -> None:
        raise ArithmeticError("of a hook")

    with pytest.raises(ArithmeticError, match="of a hook"):
        runner_of(tmp_path, EPOCHS, "run", custom_hooks=[Peek(fail)]).train()


def test_the_profiler_of_a_plain_run_measures_nothing(tmp_path: Path) -> None:
    assert type(runner_of(tmp_path, EPOCHS, "run").trainer.profiler) is NullProfiler  # type: ignore[attr-defined]
