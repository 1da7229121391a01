"""bfloat16 on a CPU, which MMEngine refuses: a run equals torch's own loop, bit by bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.mmengine.dataset import DefaultSampler, default_collate
from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.model import BaseModel
from mm2pl.runner import Runner

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec")
EPOCHS = 3


class Points(torch.utils.data.Dataset):  # type: ignore[type-arg]
    metainfo = {"classes": ("a", "b")}

    def __len__(self) -> int:
        return 12

    def __getitem__(self, index: int) -> Any:
        generator = torch.Generator().manual_seed(index)
        return {"inputs": torch.randn(4, generator=generator), "target": torch.tensor(index / 12)}


class Net(BaseModel):
    """Notes the type of its output in each mode."""

    seen: set[tuple[str, torch.dtype]] = set()

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, inputs: Any, target: Any, mode: str = "tensor") -> Any:
        out = self.body(inputs)
        self.seen.add((mode, out.dtype))
        if mode == "loss":
            return {"loss": nn.functional.mse_loss(out[:, 0], target)}
        return [out]


class Nothing(BaseMetric):
    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"none": 0.0}


def trained(folder: Path, wrapper: dict[str, Any], **changes: Any) -> Net:
    Net.seen.clear()
    loader = {
        "batch_size": 4,
        "dataset": {"type": Points},
        "sampler": {"type": DefaultSampler, "shuffle": False},
        "collate_fn": {"type": default_collate},
    }
    cfg = {
        "model": {"type": Net},
        "work_dir": str(folder),
        "train_dataloader": loader,
        "train_cfg": {"by_epoch": True, "max_epochs": EPOCHS},
        "val_dataloader": loader,
        "val_cfg": {},
        "val_evaluator": {"type": Nothing},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}, **wrapper},
        "default_hooks": {"checkpoint": None},
        "log_level": "ERROR",
        **changes,
    }
    model: Net = Runner.from_cfg(cfg).train()
    return model


def by_hand(counts: int = 1, max_norm: float | None = None) -> Net:
    """Train with torch alone."""
    model = Net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu")
    rows = [Points()[index] for index in range(12)]
    steps = EPOCHS * 3
    for step in range(steps):
        start = step % 3 * 4
        batch: Any = default_collate(rows[start : start + 4])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(**batch, mode="loss")["loss"]
        left = steps % counts if step >= steps - steps % counts else counts
        scaler.scale(loss / left if counts > 1 else loss).backward()
        if (step + 1) % counts == 0 or step + 1 == steps:
            if max_norm is not None:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), max_norm)
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad()
    return model


def equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.parameters(), other.parameters(), strict=True)
    return all(torch.equal(*pair) for pair in pairs)


AMP = {"type": "AmpOptimWrapper", "dtype": "bfloat16"}


@pytest.mark.proves("OPTIM_WRAPPERS.ApexOptimWrapper.dtype")
@pytest.mark.parametrize(
    ("options", "same"),
    [
        ({}, {}),
        ({"clip_grad": {"max_norm": 0.1}}, {"max_norm": 0.1}),
        ({"accumulative_counts": 2}, {"counts": 2}),
        ({"type": "ApexOptimWrapper", "dtype": None}, {}),
    ],
)
def test_a_run_equals_a_loop_by_hand(
    tmp_path: Path, options: dict[str, Any], same: dict[str, Any]
) -> None:
    model = trained(tmp_path, {**AMP, **options})
    assert equal(model, by_hand(**same))
    assert not equal(model, trained(tmp_path, {}, experiment_name="in_float32"))


def test_validation_computes_in_float32_while_training_does_not(tmp_path: Path) -> None:
    trained(tmp_path, AMP)
    assert Net.seen == {("loss", torch.bfloat16), ("predict", torch.float32)}


def test_validation_computes_in_mixed_precision_if_asked_to(tmp_path: Path) -> None:
    trained(tmp_path, AMP, val_cfg={"fp16": True})
    assert ("loss", torch.bfloat16) in Net.seen
    assert ("predict", torch.float32) not in Net.seen
