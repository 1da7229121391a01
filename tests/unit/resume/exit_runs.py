"""Ends a process whose data workers are still there. See test_sigterm.py."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

import torch

from mm2pl.runner import Runner
from tests.unit.resume.resume_runs import Noisy, config, iterations, loader

if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    workers = {"num_workers": 2, "persistent_workers": sys.argv[2] == "persistent"}
    settings = config(
        Path(sys.argv[1]),
        train_cfg=iterations(5),
        train_dataloader=loader(Noisy(40), **workers),
        val_dataloader=loader(Noisy(6), **workers, sampler={"type": "DefaultSampler"}),
    )
    runner = Runner(**settings)
    runner.train()
    kept = iter(runner.val_dataloader)  # a global, as the runner is
    print("at the end")
