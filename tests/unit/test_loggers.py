"""VisualizerLogger: what Lightning code logs, in the run's own backends and once."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
import yaml
from lightning.pytorch.utilities import rank_zero_only

from mm2pl.loggers import VisualizerLogger
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.visualization import TensorboardVisBackend, Visualizer


@pytest.fixture
def logger(tmp_path: Path) -> VisualizerLogger:
    backends: list[Any] = [{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}]
    visualizer = Visualizer(vis_backends=backends, save_dir=str(tmp_path / "run"))
    return VisualizerLogger(visualizer, str(tmp_path), "experiment", "run")


def lines(tmp_path: Path) -> list[dict[str, Any]]:
    text = (tmp_path / "run" / "vis_data" / "scalars.json").read_text()
    return [json.loads(line) for line in text.splitlines()]


def events(tmp_path: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(tmp_path / "run" / "vis_data"))
    read.Reload()
    return {
        tag: [(event.step, event.value) for event in read.Scalars(tag)]
        for tag in read.Tags()["scalars"]
    }


class Module(pl.LightningModule):
    """Lightning code as anyone writes it."""

    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layer = torch.nn.Linear(width, 1)

    def training_step(self, batch: torch.Tensor, batch_idx: int) -> torch.Tensor:
        loss: torch.Tensor = self.layer(batch).sum() * 0
        self.log("loss", loss + batch_idx)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)

    def train_dataloader(self) -> torch.utils.data.DataLoader[torch.Tensor]:
        return torch.utils.data.DataLoader([torch.ones(2)] * 4)  # type: ignore[arg-type]


# Lightning 2.6 uses what torch 2.13 deprecates, and advises more workers.
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning", "ignore:.*num_workers:UserWarning")
def test_self_log_arrives_once_in_every_backend(logger: VisualizerLogger, tmp_path: Path) -> None:
    trainer = pl.Trainer(
        logger=logger,
        max_epochs=1,
        log_every_n_steps=2,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Module())
    assert trainer.logger is logger
    assert lines(tmp_path) == [
        {"loss": 1.0, "epoch": 0, "step": 1},
        {"loss": 3.0, "epoch": 0, "step": 3},
    ]
    assert events(tmp_path)["loss"] == [(1, 1.0), (3, 3.0)]
    hparams = tmp_path / "run" / "vis_data" / "hparams.yaml"
    assert yaml.safe_load(hparams.read_text()) == {"width": 2}


def test_tensors_and_a_scalar_named_step_are_written(
    logger: VisualizerLogger, tmp_path: Path
) -> None:
    logger.log_metrics({"loss": torch.tensor(0.5), "step": 7.0})
    logger.log_metrics({"loss": 0.25, "step": 8.0}, step=3)
    logger.finalize("success")
    assert lines(tmp_path) == [{"loss": 0.5, "step": 7}, {"loss": 0.25, "step": 3}]
    assert events(tmp_path)["loss"] == [(7, 0.5), (3, 0.25)]


def test_hyperparameters_do_not_replace_the_config(
    logger: VisualizerLogger, tmp_path: Path
) -> None:
    logger.experiment.add_config(Config({"a": 1}))
    logger.log_hyperparams(Namespace(lr=0.1))
    logger.finalize("success")
    assert Config.fromfile(tmp_path / "run" / "vis_data" / "config.py").to_dict() == {"a": 1}


def test_no_hyperparameters_leave_no_file(logger: VisualizerLogger, tmp_path: Path) -> None:
    logger.log_hyperparams({})
    assert list(tmp_path.iterdir()) == []


def test_other_ranks_write_nothing(
    logger: VisualizerLogger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 1)
    logger.log_metrics({"loss": 1.0}, 1)
    logger.log_hyperparams({"lr": 0.1})
    logger.finalize("success")
    assert list(tmp_path.iterdir()) == []


def test_the_backends_are_closed_only_if_lightning_code_wrote(
    logger: VisualizerLogger, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    monkeypatch.setattr(TensorboardVisBackend, "close", lambda self: closed.append(self))
    logger.finalize("success")
    assert closed == []
    monkeypatch.undo()
    logger.log_metrics({"loss": 1.0}, 1)
    backend = logger.experiment.get_backend("TensorboardVisBackend")
    assert isinstance(backend, TensorboardVisBackend)
    logger.finalize("success")
    assert backend.experiment.all_writers is None


def test_it_says_where_the_logs_lie(logger: VisualizerLogger, tmp_path: Path) -> None:
    assert (logger.name, logger.version) == ("experiment", "run")
    assert (logger.save_dir, logger.root_dir) == (str(tmp_path), str(tmp_path))
    assert logger.log_dir == str(tmp_path / "run")
