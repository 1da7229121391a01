"""A ``unittest`` case with a toy model, data and metric, and configs that use them."""

from __future__ import annotations

import copy
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, ClassVar
from unittest import TestCase
from uuid import uuid4

import torch
from torch import nn
from torch.utils.data import Dataset

import mm2pl.mmengine.hooks  # registers hooks
import mm2pl.mmengine.optim  # noqa: F401  # registers wrappers
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.dist import is_distributed
from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.logging import MessageHub, MMLogger
from mm2pl.mmengine.model import BaseModel
from mm2pl.mmengine.registry import DATASETS, METRICS, MODELS, DefaultScope
from mm2pl.mmengine.visualization import Visualizer

__all__ = ["RunnerTestCase", "ToyDataset", "ToyMetric", "ToyModel"]

_SAMPLES = 12


class ToyModel(BaseModel):
    """Two linear layers; the loss is the sum of what is missing."""

    def __init__(self, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.linear1 = nn.Linear(2, 2)
        self.linear2 = nn.Linear(2, 1)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        """Return outputs, or losses in mode ``loss``. ``inputs`` is (n, 2), or a list of (2,)."""
        outputs = self.linear2(self.linear1(_stacked(inputs)))
        if mode == "loss":
            return {"loss": (_stacked(data_samples) - outputs).sum()}
        return outputs if mode in ("tensor", "predict") else None


class ToyDataset(Dataset[Any]):
    """Twelve random points whose label is 1."""

    METAINFO: ClassVar[dict[str, Any]] = {}
    data = torch.randn(_SAMPLES, 2, generator=torch.Generator().manual_seed(0))
    label = torch.ones(_SAMPLES)

    @property
    def metainfo(self) -> dict[str, Any]:
        """What is known of the data: nothing."""
        return self.METAINFO

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"inputs": self.data[index], "data_samples": self.label[index]}


class ToyMetric(BaseMetric):
    """A metric that is always 1."""

    def __init__(self, collect_device: str = "cpu", dummy_metrics: Any = None) -> None:
        super().__init__(collect_device=collect_device)
        self.dummy_metrics = dummy_metrics

    def process(self, data_batch: Any, predictions: Any) -> None:
        """Note that there was a batch."""
        self.results.append({"acc": 1})

    def compute_metrics(self, results: list[Any]) -> dict[str, int]:
        """Return an accuracy of 1."""
        return {"acc": 1}


class RunnerTestCase(TestCase):
    """Registers the toys, gives configs that use them and cleans up after each test.

    Attributes:
        epoch_based_cfg: Config of two epochs.
        iter_based_cfg: Config of 12 iterations.
    """

    dist_cfg: ClassVar[dict[str, Any]] = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": 29600,
        "RANK": "0",
        "WORLD_SIZE": "1",
        "LOCAL_RANK": "0",
    }
    _toys = ((MODELS, ToyModel), (METRICS, ToyMetric), (DATASETS, ToyDataset))

    def setUp(self) -> None:
        """Register the toys and make the configs."""
        self.temp_dir = tempfile.TemporaryDirectory()
        for registry, toy in self._toys:
            registry.register_module(module=toy, force=True)
        self.epoch_based_cfg = Config(
            {
                "work_dir": self.temp_dir.name,
                "model": {"type": "ToyModel"},
                "train_dataloader": _loader("DefaultSampler", shuffle=True),
                "val_dataloader": _loader("DefaultSampler", shuffle=False),
                "val_evaluator": [{"type": "ToyMetric"}],
                "test_dataloader": _loader("DefaultSampler", shuffle=False),
                "test_evaluator": [{"type": "ToyMetric"}],
                "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
                "train_cfg": {"by_epoch": True, "max_epochs": 2, "val_interval": 1},
                "val_cfg": {},
                "test_cfg": {},
                "default_hooks": {"logger": {"type": "LoggerHook", "interval": 1}},
                "custom_hooks": [],
                "env_cfg": {"dist_cfg": {"backend": "nccl"}},
                "experiment_name": "test1",
            }
        )
        self.iter_based_cfg: Any = copy.deepcopy(self.epoch_based_cfg)
        self.iter_based_cfg.train_dataloader = _loader("InfiniteSampler", shuffle=True)
        self.iter_based_cfg.log_processor = {"by_epoch": False}
        self.iter_based_cfg.train_cfg = {"by_epoch": False, "max_iters": _SAMPLES}
        self.iter_based_cfg.default_hooks = {
            "logger": {"type": "LoggerHook", "interval": 1},
            "checkpoint": {"type": "CheckpointHook", "interval": _SAMPLES, "by_epoch": False},
        }

    def tearDown(self) -> None:
        """Forget the toys, loggers, hubs, visualizers, scopes and the process group."""
        logging.shutdown()
        for kind in (MMLogger, Visualizer, DefaultScope, MessageHub):
            kind._instance_dict.clear()
        for registry, toy in self._toys:
            registry.module_dict.pop(toy.__name__, None)
        self.temp_dir.cleanup()
        if is_distributed():
            torch.distributed.destroy_process_group()

    def build_runner(self, cfg: Config) -> Any:
        """Return a runner of ``cfg`` under a name of its own."""
        from mm2pl.mmengine.runner import Runner

        cfg.experiment_name = self.experiment_name
        return Runner.from_cfg(cfg)

    @property
    def experiment_name(self) -> str:
        """Another name at each call."""
        return f"{self._testMethodName}_{uuid4()}"

    def setup_dist_env(self) -> None:
        """Set the variables that a launcher would, with another port at each call."""
        self.dist_cfg["MASTER_PORT"] += 1
        os.environ.update({name: str(value) for name, value in self.dist_cfg.items()})

    def clear_work_dir(self) -> None:
        """Delete what the runs have written."""
        logging.shutdown()
        for path in Path(self.temp_dir.name).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _stacked(values: Any) -> Any:
    return torch.stack(values) if isinstance(values, list) else values


def _loader(sampler: str, shuffle: bool) -> dict[str, Any]:
    return {
        "dataset": {"type": "ToyDataset"},
        "sampler": {"type": sampler, "shuffle": shuffle},
        "batch_size": 3,
        "num_workers": 0,
    }
