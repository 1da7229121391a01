"""Run by torchrun: trains until it is told to end. See test_preemption_ranks.py."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from mm2pl.mmengine.hooks import Hook
from mm2pl.runner import Runner
from tests.unit.test_runner import config


class Steady(Hook):
    """Makes an iteration take some time, and says when the run is under way."""

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        time.sleep(0.03)
        if runner.iter == 10:
            Path(runner.work_dir, f"under_way_{runner.rank}").touch()


if __name__ == "__main__":
    changes = {
        "launcher": "pytorch",
        "env_cfg": {"dist_cfg": {"backend": "gloo"}},
        "train_cfg": {"by_epoch": True, "max_epochs": 10_000, "val_interval": 10_000},
        "default_hooks": {"checkpoint": {"type": "CheckpointHook", "interval": 10_000}},
        "log_level": "WARNING",
    }
    runner = Runner.from_cfg(config(Path(sys.argv[1]), **changes))
    runner.register_hook(Steady())
    try:
        runner.train()
    finally:
        print(f"rank {runner.rank} ended at {runner.iter}", flush=True)
