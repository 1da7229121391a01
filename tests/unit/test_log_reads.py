"""How a run's log is written and read: when tensors are read, and by OpenMMLab's own tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.mmengine.dataset import DefaultSampler, default_collate
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.model import BaseModel
from mm2pl.runner import Runner
from tools import reference as reference_tool

_READS = {"item", "tolist", "numpy", "__bool__", "__float__", "__int__", "__array__", "cpu"}


class OnDevice(torch.Tensor):
    """A tensor that says it is on a device, and tells when its value is waited for."""

    reads: list[str] = []

    @property
    def is_cpu(self) -> bool:  # type: ignore[override]
        return False

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__name__", "") in _READS:
            cls.reads.append(func.__name__)
        return super().__torch_function__(func, types, args, kwargs or {})


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.last = torch.zeros(())

    def forward(self, inputs: Any, mode: str = "tensor") -> Any:
        loss = self.fc(inputs).mean()
        self.last = self.last.as_subclass(OnDevice)
        with torch.no_grad():
            self.last.add_(1)
        return {"loss": loss.as_subclass(OnDevice), "own_time": self.last}


class Watch(Hook):
    """Tells after which iterations something had been read."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.read_at: list[int] = []

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        if OnDevice.reads:
            self.read_at.append(runner.iter + 1)
            OnDevice.reads.clear()


def run(folder: Path, hooks: list[Hook], interval: int = 4, epochs: int = 1) -> Runner:
    return Runner(
        model=Line(),
        work_dir=str(folder),
        train_dataloader={
            "batch_size": 1,
            "dataset": [{"inputs": torch.full((2,), float(index))} for index in range(8)],
            "sampler": {"type": DefaultSampler, "shuffle": False},
            "collate_fn": {"type": default_collate},
        },
        train_cfg={"by_epoch": True, "max_epochs": epochs},
        optim_wrapper={
            "optimizer": {"type": "SGD", "lr": 0.001},
            "clip_grad": {"max_norm": 1.0},
        },
        default_hooks={
            "logger": {"type": "LoggerHook", "interval": interval},
            "checkpoint": None,
        },
        custom_hooks=hooks,
        log_level="ERROR",
    )


def scalars(folder: Path) -> Path:
    return next(folder.glob("*/vis_data/scalars.json"))


def test_what_lies_on_a_device_is_read_at_the_log_interval_alone(tmp_path: Path) -> None:
    OnDevice.reads.clear()
    watch = Watch()
    run(tmp_path, [watch]).train()
    assert watch.read_at == [4, 8]


def test_a_value_that_the_model_overwrites_is_logged_as_it_was(tmp_path: Path) -> None:
    run(tmp_path, []).train()
    lines = [json.loads(line) for line in scalars(tmp_path).read_text().splitlines()]
    # The means of what the model's own tensor was in the steps before: 1 to 4 and 1 to 8.
    assert [line["own_time"] for line in lines] == [2.5, 4.5]


@pytest.mark.slow
def test_mmdets_analyze_logs_reads_the_scalars(tmp_path: Path) -> None:
    reference_tool.install()
    tool = reference_tool.LIBRARIES / "mmdet/.mim/tools/analysis_tools/analyze_logs.py"
    if not tool.exists():
        pytest.skip(f"mmdet's tools are not there: {tool}")
    run(tmp_path / "run", [], interval=2, epochs=2).train()
    # seaborn only sets colours there.
    (tmp_path / "seaborn.py").write_text("def set_style(style): ...\n")
    file = str(scalars(tmp_path / "run"))
    out = str(tmp_path / "loss.png")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "MPLBACKEND": "Agg"}
    printed = []
    for arguments in (["cal_train_time", file], ["plot_curve", file, "--keys", "loss"]):
        more = ["--out", out] if arguments[0] == "plot_curve" else []
        done = subprocess.run(
            [sys.executable, str(tool), *arguments, *more],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout)
    assert "slowest epoch" in printed[0]
    assert Path(out).stat().st_size > 0
