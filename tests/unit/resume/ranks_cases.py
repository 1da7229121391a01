"""Trains as one of several processes in several ways, and goes on; see test_ranks.py."""

from __future__ import annotations

import copy
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import distributed

sys.path.insert(0, str(Path(__file__).parents[3]))

from mm2pl.flexible_runner import FlexibleRunner
from mm2pl.mmengine.hooks import EMAHook
from mm2pl.runner import Runner
from tests.unit.resume.resume_runs import (
    SGD,
    Trace,
    config,
    digest,
    disturb,
    epochs,
    iterations,
    loader,
    randomness,
)

RANKS = {
    "launcher": "pytorch",
    "env_cfg": {"dist_cfg": {"backend": "gloo"}},
    # No seed: it is drawn, and the sampler's too.
    "randomness": {"diff_rank_seed": True},
    "optim_wrapper": {**SGD, "accumulative_counts": 2},
}
INFINITE = {"type": "InfiniteSampler", "shuffle": True}
PERSISTENT = loader(num_workers=2, persistent_workers=True)
# A kind of runner, iterations to go on from, settings. An epoch has three.
CASES: dict[str, tuple[type[Runner], list[int], dict[str, Any]]] = {
    "epochs": (
        Runner,
        [1, 3],
        {"train_cfg": epochs(2), "train_dataloader": loader(num_workers=2)},
    ),
    "iterations": (
        Runner,
        [3, 5],
        {"train_cfg": iterations(6), "train_dataloader": {**PERSISTENT, "sampler": INFINITE}},
    ),
    "flexible, epochs": (
        FlexibleRunner,
        [4],
        {"train_cfg": epochs(2), "train_dataloader": PERSISTENT},
    ),
    "flexible, iterations": (FlexibleRunner, [2], {"train_cfg": iterations(6)}),
}


def left(kind: type[Runner], folder: Path, **settings: Any) -> tuple[list[list[str]], list[str]]:
    """Train; return the trace, and what is at the end."""
    average, trace = EMAHook(momentum=0.1, update_buffers=True), Trace()
    settings = copy.deepcopy(RANKS | settings) | {"custom_hooks": [average, trace]}
    runner = kind(**config(folder, **settings))
    runner.train()
    parts = (runner.model, runner.optim_wrapper, average.ema_model)
    end = [*(digest(part.state_dict()) for part in parts), randomness()]
    runner.train_loop.dataloader._iterator = None
    runner.train_loop.dataloader_iterator = None
    return [[str(value) for value in step] for step in trace.steps], end


if __name__ == "__main__":
    torch.set_num_threads(1)
    results: dict[str, Any] = {}
    for name, (kind, starts, settings) in CASES.items():
        folder = Path(sys.argv[1], name.replace(", ", "_"))
        results[name] = {"whole": left(kind, folder / "whole", **settings)}
        for start in starts:
            distributed.barrier()  # rank 0 has written
            disturb()
            source = {"load_from": str(folder / "whole" / f"iter_{start}.pth"), "resume": True}
            results[name][start] = left(kind, folder / f"from_{start}", **settings, **source)
    Path(sys.argv[1], f"{os.environ['RANK']}.json").write_text(json.dumps(results))
