"""What the runner does beyond MMEngine, and at Lightning's doors."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import signal
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

import mm2pl
from mm2pl.errors import ConfigRuntimeError
from mm2pl.flexible_runner import FlexibleRunner
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.dataset import DefaultSampler, default_collate
from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.runner import EpochBasedTrainLoop, ValLoop
from mm2pl.mmengine.visualization import Visualizer
from mm2pl.runner import Runner
from tests.unit.schedule_runs import Line


class Points(torch.utils.data.Dataset):  # type: ignore[type-arg]
    metainfo = {"classes": ("a", "b")}

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Any:
        return {"inputs": torch.tensor([float(index), 1.0]), "target": torch.tensor([index % 2.0])}


class Count(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(len(data_samples[0]))

    def compute_metrics(self, results):
        return {"count": float(sum(results))}


def loader(**changes: Any) -> dict[str, Any]:
    return {
        "batch_size": 4,
        "dataset": {"type": Points},
        "sampler": {"type": DefaultSampler, "shuffle": False},
        "collate_fn": {"type": default_collate},
        **changes,
    }


def config(folder: Path, **changes: Any) -> dict[str, Any]:
    cfg = {
        "model": {"type": Line},
        "work_dir": str(folder),
        "train_dataloader": loader(),
        "train_cfg": {"by_epoch": True, "max_epochs": 2},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.001}},
        "log_level": "ERROR",
        "randomness": {"seed": 0},
    }
    for stage in ("val", "test"):
        section = {"dataloader": loader(), "cfg": {}, "evaluator": {"type": Count}}
        cfg |= {f"{stage}_{key}": value for key, value in section.items()}
    return {key: value for key, value in (cfg | changes).items() if value is not None}


def without(stage: str) -> dict[str, None]:
    return {f"{stage}_{key}": None for key in ("dataloader", "cfg", "evaluator")}


class At(Hook):
    def __init__(self, point: str, do: Any) -> None:
        setattr(self, point, lambda runner, **_: do(runner))


def fail(runner: Runner) -> None:
    raise ArithmeticError("here")


# --------------------------------------------------------------------------- Lightning's doors


@pytest.fixture
def built(tmp_path):
    yield mm2pl.build(config(tmp_path))
    mm2pl.uninstall_as_mmengine()


@pytest.mark.filterwarnings("ignore:.*LeafSpec")
def test_lightnings_fit_validate_and_test_run_one_after_another(built):
    trainer, module, data, runner = built
    trainer.fit(module, data)
    assert trainer.callback_metrics["count"] == 8
    assert trainer.validate(module, data, verbose=False) == [{"count": 8.0}]
    assert trainer.test(module, data, verbose=False) == [{"count": 8.0}]
    trainer.fit(module, data)
    assert (runner.epoch, runner.iter) == (2, 4)


@pytest.mark.filterwarnings("ignore:.*LeafSpec")
def test_metrics_are_written_once(built, tmp_path):
    built.trainer.fit(built.module, built.data)
    (file,) = tmp_path.rglob("scalars.json")
    assert file.read_text().count('"count"') == 2  # two epochs


@pytest.mark.filterwarnings("ignore:.*LeafSpec")
def test_callbacks_that_a_user_appends_work(built, tmp_path):
    class Outputs(pl.Callback):
        def __init__(self) -> None:
            self.losses: list[float] = []

        def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
            self.losses.append(float(outputs["loss"]))

    outputs = Outputs()
    built.trainer.callbacks += [
        outputs,
        EarlyStopping("count", patience=1, mode="max"),
        ModelCheckpoint(tmp_path / "best", monitor="count", save_weights_only=True),
    ]
    built.trainer.fit(built.module, built.data)
    assert len(outputs.losses) == 4
    (file,) = (tmp_path / "best").iterdir()
    assert list(torch.load(file, weights_only=True)["state_dict"]) == ["fc.weight", "fc.bias"]


@pytest.mark.filterwarnings("ignore:.*LeafSpec")
def test_early_stopping_of_lightning_ends_the_run_with_all_hooks(tmp_path):
    points: list[str] = []
    runner = Runner.from_cfg(config(tmp_path, train_cfg={"by_epoch": True, "max_epochs": 9}))
    for point in ("after_val", "after_train", "after_run"):
        runner.register_hook(At(point, lambda _, point=point: points.append(point)))
    runner.trainer.callbacks.append(EarlyStopping("count", patience=1, mode="max"))
    runner.train()
    assert runner.epoch == 2
    assert points == ["after_val", "after_val", "after_train", "after_run"]


@pytest.mark.parametrize(("stage", "method"), [("val", "validate"), ("test", "test")])
def test_every_door_says_which_section_is_missing(tmp_path, stage, method):
    runner = Runner.from_cfg(config(tmp_path, **without(stage)))
    with pytest.raises(ConfigRuntimeError, match=f"no {stage} section"):
        getattr(runner, stage)()
    with pytest.raises(ConfigRuntimeError, match=f"no {stage} section"):
        getattr(runner.trainer, method)(runner.module, runner.datamodule)


def test_training_without_validation_warns_of_nothing(tmp_path):
    runner = Runner.from_cfg(config(tmp_path, **without("val")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        runner.train()


# --------------------------------------------------------------------------- plans


def test_a_plan_is_built_as_it_stands(tmp_path):
    plan = mm2pl.translate(Config(config(tmp_path)))
    loop = {**plan.train.loop, "max_epochs": 1}
    changed = dataclasses.replace(plan, train=dataclasses.replace(plan.train, loop=loop))
    runner = Runner.from_plan(changed)
    runner.train()
    assert (runner.max_epochs, runner.epoch) == (1, 1)


def test_translating_and_building_leave_config_and_plan_alone(tmp_path):
    cfg = Config(config(tmp_path))
    before = cfg.to_dict()
    plan = mm2pl.translate(cfg)
    Runner.from_plan(plan).train()
    assert cfg.to_dict() == before
    assert mm2pl.translate(cfg) == plan


def test_a_runners_plan_says_what_it_runs(tmp_path):
    runner = Runner.from_cfg(config(tmp_path))
    assert runner.plan.train.loop["max_epochs"] == 2


# --------------------------------------------------------------------------- several runs


def test_runs_that_begin_in_one_second_do_not_share_their_records(tmp_path):
    runners = [Runner.from_cfg(config(tmp_path / name)) for name in "ab"]
    for part in ("logger", "message_hub", "visualizer", "experiment_name"):
        assert getattr(runners[0], part) != getattr(runners[1], part)
    for runner in runners:
        runner.train()
    assert [len(list((tmp_path / name).rglob("scalars.json"))) for name in "ab"] == [1, 1]


def test_a_visualizer_with_a_name_writes_for_the_run_that_was_made_last(tmp_path):
    backends = [{"type": "LocalVisBackend"}]
    section = {"type": "Visualizer", "name": "visualizer", "vis_backends": backends}
    for name in "ab":
        Runner.from_cfg(config(tmp_path / name, visualizer=section)).train()
    lines = [next((tmp_path / name).rglob("scalars.json")).read_text() for name in "ab"]
    assert lines[0].count('"count"') == lines[1].count('"count"') == 2


def test_a_visualizer_that_the_user_made_first_is_kept(tmp_path):
    made = Visualizer.get_instance("mine", vis_backends=None, save_dir=str(tmp_path))
    with pytest.warns(UserWarning, match="has been created"):
        runner = Runner.from_cfg(
            config(tmp_path, visualizer={"type": "Visualizer", "name": "mine"})
        )
    assert runner.visualizer is made


# --------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("stage", "point"), [("train", "before_train_iter"), ("val", "after_val_iter")]
)
def test_a_failed_run_leaves_no_workers(tmp_path, stage, point):
    cfg = config(tmp_path, **{f"{stage}_dataloader": loader(num_workers=1)})
    runner = Runner.from_cfg(cfg)
    runner.register_hook(At(point, fail))
    with pytest.raises(ArithmeticError):
        runner.train()
    assert multiprocessing.active_children() == []


def test_a_wrapper_works_by_itself_after_a_run(tmp_path):
    for number, hooks in enumerate(([], [At("after_train_iter", fail)])):
        runner = Runner.from_cfg(config(tmp_path / str(number)))
        for hook in hooks:
            runner.register_hook(hook)
        try:
            runner.train()
        except ArithmeticError:
            assert hooks
        before = runner.model.fc.weight.clone()
        runner.optim_wrapper.update_params(runner.model.fc.weight.sum())
        assert not torch.equal(before, runner.model.fc.weight)


def test_ctrl_c_is_a_keyboard_interrupt_and_works_again(tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    runner = Runner.from_cfg(config(tmp_path))
    runner.register_hook(At("before_train_iter", lambda _: os.kill(os.getpid(), signal.SIGINT)))
    with pytest.raises(KeyboardInterrupt):
        runner.train()
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_limit_that_the_user_sets_on_the_trainer_outlives_a_stopped_run(tmp_path):
    runner = Runner.from_cfg(config(tmp_path))
    runner.trainer.limit_val_batches = 1
    runner.register_hook(
        At("after_train_iter", lambda one: setattr(one.train_loop, "stop_training", True))
    )
    runner.train()
    assert runner.trainer.limit_val_batches == 1
    assert runner.final_metrics == {"count": 4.0}


# --------------------------------------------------------------------------- loops of one's own


class OwnTrainLoop(EpochBasedTrainLoop):
    def run(self) -> str:
        super().run()
        return "done"


class OwnValLoop(ValLoop):
    def run(self) -> dict[str, float]:
        return {**super().run(), "own": 1.0}


def test_a_training_loop_of_ones_own_is_one_step_whose_optimizer_steps_lightning_counts(tmp_path):
    section = {"type": OwnTrainLoop, "max_epochs": 3}
    runner = Runner.from_cfg(config(tmp_path, train_cfg=section))
    assert runner.train() == "done"
    assert (runner.epoch, runner.iter, runner.trainer.global_step) == (3, 6, 6)


def test_metrics_of_a_validation_loop_of_ones_own_are_lightnings_too(tmp_path):
    runner = Runner.from_cfg(config(tmp_path, val_cfg={"type": OwnValLoop}))
    runner.train()
    assert runner.trainer.callback_metrics["own"] == 1
    found = runner.trainer.validate(runner.module, runner.datamodule, verbose=False)
    assert found == [{"count": 8.0, "own": 1.0}]
    assert runner.val() == runner.final_metrics == {"count": 8.0, "own": 1.0}


@pytest.mark.proves("compile", "compile.{backend,fullgraph,dynamic,mode,options,disable}")
@pytest.mark.parametrize("kind", [Runner, FlexibleRunner])
def test_the_step_is_compiled_by_torchs_arguments(kind, tmp_path, monkeypatch):
    seen = []

    def keep(function, **options):
        seen.append((function.__name__, options))
        return function

    monkeypatch.setattr(torch, "compile", keep)
    names = ("backend", "fullgraph", "dynamic", "mode", "options", "disable")
    options = {name: f"a {name}" for name in names}
    named = {"experiment_name": f"compiled_by_{kind.__name__}"}
    kind.from_cfg(config(tmp_path, compile=options, **named)).train()
    assert seen == [("train_step", options)]


def test_training_within_a_run_is_refused(tmp_path):
    runner = Runner.from_cfg(config(tmp_path))
    runner.register_hook(At("after_train_epoch", lambda one: one.train()))
    with pytest.raises(ConfigRuntimeError, match="within a run"):
        runner.train()
