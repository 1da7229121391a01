"""Resumes runs over mmdet's own dataset, transforms and batch sampler; prints what follows.

Usage: python program.py DATA FOLDER, with the real libraries on the path.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import mm2pl

os.environ["MM2PL_STUB_MMCV_OPS"] = "1"
warnings.filterwarnings("ignore")
mm2pl.install_as_mmengine()

import torch  # noqa: E402
from mmdet.datasets import CocoDataset  # noqa: E402
from mmdet.datasets.transforms import CachedMosaic  # noqa: E402
from mmdet.registry import TRANSFORMS  # noqa: E402
from mmdet.structures.bbox import HorizontalBoxes  # noqa: E402
from mmdet.utils import register_all_modules  # noqa: E402
from mmengine.hooks import Hook  # noqa: E402
from mmengine.model import BaseModel  # noqa: E402
from mmengine.runner import Runner  # noqa: E402

torch.set_num_threads(1)
register_all_modules(init_default_scope=True)
READ: list[int] = []


@TRANSFORMS.register_module()
class TellingMosaic(CachedMosaic):  # type: ignore[misc]
    def state_dict(self) -> dict[str, Any]:
        told = ({**one, "gt_bboxes": one["gt_bboxes"].tensor} for one in self.results_cache)
        return {"cache": list(told)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        cache = state["cache"]
        self.results_cache = [
            {**one, "gt_bboxes": HorizontalBoxes(one["gt_bboxes"])} for one in cache
        ]


class Coco(CocoDataset):  # type: ignore[misc]
    def __getitem__(self, index: int) -> Any:
        READ.append(index)
        return super().__getitem__(index)


class Net(BaseModel):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        return {"loss": sum(one.float().mean() for one in inputs) * self.scale.sum() / 1000}


class Trace(Hook):  # type: ignore[misc]
    def __init__(self) -> None:
        self.steps: list[Any] = []

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        inputs, samples = data_batch["inputs"], data_batch["data_samples"]
        boxes = [float(one.gt_instances.bboxes.tensor.sum()) for one in samples]
        ids = [one.img_id for one in samples]
        sums = [float(one.double().sum()) for one in inputs]
        self.steps.append([runner.iter, ids, sums, boxes])


def run(data: str, folder: Path, mosaic: str | None, workers: int, start: str | None) -> Any:
    cached = [{"type": mosaic, "img_scale": (96, 96), "max_cached_images": 6}] if mosaic else []
    pipeline = [
        {"type": "LoadImageFromFile"},
        {"type": "LoadAnnotations", "with_bbox": True},
        *cached,
        {"type": "RandomFlip", "prob": 0.5},
        {"type": "PackDetInputs"},
    ]
    dataset = Coco(
        data_root=data, ann_file="annotations/train.json", data_prefix={"img": "train/"},
        metainfo={"classes": ("person", "car")}, pipeline=pipeline,
    )  # fmt: skip
    trace = Trace()
    READ.clear()
    runner = Runner(
        model=Net(),
        work_dir=str(folder),
        train_dataloader={
            "dataset": dataset,
            "batch_size": 2,
            "num_workers": workers,
            "persistent_workers": bool(workers),
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "batch_sampler": {"type": "AspectRatioBatchSampler"},
            "collate_fn": {"type": "pseudo_collate"},
        },
        train_cfg={"by_epoch": True, "max_epochs": 5},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01}},
        default_hooks={"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 1}},
        custom_hooks=[trace],
        randomness={"seed": 1},
        log_level="WARNING",
        load_from=start,
        resume=bool(start),
        experiment_name=f"{folder.name}_{folder.parent.name}",
        default_scope="mmdet",
    )
    runner.train()
    runner.train_loop.dataloader._iterator = None
    (log,) = folder.glob("*/*.log")
    said = [line for line in log.read_text().splitlines() if "approximated" in line]
    return {"steps": trace.steps, "said": said, "read": len(READ)}


def main(data: str, folder: str) -> None:
    found = {}
    for mosaic in (None, "CachedMosaic", "TellingMosaic"):
        for workers in (0, 2):
            base = Path(folder, f"{mosaic}_{workers}")
            whole = run(data, base / "whole", mosaic, workers, None)
            points = (3, 10)
            starts = [str(base / "whole" / f"iter_{point}.pth") for point in points]
            again = {
                point: run(data, base / f"from_{point}", mosaic, workers, start)
                for point, start in zip(points, starts, strict=True)
            }
            found[f"{mosaic} {workers}"] = {"whole": whole, "again": again}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
