"""Toy runs that draw at random wherever they can, and what is compared of them."""

from __future__ import annotations

import copy
import hashlib
import itertools
import logging
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.model import BaseModel
from mm2pl.runner import Runner

NAMES = itertools.count()


class Noisy(Dataset):  # type: ignore[type-arg]
    """Samples with noise from all three generators; counts what is read in this process."""

    metainfo = {"classes": ("a", "b")}
    reads = 0

    def __init__(self, size: int = 22, folder: Path | None = None) -> None:
        self.size = size
        self.folder = folder

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> dict[str, Any]:
        type(self).reads += 1
        if self.folder is not None:  # seen from worker processes too
            with (self.folder / "reads").open("a") as file:
                file.write(f"{index}\n")
        noise = torch.rand(4) + float(np.random.rand()) + random.random()
        return {"inputs": noise + index % 2, "data_samples": index % 2}

    def get_data_info(self, index: int) -> dict[str, int]:
        return {"width": index % 5, "height": 2}


class Net(BaseModel):
    """Dropout and batch norm; ``two`` parts that are trained by optimizers of their own."""

    def __init__(self, two: bool = False) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3))
        self.head = nn.Linear(8, 2)
        self.two = two

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        scores = self.head(self.body(torch.stack(list(inputs))))
        if mode == "loss":
            return {"loss": nn.functional.cross_entropy(scores, torch.tensor(data_samples))}
        return list(scores)

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Tensor]:
        if not self.two:
            return super().train_step(data, optim_wrapper)
        found = {}
        for name in ("body", "head"):  # each leaves gradients on the other's weights
            with optim_wrapper[name].optim_context(self):
                loss = self(**data, mode="loss")["loss"]
            optim_wrapper[name].update_params(loss)
            found[f"{name}_loss"] = loss.detach()
        return found


class Score(BaseMetric):
    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [float(one.sum()) for one in data_samples]

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return {"score": sum(results)}


def digest(value: Any) -> str:
    """Return a short text that is another for another bit anywhere in a value."""
    found = hashlib.sha1()

    def feed(one: Any) -> None:
        if isinstance(one, Tensor):
            found.update(one.detach().cpu().contiguous().numpy().tobytes())
        elif isinstance(one, dict):
            for key in one:
                found.update(str(key).encode())
                feed(one[key])
        elif isinstance(one, (list, tuple)):
            for part in one:
                feed(part)
        else:
            found.update(repr(one).encode())

    feed(value)
    return found.hexdigest()[:10]


def randomness() -> str:
    return digest([random.getstate()[1][-1], np.random.get_state()[1:3], torch.get_rng_state()])


class Trace(Hook):
    """Notes every step and validation to the last bit."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.steps: list[tuple[Any, ...]] = []

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        self.steps.append(
            ("read", runner.epoch, runner.iter, batch_idx, digest(data_batch), randomness())
        )

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        weights, rates = digest(runner.model.state_dict()), runner.optim_wrapper.get_lr()
        self.steps.append(("step", runner.iter, batch_idx, digest(outputs), weights, str(rates)))

    def after_train_epoch(self, runner: Any) -> None:
        self.steps.append(("epoch", runner.epoch, runner.iter))

    def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
        self.steps.append(("validated", runner.epoch, runner.iter, str(metrics), randomness()))


def loader(dataset: Any = None, **options: Any) -> dict[str, Any]:
    return {
        "dataset": dataset or Noisy(),
        "batch_size": 4,
        "num_workers": 0,
        "sampler": {"type": "DefaultSampler", "shuffle": True},
        "collate_fn": {"type": "pseudo_collate"},
        **options,
    }


def epochs(count: int = 3, **options: Any) -> dict[str, Any]:
    return {"by_epoch": True, "max_epochs": count, "val_interval": 1, **options}


def iterations(count: int = 14, **options: Any) -> dict[str, Any]:
    return {"by_epoch": False, "max_iters": count, "val_interval": 4, **options}


def checkpoints(by_epoch: bool, interval: int = 1) -> dict[str, Any]:
    return {"checkpoint": {"type": "CheckpointHook", "by_epoch": by_epoch, "interval": interval}}


SGD = {"optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9}}


def config(folder: Path, **changes: Any) -> dict[str, Any]:
    train_cfg = changes.get("train_cfg", epochs())
    settings: dict[str, Any] = {
        "work_dir": str(folder),
        "model": Net(),
        "train_dataloader": loader(),
        "val_dataloader": loader(Noisy(6), sampler={"type": "DefaultSampler", "shuffle": False}),
        "train_cfg": train_cfg,
        "val_cfg": {},
        "val_evaluator": {"metrics": [Score()]},
        "optim_wrapper": copy.deepcopy(SGD),
        "param_scheduler": [
            {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 9},
            {"type": "MultiStepLR", "milestones": [1, 2], "by_epoch": train_cfg["by_epoch"]},
        ],
        "default_hooks": checkpoints(by_epoch=False),
        "log_processor": {"by_epoch": train_cfg["by_epoch"]},
        "randomness": {"seed": 3},
        "log_level": logging.ERROR,
        "experiment_name": f"resume_{next(NAMES)}",
    }
    settings.update(changes)
    return {key: value for key, value in settings.items() if value is not None}


def run(settings: dict[str, Any]) -> tuple[list[tuple[Any, ...]], dict[str, str]]:
    """Train; return the trace and digests of the end state."""
    trace = Trace()
    settings["custom_hooks"] = [*settings.get("custom_hooks", []), trace]
    runner = Runner(**settings)
    runner.train()
    state = {"weights": runner.model.state_dict(), "optimizer": runner.optim_wrapper.state_dict()}
    end = {key: digest(value) for key, value in state.items()}
    # Worker processes that belong to the loop go now; the garbage collector takes seconds for each.
    runner.train_loop.dataloader._iterator = None
    runner.train_loop.dataloader_iterator = None
    return trace.steps, end


def rest(steps: list[tuple[Any, ...]], iteration: int) -> Iterator[tuple[Any, ...]]:
    """Return what comes after the checkpoint of an iteration, which the hook saves in its step."""
    return itertools.islice(
        itertools.dropwhile(lambda step: step[:2] != ("step", iteration - 1), steps), 1, None
    )


def disturb() -> None:
    """Leave the generators elsewhere than a new process has them."""
    random.seed(99)
    np.random.seed(99)
    torch.manual_seed(99)
