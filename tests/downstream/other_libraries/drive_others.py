"""Run jobs of mmseg, mmdet, mmpose and mmaction2 with the engine that ``import mmengine`` gives.

Usage: python drive_others.py (mmengine | mm2pl) JOBS.json

As mmpretrain's driver does, with other libraries; the few operators of mmcv that their validation
calls are written in torch here, the same for both engines.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import torch

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "mmpretrain_runs")]

import drive  # noqa: E402


def import_libraries() -> None:
    os.environ["MM2PL_STUB_MMCV_OPS"] = "1"
    import mmcv._ext
    import numpy as np
    import recorder  # noqa: F401

    mmcv._ext.nms = nms
    if not hasattr(np, "in1d"):
        np.in1d = np.isin  # NumPy 2.4 dropped it, mmaction2's retrieval metrics call it
    # The wheel of mmaction2 1.2.0 lacks this folder, without which its models cannot be imported.
    stub = ModuleType("mmaction.models.localizers.drn.drn")
    vars(stub)["DRN"] = object
    sys.modules |= {stub.__name__: stub, "mmaction.models.localizers.drn": ModuleType("drn")}

    import mmaction.utils
    import mmdet.utils
    import mmpose.utils
    import mmseg.utils

    torch.set_num_threads(1)
    for library in (mmseg, mmdet, mmpose, mmaction):
        library.utils.register_all_modules(init_default_scope=False)
    import parts  # noqa: F401


def nms(
    boxes: torch.Tensor, scores: torch.Tensor, iou_threshold: float, offset: int
) -> torch.Tensor:
    """Return the indices of the boxes that are kept, the best first."""
    order = scores.argsort(descending=True, stable=True)
    x1, y1, x2, y2 = boxes[order].unbind(1)
    area = (x2 - x1 + offset) * (y2 - y1 + offset)
    kept = []
    alive = torch.ones(len(order), dtype=torch.bool)
    for index in range(len(order)):
        if not alive[index]:
            continue
        kept.append(index)
        width = (torch.minimum(x2, x2[index]) - torch.maximum(x1, x1[index]) + offset).clamp(0)
        height = (torch.minimum(y2, y2[index]) - torch.maximum(y1, y1[index]) + offset).clamp(0)
        overlap = width * height
        alive &= overlap / (area + area[index] - overlap) <= iou_threshold
    return order[kept]


if __name__ == "__main__":
    drive._import_library = import_libraries
    drive.main(*sys.argv[1:])
