"""Trains in either engine, on a CPU with autocast; see test_one_file_elsewhere.py.

python one_file_program.py save FOLDER       with mm2pl: Lightning's ModelCheckpoint saves
python one_file_program.py go_on FOLDER FILE with MMEngine or mm2pl
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
from typing import Any

import torch

if os.environ.get("ENGINE") == "mm2pl":
    import mm2pl

    mm2pl.install_as_mmengine()

import mmengine.optim.optimizer.amp_optimizer_wrapper as amp
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch import nn

if os.environ.get("ENGINE") != "mm2pl":  # MMEngine's wrapper wants a GPU
    amp.is_cuda_available = lambda: True
    amp.GradScaler = lambda **options: torch.amp.GradScaler("cpu", **options)


class Data(torch.utils.data.Dataset):
    metainfo = {"classes": ("a", "b")}

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        return {"inputs": torch.randn(4, generator=generator), "label": index % 2}


class Net(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU())
        self.head = nn.Linear(8, 2)

    def forward(self, inputs: Any, label: Any = None, mode: str = "loss") -> Any:
        return {"loss": nn.functional.cross_entropy(self.head(self.body(inputs)), label)}


class Trace(Hook):
    priority = "LOWEST"

    def __init__(self) -> None:
        self.steps: list[Any] = []

    def after_train_iter(self, runner: Any, batch_idx: int, **kwargs: Any) -> None:
        bits = [value.numpy().tobytes() for value in runner.model.state_dict().values()]
        weights = hashlib.sha1(b"".join(bits)).hexdigest()
        scale = runner.optim_wrapper.loss_scaler.get_scale()
        rate = runner.optim_wrapper.get_lr()["lr"]
        self.steps.append([runner.epoch, runner.iter, batch_idx, weights, scale, rate])


def main(task: str, folder: str, *files: str) -> None:
    trace, hooks, resume = Trace(), [], bool(files)
    if task == "save":
        from lightning.pytorch.callbacks import ModelCheckpoint

        hooks = [ModelCheckpoint(f"{folder}/lightnings", "{step}", save_top_k=-1)]
    average = {"type": "EMAHook", "momentum": 0.1}
    runner = Runner(
        model=Net(),
        work_dir=folder,
        train_dataloader={
            "dataset": Data(),
            "batch_size": 4,
            "num_workers": 0,
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "default_collate"},
        },
        train_cfg={"by_epoch": True, "max_epochs": 4},
        optim_wrapper={
            "type": "AmpOptimWrapper",
            "dtype": "bfloat16",
            "loss_scale": {"init_scale": 8.0, "growth_interval": 3},
            "accumulative_counts": 2,
            "optimizer": {"type": "Adam", "lr": 0.05},
        },
        param_scheduler=[{"type": "PolyLR", "by_epoch": False}],
        custom_hooks=[average, *hooks, trace],
        load_from=files[0] if resume else None,
        resume=resume,
        randomness={"seed": 1},
        log_level=logging.ERROR,
    )
    if resume:
        type(runner).resumes_exactly = False
    runner.train()
    print(json.dumps(trace.steps))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(*sys.argv[1:])
