"""A small run whose figures are known: the model says its guess and the labels are in the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from mm2pl.mmengine.model import BaseModel
from mm2pl.mmengine.structures import BaseDataElement

CLASSES = 3
TM = "torchmetrics.classification."
ACCURACY: dict[str, Any] = {
    "type": f"{TM}MulticlassAccuracy",
    "num_classes": CLASSES,
    "average": "micro",
}
GUESS = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1, 2, 1])
TRUTH = torch.tensor([0, 1, 2, 1, 1, 0, 0, 2, 2, 2])


class Points(Dataset[Any]):
    """The first ``length`` of ten samples."""

    metainfo = {"classes": ("a", "b", "c")}

    def __init__(self, length: int = 10, shift: int = 0, name: str | None = None) -> None:
        self.length, self.shift = length, shift
        if name is not None:
            self.metainfo = {**self.metainfo, "dataset_name": name}

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, Any]:
        place = (index + self.shift) % 10
        return {
            "guess": GUESS[place].clone(),
            "truth": TRUTH[place].clone(),
            "x": torch.tensor(float(index)),
        }


class Guesser(BaseModel):
    """Says what stands in the data; its loss is one that the batch size matters to."""

    def __init__(self, noisy: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.noisy = noisy

    def forward(self, guess: Any, truth: Any, x: Any, mode: str = "tensor") -> Any:
        guess, truth, x = torch.stack(guess), torch.stack(truth), torch.stack(x)
        if mode == "loss":
            noise = torch.rand(1) if self.noisy else 0.0
            return {
                "loss_x": self.weight * (x**2).mean() + noise,
                "loss_wrong": (guess != truth).float().mean(),
                "acc": (guess == truth).float().mean(),
            }
        return [element(g, t) for g, t in zip(guess, truth, strict=True)]


def element(guess: torch.Tensor, truth: torch.Tensor) -> BaseDataElement:
    sample = BaseDataElement(metainfo={"img_id": 1})
    sample.pred_label, sample.gt_label = guess.reshape(1), truth.reshape(1)
    sample.pred_score = nn.functional.one_hot(guess, CLASSES).float()
    return sample


def elements(count: int = 10) -> list[BaseDataElement]:
    return [element(g, t) for g, t in zip(GUESS[:count], TRUTH[:count], strict=True)]


def loader(batch_size: int = 4, **dataset: Any) -> dict[str, Any]:
    return {
        "batch_size": batch_size,
        "num_workers": 0,
        "dataset": Points(**dataset),
        "sampler": {"type": "DefaultSampler", "shuffle": False},
    }


def settings(folder: Path | str, **changes: Any) -> dict[str, Any]:
    """Return a run of two epochs that validates with torchmetrics' accuracy."""
    settings: dict[str, Any] = {
        "model": Guesser(),
        "work_dir": str(folder),
        "train_dataloader": loader(),
        "train_cfg": {"by_epoch": True, "max_epochs": 2},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.01}},
        "val_dataloader": loader(),
        "val_cfg": {},
        "val_evaluator": ACCURACY,
        "test_dataloader": loader(),
        "test_cfg": {},
        "test_evaluator": ACCURACY,
        "log_level": "WARNING",
        "randomness": {"seed": 1},
    }
    return {**settings, **changes}
