"""A toy that trains in a moment, and an optimizer that notes the rate of each of its updates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from mm2pl.mmengine.dataset import DefaultSampler, InfiniteSampler, default_collate
from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.model import BaseModel
from mm2pl.runner import Runner

UPDATES: dict[str, list[tuple[float, float]]] = {}


class Numbers(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        return {"inputs": torch.tensor([index / 80, 1.0]), "target": torch.tensor([index % 2.0])}


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 1)

    def forward(self, inputs, target, mode="tensor"):
        out = self.fc(inputs)
        return {"loss": ((out - target) ** 2).mean()} if mode == "loss" else [out]


class Watched(torch.optim.SGD):
    """Notes the rate and the momentum of each update."""

    def __init__(self, params: Any, name: str = "", **options: Any) -> None:
        super().__init__(params, **options)
        self.notes = UPDATES.setdefault(name, [])

    def step(self, closure: Any = None) -> Any:
        group = self.param_groups[0]
        self.notes.append((group["lr"], group["momentum"]))
        return super().step(closure)


class Stuck(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return {"score": 0.5}


def loader(batch: int, length: int = 80, sampler: Any = DefaultSampler) -> dict[str, Any]:
    return {
        "batch_size": batch,
        "dataset": {"type": Numbers, "length": length},
        "sampler": {"type": sampler, "shuffle": False},
        "collate_fn": {"type": default_collate},
    }


def endless(batch: int = 4) -> dict[str, Any]:
    return loader(batch, sampler=InfiniteSampler)


def validation() -> dict[str, Any]:
    return {
        "val_dataloader": loader(4, length=4),
        "val_cfg": {},
        "val_evaluator": {"type": Stuck},
    }


def train(
    folder: Path,
    *,
    batch: int,
    accumulate: int = 1,
    kind: type[Runner] = Runner,
    **changes: Any,
) -> Runner:
    cfg = {
        "model": {"type": Line},
        "work_dir": str(folder),
        "train_dataloader": loader(batch),
        "train_cfg": {"by_epoch": True, "max_epochs": 4},
        "optim_wrapper": {
            "optimizer": {"type": Watched, "lr": 1.0, "momentum": 0.5},
            "accumulative_counts": accumulate,
        },
        "log_level": "ERROR",
        "default_hooks": {"checkpoint": None},
        "randomness": {"seed": 0},
    }
    runner = kind.from_cfg(cfg | changes)
    runner.train()
    return runner
