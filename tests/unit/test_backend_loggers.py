"""vis_backends as Lightning's loggers: in the Trainer, on the backend's file, each thing once."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch.loggers import CSVLogger, MLFlowLogger, TensorBoardLogger
from lightning.pytorch.loggers.logger import DummyLogger
from torch import nn

from mm2pl import backend_loggers
from mm2pl.errors import ConfigError, MissingPackageError
from mm2pl.loggers import LoggerBackend, VisualizerLogger
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.dataset import DefaultSampler, default_collate
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.model import BaseModel
from mm2pl.mmengine.visualization import Visualizer
from mm2pl.runner import Runner

CSV = "lightning.pytorch.loggers.CSVLogger"


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 1)

    def forward(self, inputs: Any, mode: str = "tensor") -> Any:
        return {"loss": self.fc(inputs).mean()}


class Logs(pl.Callback):
    """Lightning code that logs in a run of hooks."""

    def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
        module.log("own", 0.5)


class Draws(Hook):
    def after_train(self, runner: Any) -> None:
        runner.visualizer.add_image("image", np.full((2, 3, 3), 7, np.uint8), 4)


def run(folder: Path, *backends: Any, **changes: Any) -> Runner:
    dataset = [{"inputs": torch.ones(2)} for _ in range(4)]
    return Runner(
        model=Line(),
        work_dir=str(folder),
        train_dataloader={
            "batch_size": 1,
            "dataset": dataset,
            "sampler": {"type": DefaultSampler, "shuffle": False},
            "collate_fn": {"type": default_collate},
        },
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.001}},
        default_hooks={"logger": {"type": "LoggerHook", "interval": 2}, "checkpoint": None},
        custom_hooks=[Draws()],
        visualizer={"type": "Visualizer", "vis_backends": list(backends)},
        log_level="ERROR",
        cfg=Config({"trainer": {"callbacks": [Logs()], "log_every_n_steps": 2}}),
        **changes,
    )


def rows(file: Path) -> list[dict[str, str]]:
    with file.open() as opened:
        return [{k: v for k, v in row.items() if v} for row in csv.DictReader(opened)]


def events(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    read.Reload()
    return read


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Runner, Path]:
    folder = tmp_path_factory.mktemp("run")
    backends = [{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}]
    csv_backends = [{"type": "CSVVisBackend"}, {"type": CSV, "name": "mine", "version": "v"}]
    runner = run(folder, *backends, *csv_backends)
    with pytest.warns(UserWarning, match="CSVLogger holds no images"):
        runner.train()
    return runner, folder / runner.timestamp / "vis_data"


def test_the_trainer_has_lightnings_loggers_beside_the_visualizers(done: Any) -> None:
    kinds = [type(one) for one in done[0].trainer.loggers]
    assert kinds == [
        VisualizerLogger,
        backend_loggers.OwnTensorBoardLogger,
        CSVLogger,
        CSVLogger,
    ]
    assert isinstance(done[0].trainer.loggers[1], TensorBoardLogger)


def test_what_hooks_and_lightning_code_log_arrives_once_in_the_event_file(done: Any) -> None:
    read = events(done[1])
    for tag in ("loss", "lr"):
        assert [event.step for event in read.Scalars(tag)] == [2, 4]
    assert [event.value for event in read.Scalars("own")] == [0.5, 0.5]
    assert len(list(done[1].glob("events.*"))) == 1


def test_what_hooks_and_lightning_code_log_arrives_once_in_the_lines_of_json(done: Any) -> None:
    lines = [json.loads(line) for line in (done[1] / "scalars.json").read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == [2, 4]
    assert len([line for line in lines if "own" in line]) == 2


@pytest.mark.proves("VISBACKENDS.CSVVisBackend")
@pytest.mark.parametrize("folder", ["csv", "mine/v"])
def test_what_hooks_and_lightning_code_log_arrives_once_in_csv(done: Any, folder: str) -> None:
    found = rows(done[1] / folder / "metrics.csv")
    assert [row["step"] for row in found if "loss" in row] == ["2", "4"]
    assert [row["own"] for row in found if "own" in row] == ["0.5", "0.5"]


def test_the_config_lies_beside_the_csv(done: Any) -> None:
    hparams = yaml.unsafe_load((done[1] / "csv" / "hparams.yaml").read_text())
    assert hparams["trainer"]["log_every_n_steps"] == 2


def test_the_image_lies_in_the_event_file(done: Any) -> None:
    (image,) = events(done[1]).Images("image")
    assert (image.step, image.width, image.height) == (4, 3, 2)


def test_two_loggers_of_a_class_are_told_apart_by_their_own_names(tmp_path: Path) -> None:
    backends: list[Any] = [{"type": CSV, "name": "a"}, {"type": CSV, "name": "b"}]
    visualizer = Visualizer(vis_backends=backends, save_dir=str(tmp_path))
    assert list(visualizer._vis_backends) == ["CSVLogger.a", "CSVLogger.b"]


def test_a_logger_may_be_an_object_and_write_where_it_likes(tmp_path: Path) -> None:
    logger = CSVLogger(str(tmp_path / "there"), version=0)
    visualizer = Visualizer(vis_backends=logger, save_dir=str(tmp_path))  # type: ignore[arg-type]
    visualizer.add_scalars({"a": torch.tensor(1.5)}, 3)
    visualizer.close()
    assert rows(tmp_path / "there/lightning_logs/version_0/metrics.csv") == [
        {"a": "1.5", "step": "3"}
    ]


def test_a_logger_may_be_named_by_its_old_package(tmp_path: Path) -> None:
    cfg = {"type": "pytorch_lightning.loggers.CSVLogger", "save_dir": str(tmp_path)}
    visualizer = Visualizer(vis_backends=cfg)
    backend: Any = visualizer.get_backend("CSVLogger")
    assert isinstance(backend, LoggerBackend)
    assert type(backend.logger) is CSVLogger


def test_a_logger_without_a_folder_is_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="CSVLogger is left out"):
        assert Visualizer(vis_backends={"type": CSV})._vis_backends == {}


def test_an_argument_that_a_logger_does_not_take_is_named(tmp_path: Path) -> None:
    cfg = {"type": CSV, "save_dir": str(tmp_path), "prefx": "a"}
    with pytest.raises(ConfigError, match="prefx") as caught:
        Visualizer(vis_backends=cfg)
    assert "prefix" in str(caught.value)


@pytest.mark.parametrize("name", ["WandbLogger", "MLFlowLogger"])
def test_a_missing_package_of_a_logger_is_told_with_its_extra(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    kind = getattr(importlib.import_module("lightning.pytorch.loggers"), name)
    flag = "_WANDB_AVAILABLE" if name == "WandbLogger" else "_MLFLOW_AVAILABLE"
    monkeypatch.setattr(importlib.import_module(kind.__module__), flag, False)
    extra = name.removesuffix("Logger").lower()
    with pytest.raises(MissingPackageError, match=rf"{name}") as caught:
        Visualizer(vis_backends={"type": f"lightning.pytorch.loggers.{name}"}, save_dir="x")
    assert f"mm2pl[{extra}]" in str(caught.value)


def test_other_processes_have_as_many_loggers_that_do_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend_loggers, "is_main_process", lambda: False)
    backend: Any = {"type": "TensorboardVisBackend"}
    visualizer = Visualizer(vis_backends=backend, save_dir=str(tmp_path))
    (logger,) = VisualizerLogger(visualizer, str(tmp_path)).beside()
    assert isinstance(logger, DummyLogger)


def test_hyperparameters_of_lightning_code_are_in_the_backends_own_form(tmp_path: Path) -> None:
    backend: Any = {"type": "TensorboardVisBackend"}
    visualizer = Visualizer(vis_backends=backend, save_dir=str(tmp_path))
    own = VisualizerLogger(visualizer, str(tmp_path))
    for logger in (own, *own.beside()):
        logger.log_hyperparams({"lr": 0.1})
        logger.save()
        logger.finalize("success")
    visualizer.close()
    (file,) = (tmp_path / "vis_data").iterdir()
    assert file.read_bytes().count(b"lr: 0.1") == 1


def test_mlflows_logger_is_mlflows() -> None:
    assert issubclass(backend_loggers.OwnMLFlowLogger, MLFlowLogger)
