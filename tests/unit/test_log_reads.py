"""How a run's log is written and read: when tensors are read, and by OpenMMLab's own tools."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from mm2pl import progress
from mm2pl.mmengine.dataset import DefaultSampler, default_collate
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.logging import HistoryBuffer
from mm2pl.mmengine.model import BaseModel
from mm2pl.runner import Runner
from tools import reference as reference_tool

_READS = {"item", "tolist", "numpy", "cpu", "nonzero", "equal", "allclose"}
_READS |= {f"__{name}__" for name in ("bool", "float", "int", "index", "array", "format", "repr")}


class DeviceReads(TorchFunctionMode):
    """Says of every tensor that it is on a device, and tells whose value is waited for.

    Integers are let through: the averages count their updates in one that stays on the CPU.
    """

    def __init__(self) -> None:
        super().__init__()
        self.new: list[str] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func == torch.Tensor.is_cpu.__get__:  # type: ignore[attr-defined]
            return False
        name = getattr(func, "__name__", "")
        if name in _READS and (args[0].is_floating_point() or args[0].dtype == torch.bool):
            self.new.append(name)
        return func(*args, **(kwargs or {}))


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.register_buffer("last", torch.zeros(()))

    def forward(self, inputs: Any, mode: str = "tensor") -> Any:
        loss = self.fc(inputs).mean()
        self.last.add_(1)
        return {"loss_a": loss, "loss_b": [loss * 2, loss.view(1)], "own_time": self.last}


class Watch(Hook):
    """Tells after which iterations something had been read."""

    priority = "LOWEST"

    def __init__(self, reads: DeviceReads) -> None:
        self.reads = reads
        self.read_at: list[int] = []

    def before_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        if runner.iter == 0:
            self.reads.new.clear()  # of what comes once: initial weights, checks of the loaders

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        if self.reads.new:
            self.read_at.append(runner.iter + 1)
            self.reads.new.clear()


class Extra(Hook):
    """Records a tensor of its own, and may look at it."""

    def __init__(self, looks: bool = False) -> None:
        self.looks = looks

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        runner.message_hub.update_scalar("train/mine", outputs["loss"] * 2, count=2)
        if self.looks:
            runner.message_hub.get_scalar("train/mine").current()


def run(folder: Path, hooks: list[Any], interval: int = 4, epochs: int = 1, **more: Any) -> Runner:
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
            **more,
        },
        param_scheduler={"type": "LinearLR", "by_epoch": False, "end": 5},
        custom_hooks=hooks,
        log_level="ERROR",
    )


def scalars(folder: Path) -> Path:
    return next(folder.glob("*/vis_data/scalars.json"))


def read_at(folder: Path, *hooks: Any, **options: Any) -> list[int]:
    reads = DeviceReads()
    watch = Watch(reads)
    runner = run(folder, [*hooks, watch], **options)
    with reads:
        runner.train()
    return watch.read_at


AVERAGES = ("ExponentialMovingAverage", "MomentumAnnealingEMA", "StochasticWeightAverage")


@pytest.mark.parametrize("interval", [1, 3, 4, 20])
def test_what_lies_on_a_device_is_read_where_a_line_is_written(
    tmp_path: Path, interval: int
) -> None:
    """Losses, the norm of the gradients, and what a hook records."""
    averages = [{"type": "EMAHook", "ema_type": kind, "update_buffers": True} for kind in AVERAGES]
    others = [{"type": "EmptyCacheHook", "after_iter": True}, {"type": "SyncBuffersHook"}]
    found = read_at(tmp_path, Extra(), *averages, *others, interval=interval)
    assert found == (list(range(interval, 9, interval)) or [8])
    line = scalars(tmp_path).read_text().splitlines()[-1]
    assert {"loss", "loss_a", "loss_b", "own_time", "grad_norm", "mine"} <= json.loads(line).keys()


def test_a_hook_that_looks_at_a_value_reads_it_each_time(tmp_path: Path) -> None:
    assert read_at(tmp_path, Extra(looks=True)) == list(range(1, 9))


def test_without_a_log_nothing_is_read(tmp_path: Path) -> None:
    assert read_at(tmp_path, Extra(), logger=None) == []


@pytest.mark.slow
def test_a_progress_bar_shows_what_is_known_and_waits_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_DRAWINGS", 0.0)
    reads = DeviceReads()
    watch = Watch(reads)
    runner = run(tmp_path, [Extra(), watch])
    bar = progress.RunProgress(runner)
    values = bar._values
    monkeypatch.setattr(bar, "_values", lambda name: shown.append(values(name)) or shown[-1])
    runner.trainer.callbacks.append(bar)
    with reads:
        runner.train()
    assert watch.read_at == [4, 8]
    assert not any("loss" in text for text in shown[:3])
    assert shown[-1].startswith("loss ")


def test_the_wait_for_a_device_is_time_of_the_step_not_of_the_next_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = HistoryBuffer._settle
    waited: set[int] = set()

    def slow(history: HistoryBuffer) -> None:
        """Wait for the steps before, which need not be waited for again."""
        if any(isinstance(value, torch.Tensor) for value in history._pending):
            if runner.iter not in waited:
                time.sleep(0.25)
            waited.add(runner.iter)
        read(history)

    monkeypatch.setattr(HistoryBuffer, "_settle", slow)
    runner = run(tmp_path, [])
    with DeviceReads():
        runner.train()
    hub = runner.message_hub
    times, waits = (hub.get_scalar(f"train/{name}").data[0] for name in ("time", "data_time"))
    assert [index + 1 for index, value in enumerate(times - waits) if value > 0.2] == [4, 8]


def test_a_value_that_the_model_overwrites_is_logged_as_it_was(tmp_path: Path) -> None:
    runner = run(tmp_path, [])
    with DeviceReads():
        runner.train()
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
