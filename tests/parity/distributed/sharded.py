"""Trains with the sharded optimizer, saves and resumes; started by torchrun.

Prints on rank 0, as JSON, what the runs have left. ``sharded.py FOLDER``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import mm2pl

mm2pl.install_as_mmengine()

import torch  # noqa: E402
import toys  # noqa: E402
from cases import config  # noqa: E402
from mmengine._strategy import DDPStrategy  # noqa: E402
from mmengine.dataset import pseudo_collate  # noqa: E402
from mmengine.dist import barrier, get_rank, init_dist  # noqa: E402
from mmengine.optim import ZeroRedundancyOptimizer  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

ADAMW = {"type": "AdamW", "lr": 0.01}
SHARDED = {"type": "ZeroRedundancyOptimizer", "optimizer_type": "AdamW", "lr": 0.01}
GROUPS = {"custom_keys": {"bias": {"lr_mult": 2.0}}}


def run(name: str, folder: str, optimizer: dict[str, Any], epochs: int, **changes: Any) -> Any:
    """Train, and return the weights, the file's optimizer state and whether it was shared out."""
    wrapper = {"optimizer": optimizer, "paramwise_cfg": GROUPS}
    cfg = config(name, folder, optim_wrapper=wrapper, **changes)
    cfg["train_cfg"] = {"by_epoch": True, "max_epochs": epochs}
    if changes.get("resume"):
        cfg["experiment_name"] = f"{name}_again"
    runner = Runner.from_cfg(cfg)
    runner.train()
    file = Path(folder, name, f"epoch_{epochs}.pth")
    saved = torch.load(file, weights_only=False)["optimizer"]
    states = len(runner.optim_wrapper.optimizer.state)
    return {
        "weights": toys.digest(runner.model.state_dict()),
        "saved": toys.digest(saved["state"]),
        "groups": [group["lr"] for group in saved["param_groups"]],
        "states": [states, len(saved["state"])],
        "is_sharded": isinstance(runner.optim_wrapper.optimizer, ZeroRedundancyOptimizer),
    }


def by_strategy(folder: str) -> Any:
    """Train with a strategy by itself, and return how many states its file holds."""
    env = {"launcher": "pytorch", "dist_cfg": {"backend": "gloo"}}
    strategy = DDPStrategy(work_dir=folder, experiment_name="strategy", env_kwargs=env)
    lengths = {"max_iters": 7, "max_epochs": 3, "epoch_length": 3}
    model, optim = strategy.prepare(
        {"type": "Net"}, optim_wrapper={"optimizer": SHARDED}, dispatch_kwargs=lengths
    )
    batch = pseudo_collate([toys.Points(8)[index] for index in range(4)])
    model.train_step(batch, optim)
    file = f"{folder}/strategy.pth"
    strategy.save_checkpoint(file, extra_ckpt={"meta": {"iter": 5, "epoch": 1}})
    barrier()
    return len(torch.load(file, weights_only=False)["optimizer"]["state"])


def main(folder: str) -> None:
    init_dist("pytorch", backend="gloo")
    found = {"plain": run("plain", folder, ADAMW, 4), "whole": run("whole", folder, SHARDED, 4)}
    run("parts", folder, SHARDED, 2)
    found["parts"] = run("parts", folder, SHARDED, 4, resume=True)
    run("plain_parts", folder, ADAMW, 2)
    found["plain_parts"] = run("plain_parts", folder, ADAMW, 4, resume=True)
    # A file of one kind is a file of the other.
    run("mixed", folder, SHARDED, 2)
    found["mixed"] = run("mixed", folder, ADAMW, 4, resume=True)
    found["strategy"] = by_strategy(folder)
    if get_rank() == 0:
        Path(folder, "left.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
