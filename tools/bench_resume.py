"""Measure what resuming at iteration N costs: calls of ``__getitem__`` and seconds.

Usage: python tools/bench_resume.py [N ...]

A toy run is saved after one iteration; its checkpoint is then made one of iteration N. Measured is
the whole of a resumed run that has two iterations left, less that of a new run of two iterations.
``read`` is MMEngine's way (``resume=dict(exact=False)``), left out where it would take minutes.
With mmdet on the path (tests/downstream/stubs in front of it), its own AspectRatioBatchSampler.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from torch import nn
from torch.utils.data import Dataset

import mm2pl
from mm2pl import checkpoint
from mm2pl.mmengine.model import BaseModel
from mm2pl.mmengine.registry import DATA_SAMPLERS
from mm2pl.runner import Runner

SIZE, BATCH = 10_000, 8
READ_UP_TO = 1000


class Data(Dataset):  # type: ignore[type-arg]
    """Each sample takes a millisecond, a fast transform's time; calls are counted."""

    calls = torch.zeros(1, dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.calls += 1
        time.sleep(1e-3)
        return {"inputs": torch.zeros(2), "data_samples": index}

    def get_data_info(self, index: int) -> dict[str, int]:
        return {"width": index % 7, "height": 3}


class AspectRatioBatchSampler:
    """Gathers wide and tall samples in batches of their own, as mmdet's does."""

    def __init__(self, sampler: Any, batch_size: int) -> None:
        self.sampler, self.batch_size = sampler, batch_size

    def __iter__(self) -> Iterator[list[int]]:
        buckets: tuple[list[int], list[int]] = ([], [])
        for index in self.sampler:
            info = self.sampler.dataset.get_data_info(index)
            bucket = buckets[info["width"] < info["height"]]
            bucket.append(index)
            if len(bucket) == self.batch_size:
                yield bucket[:]
                bucket.clear()

    def __len__(self) -> int:
        return len(self.sampler) // self.batch_size


class Model(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 1)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        return {"loss": self.layer(torch.stack(list(inputs))).sum()}


def trained(folder: Path, count: int, workers: int, options: dict[str, Any], **more: Any) -> Any:
    """Return calls and seconds of a run to iteration ``count``."""
    loader = {
        "dataset": Data(),
        "batch_size": BATCH,
        "num_workers": workers,
        "collate_fn": {"type": "pseudo_collate"},
        **options,
    }
    runner = Runner(
        model=Model(),
        work_dir=str(folder),
        train_dataloader=loader,
        train_cfg={"by_epoch": False, "max_iters": count},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1}},
        default_hooks={"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1}},
        log_level=logging.ERROR,
        experiment_name=f"bench_resume_{time.time_ns()}",
        randomness={"seed": 1},
        **more,
    )
    Data.calls.zero_()
    start = time.perf_counter()
    runner.train()
    seconds = time.perf_counter() - start
    runner.train_loop.dataloader_iterator = None
    return int(Data.calls), seconds


def measure(folder: Path, count: int, workers: int, options: dict[str, Any]) -> None:
    """Print one line of the table for each way to resume."""
    name = options.get("batch_sampler", options["sampler"])["type"]
    new_calls, new = trained(folder / "new", 2, workers, options)
    saved = checkpoint.read(folder / "new" / "iter_1.pth")
    own = saved["mm2pl"]
    saved["meta"]["iter"] = own["iter"] = count
    own["ranks"][0]["reading"]["given"] = count
    checkpoint.write(saved, str(folder / "start.pth"))
    ways: dict[str, Any] = {"exact": True}
    if count <= READ_UP_TO:
        ways["read"] = {"exact": False}
    for way, resume in ways.items():
        start = {"load_from": str(folder / "start.pth"), "resume": resume}
        calls, seconds = trained(folder / way, count + 2, workers, options, **start)
        print(
            f"| {name} | {workers} | {count:,} | {way} | {max(0, calls - new_calls):,} |"
            f" {max(0.0, seconds - new):.2f} |",
            flush=True,
        )


def batch_sampler() -> Any:
    """Return mmdet's own batch sampler if mmdet is there, else one like it."""
    if importlib.util.find_spec("mmdet") is None:
        return AspectRatioBatchSampler
    mm2pl.install_as_mmengine()
    print("AspectRatioBatchSampler is mmdet's", file=sys.stderr)
    return importlib.import_module("mmdet.datasets.samplers").AspectRatioBatchSampler


def main(*counts: str) -> None:
    torch.set_num_threads(1)
    DATA_SAMPLERS.register_module(name="AspectRatioBatchSampler", module=batch_sampler())
    print("| Sampler | Workers | N | Way | Calls for skipped batches | Seconds |")
    print("| --- | --- | --- | --- | --- | --- |")
    endless = {"sampler": {"type": "InfiniteSampler"}}
    kinds: list[dict[str, Any]] = [
        endless,
        {"sampler": {"type": "DefaultSampler", "shuffle": True}},
        {**endless, "batch_sampler": {"type": "AspectRatioBatchSampler"}},
    ]
    for options in kinds:
        for workers in (0, 2):
            for count in map(int, counts or ("10", "1000", "100000")):
                with tempfile.TemporaryDirectory() as folder:
                    measure(Path(folder), count, workers, options)


if __name__ == "__main__":
    main(*sys.argv[1:])
