"""Runs, hooks and scripts of MMEngine's first releases."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.errors import ConfigRuntimeError
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.dataset import DefaultSampler, default_collate
from mm2pl.mmengine.hooks import EMAHook, Hook, LoggerHook, NaiveVisualizationHook
from mm2pl.mmengine.model import BaseModel
from mm2pl.mmengine.registry import HOOKS, MODELS
from mm2pl.runner import Runner
from mm2pl.runner_older import batch_size

CLIP = {"max_norm": 0.5}
SGD = {"type": "SGD", "lr": 0.01}


class Points(torch.utils.data.Dataset):  # type: ignore[type-arg]
    metainfo: dict[str, Any] = {}

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> Any:
        return {"inputs": torch.tensor([float(index), 1.0])}


class Half(BaseModel):
    """A model half of which the loss does not depend on."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Linear(2, 1)
        self.unused = nn.Linear(2, 3)
        self.frozen = nn.Linear(2, 3).requires_grad_(False)

    def forward(self, inputs: Any, mode: str = "tensor") -> Any:
        out = self.used(inputs)
        return {"loss": (out**2).mean(), "bound": torch.ones(())} if mode == "loss" else [out]


class CheckInvalidLossHook(Hook):
    """The hook of the first tutorial, as it stood there."""

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self.seen: list[Any] = []

    def after_train_iter(self, runner, data_batch):  # type: ignore[no-untyped-def, override]
        if self.every_n_iters(runner, self.interval):
            assert torch.isfinite(runner.outputs["loss"])
            self.seen.append((runner.iter, data_batch["inputs"].shape[0], runner.outputs))


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    HOOKS.register_module(module=CheckInvalidLossHook)
    MODELS.register_module(module=Half)
    yield
    HOOKS.module_dict.pop("CheckInvalidLossHook")
    MODELS.module_dict.pop("Half")


def settings(folder: Path, **changes: Any) -> dict[str, Any]:
    loader = {
        "batch_size": 2,
        "dataset": {"type": Points},
        "sampler": {"type": DefaultSampler, "shuffle": False},
        "collate_fn": {"type": default_collate},
    }
    return {
        "model": {"type": "Half"},
        "work_dir": str(folder),
        "train_dataloader": loader,
        "train_cfg": {"by_epoch": True, "max_epochs": 2},
        "optimizer": SGD,
        "randomness": {"seed": 0},
        **changes,
    }


def log_of(runner: Runner) -> str:
    (file,) = Path(runner.log_dir).glob("*.log")
    return file.read_text()


def hook_of(runner: Runner, kind: type) -> Any:
    return next(hook for hook in runner.hooks if isinstance(hook, kind))


def test_the_first_tutorial_runs_as_it_stands(tmp_path: Path) -> None:
    runner = Runner(
        **settings(tmp_path),
        scheduler={"type": "MultiStepLR", "by_epoch": True, "milestones": [1], "gamma": 0.1},
        default_hooks={
            "optimizer": {"type": "OptimizerHook", "grad_clip": CLIP},
            "logger": {"type": "TextLoggerHook", "interval": 1},
        },
        custom_hooks={"type": "CheckInvalidLossHook", "interval": 2, "priority": "ABOVE_NORMAL"},
    )
    runner.run()
    hook = hook_of(runner, CheckInvalidLossHook)
    assert [(step, size) for step, size, _ in hook.seen] == [(1, 2), (3, 1), (5, 2), (7, 1)]
    assert runner.optim_wrapper.clip_grad_kwargs == CLIP
    assert runner.optim_wrapper.get_lr()["lr"] == [pytest.approx(0.001)]
    assert hook_of(runner, LoggerHook).interval == 1
    assert "grad_norm" in log_of(runner)


def test_a_runner_is_importable_from_the_top_of_mmengine() -> None:
    from mm2pl import mmengine

    assert mmengine.Runner is Runner
    assert mmengine.HOOKS is HOOKS
    assert "Runner" not in mmengine.__all__


def test_one_line_warns_of_all_older_forms(tmp_path: Path) -> None:
    changes = {
        "default_hooks": {"optimizer": {"type": "OptimizerHook", "grad_clip": CLIP}},
        "checkpoint_config": {"internal": 1},
    }
    runner = Runner.from_cfg(settings(tmp_path, **changes))
    runner.train()
    lines = [line for line in log_of(runner).splitlines() if "older forms" in line]
    assert len(lines) == 1
    assert "WARNING" in lines[0]
    for key in ("optimizer -> optim_wrapper", "checkpoint_config -> default_hooks.checkpoint"):
        assert key in lines[0]


def test_a_config_of_today_is_not_warned_of(tmp_path: Path) -> None:
    changes = {"optimizer": None, "optim_wrapper": {"optimizer": SGD}}
    assert "older forms" not in log_of(Runner.from_cfg(settings(tmp_path, **changes)))


def test_the_saved_config_has_todays_forms_only(tmp_path: Path) -> None:
    changes = {
        "default_hooks": {"optimizer": {"type": "OptimizerHook", "grad_clip": CLIP}},
        "checkpoint_config": {"internal": 1},
        "custom_hooks": {"type": "EMAHook", "start_iters": 3},
    }
    given = Config(settings(tmp_path, train_dataloader=_plain_loader(), **changes))
    runner = Runner.from_cfg(given)
    assert "optimizer" in given
    (file,) = tmp_path.glob("*.py")
    saved = Config.fromfile(file)
    assert not {"optimizer", "checkpoint_config"} & set(saved)
    assert saved.optim_wrapper == {"optimizer": SGD, "clip_grad": CLIP}
    assert saved.default_hooks == {"checkpoint": {"type": "CheckpointHook", "interval": 1}}
    assert saved.custom_hooks == [{"type": "EMAHook", "begin_iter": 3}]
    assert saved.to_dict() == runner.cfg.to_dict()


def _plain_loader() -> dict[str, Any]:
    return {"batch_size": 2, "dataset": {"type": "Points"}, "sampler": {"type": "DefaultSampler"}}


def test_objects_of_then_are_taken(tmp_path: Path) -> None:
    model = Half()
    optimizer = torch.optim.SGD(model.used.parameters(), lr=0.5)
    runner = Runner(**settings(tmp_path, model=model, optimizer=optimizer))
    runner.train()
    assert runner.optim_wrapper.optimizer is optimizer


@pytest.mark.parametrize("name", ["optim_wraper", "lr_config", "anything"])
def test_an_argument_that_runner_never_took_is_a_type_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{name}'"):
        Runner(**settings(tmp_path), **{name: {}})


# ----------------------------------------------------------------- run() and outputs


@pytest.mark.proves("Runner.run")
def test_run_trains_where_there_is_something_to_train(tmp_path: Path) -> None:
    runner = Runner(**settings(tmp_path))
    model = runner.run()
    assert model is runner.model
    assert runner.iter == 8
    assert "Runner.run() is an older form of Runner.train()" in log_of(runner)


def test_run_without_anything_to_run_says_so(tmp_path: Path) -> None:
    runner = Runner(model={"type": "Half"}, work_dir=str(tmp_path))
    with pytest.raises(ConfigRuntimeError, match="nothing to run"):
        runner.run()


class Watch(Hook):
    def __init__(self) -> None:
        self.outputs: list[Any] = []
        self.graphs: list[Any] = []
        self.between: list[Any] = []

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        self.between.append(runner.outputs)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.graphs.append(weakref.ref(outputs["loss"]))
        self.outputs.append((runner.outputs, outputs["loss"].detach().clone()))


@pytest.mark.proves("Runner.outputs")
def test_outputs_are_those_of_the_step_detached(tmp_path: Path) -> None:
    watch = Watch()
    runner = Runner(**settings(tmp_path, custom_hooks=[watch]))
    runner.train()
    for number, (found, loss) in enumerate(watch.outputs):
        assert found["loss"] == loss
        assert not found["loss"].requires_grad
        assert set(found["log_vars"]) == {"loss", "bound"}
        assert found["num_samples"] == (1 if number % 4 == 3 else 2)
    assert watch.between[0] is None
    assert [one["loss"] for one in watch.between[1:]] == [
        one["loss"] for one, _ in watch.outputs[:-1]
    ]
    assert log_of(runner).count("runner.outputs is an older form") == 1


def test_outputs_keep_no_graph_and_no_batch_of_a_step(tmp_path: Path) -> None:
    watch = Watch()
    runner = Runner(**settings(tmp_path, custom_hooks=[watch]))
    runner.train()
    gc.collect()
    assert not any(graph() is not None for graph in watch.graphs)
    assert runner._hook_callback.batch is None


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        (torch.zeros(3, 2), 3),
        ({"inputs": torch.zeros(3, 2), "data_samples": [1, 2, 3]}, 3),
        ({"inputs": [torch.zeros(5, 2), torch.zeros(5, 2)]}, 2),
        ([torch.zeros(4, 2), torch.zeros(4)], 4),
        ([["a", "b"], [1, 2]], 2),
        ([{"inputs": 1}, {"inputs": 2}, {"inputs": 3}], 3),
        ({"flag": True, "inputs": torch.zeros(6)}, 6),
        (torch.zeros(()), None),
        (None, None),
    ],
)
def test_the_number_of_samples_of_a_batch(batch: Any, size: int | None) -> None:
    assert batch_size(batch) == size


# ----------------------------------------------------------------- hooks of then


class Older(Hook):
    def __init__(self) -> None:
        self.calls: list[Any] = []

    def before_train_iter(self, runner, data_batch=None):  # type: ignore[no-untyped-def, override]
        self.calls.append(data_batch is not None)

    def after_train_iter(self, runner):  # type: ignore[no-untyped-def, override]
        self.calls.append(runner.iter)

    def after_train_epoch(self, runner):  # type: ignore[no-untyped-def, override]
        self.calls.append("epoch")


def test_points_with_the_arguments_of_then_are_called(tmp_path: Path) -> None:
    hook = Older()
    runner = Runner(**settings(tmp_path, custom_hooks=[hook]))
    runner.train()
    assert hook.calls[:4] == [True, 0, True, 1]
    assert hook.calls.count("epoch") == 2
    said = log_of(runner)
    assert "Older.after_train_iter has an older signature, without batch_idx, data_batch" in said
    assert "after_train_epoch has" not in said


def test_hooks_that_a_script_registers_may_be_of_then(tmp_path: Path) -> None:
    runner = Runner(**settings(tmp_path))
    runner.register_hook({"type": "EMAHook", "start_iters": 3})
    runner.register_custom_hooks({"type": "VisualizerHook", "interval": 2})
    assert hook_of(runner, EMAHook).begin_iter == 3
    assert hook_of(runner, NaiveVisualizationHook)._interval == 2


class Wrong(Hook):
    def after_train_iter(self, runner, batch):  # type: ignore[no-untyped-def, override]
        """Takes what no release gave."""


def test_other_signatures_stay_a_type_error(tmp_path: Path) -> None:
    runner = Runner(**settings(tmp_path, custom_hooks=[Wrong()]))
    with pytest.raises(TypeError, match="batch_idx"):
        runner.train()


def test_every_n_iters_counts_training_steps() -> None:
    hook = Hook()

    class At:
        iter = 5

    assert hook.every_n_iters(At, 3) is True
    assert hook.every_n_iters(At, 4) is False
    assert hook.every_n_iters(At, 0) is False


# ----------------------------------------------------------------- parameters without gradient


UNUSED = [
    "unused.weight with shape torch.Size([3, 2]) is not in the computational graph",
    "unused.bias with shape torch.Size([3]) is not in the computational graph",
]


@pytest.mark.proves("trainer.detect_anomalous_params")
@pytest.mark.parametrize(
    "changes",
    [
        {"trainer": {"detect_anomalous_params": True}},
        {
            "default_hooks": {
                "optimizer": {"type": "OptimizerHook", "detect_anomalous_params": True}
            }
        },
        {"optimizer_config": {"grad_clip": CLIP, "detect_anomalous_params": True}},
    ],
)
def test_parameters_that_the_loss_does_not_depend_on_are_named(
    changes: dict[str, Any], tmp_path: Path
) -> None:
    loop = {"type": "IterBasedTrainLoop", "max_iters": 2}
    runner = Runner.from_cfg(settings(tmp_path, train_cfg=loop, **changes))
    runner.train()
    entries = log_of(runner).splitlines()
    told = [line for line in entries if "computational graph" in line]
    assert [line.rpartition(" - ")[2].strip() for line in told] == UNUSED * 2
    assert all(" - ERROR - " in line for line in told)


def test_nothing_looks_for_them_unless_asked_to(tmp_path: Path) -> None:
    hook = {"type": "OptimizerHook", "detect_anomalous_params": False}
    runner = Runner.from_cfg(settings(tmp_path, default_hooks={"optimizer": hook}))
    runner.train()
    assert "computational graph" not in log_of(runner)


def test_looking_for_them_changes_no_weight(tmp_path: Path) -> None:
    weights = []
    for detect in (True, False):
        hook = {"type": "OptimizerHook", "detect_anomalous_params": detect, "grad_clip": CLIP}
        folder = tmp_path / str(detect)
        runner = Runner.from_cfg(settings(folder, default_hooks={"optimizer": hook}))
        runner.train()
        weights.append(runner.model.used.weight.detach().clone())
    assert torch.equal(*weights)
