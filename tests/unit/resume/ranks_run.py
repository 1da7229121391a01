"""Trains as one of several processes; leaves trace and end state in a file. See test_ranks.py."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[3]))

from mm2pl.mmengine.hooks import EMAHook
from tests.unit.resume.resume_runs import SGD, config, digest, disturb, epochs, run

if __name__ == "__main__":
    torch.set_num_threads(1)
    folder, start = Path(sys.argv[1]), sys.argv[2:]
    average = EMAHook(momentum=0.1, update_buffers=True)
    settings = {
        "custom_hooks": [average],
        "launcher": "pytorch",
        "env_cfg": {"dist_cfg": {"backend": "gloo"}},
        "train_cfg": epochs(2),
        "optim_wrapper": {**SGD, "accumulative_counts": 2},
    }
    if start:
        disturb()
        settings |= {"load_from": start[0], "resume": True}
    name = "again" if start else "whole"
    steps, end = run(config(folder / name, **settings))
    end["average"] = digest(average.ema_model.state_dict())
    steps = [[str(value) for value in step] for step in steps]
    (folder / f"{name}_{os.environ['RANK']}.json").write_text(json.dumps([steps, end]))
