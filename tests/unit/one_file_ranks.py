"""Trains as one of two processes by Lightning's door; see test_one_file_elsewhere.py."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from mm2pl.runner import Runner
from tests.unit.resume.resume_runs import SGD, Trace, config, digest, disturb, epochs


class Saves(pl.Callback):
    """Saves within the second epoch, and within an accumulation window."""

    def __init__(self, path: str) -> None:
        self.path = path

    def on_train_batch_end(self, trainer: Any, module: Any, *args: Any) -> None:
        if (trainer.current_epoch, args[-1]) == (1, 1):
            trainer.save_checkpoint(self.path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, name = Path(sys.argv[1]), sys.argv[2]
    file = str(folder / "saved.ckpt")
    disturb()
    trace = Trace()
    settings = {
        "launcher": "pytorch",
        "env_cfg": {"dist_cfg": {"backend": "gloo"}},
        "train_cfg": epochs(2),
        "optim_wrapper": {**SGD, "accumulative_counts": 2},
        "custom_hooks": [trace],
    }
    runner = Runner(**config(folder / name, **settings))
    if name == "whole":
        runner.trainer.callbacks.append(Saves(file))  # type: ignore[attr-defined]
    path = file if name == "again" else None
    runner.trainer.fit(runner.module, runner.datamodule, ckpt_path=path)
    steps = [[str(value) for value in step] for step in trace.steps]
    end = digest([runner.model.state_dict(), runner.optim_wrapper.state_dict()])
    (folder / f"{name}_{os.environ['RANK']}.json").write_text(json.dumps([steps, end]))
