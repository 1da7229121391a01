"""Load files as OpenMMLab 1.x wrote them into today's models of four libraries.

Usage: python program.py (mmengine | mm2pl) FOLDER

The reference writes the files: what its models hold, under the names of 1.x.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import logging
import re
import sys
import time
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

CHANNELS = {"type": "FPN", "in_channels": [64, 128, 256, 512], "out_channels": 8, "num_outs": 5}
RESNET = {"type": "mmdet.ResNet", "depth": 18}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "swin": (
        "mmpretrain",
        {
            "type": "ImageClassifier",
            "backbone": {
                "type": "SwinTransformer",
                "arch": {"embed_dims": 8, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2]},
                "img_size": 64,
            },
            "head": {"type": "LinearClsHead", "num_classes": 3, "in_channels": 64},
        },
    ),
    "vit, of another size": (
        "mmpretrain",
        {
            "type": "VisionTransformer",
            "arch": {
                "embed_dims": 8,
                "num_layers": 1,
                "num_heads": 2,
                "feedforward_channels": 8,
            },
            "img_size": 64,
            "patch_size": 16,
        },
    ),
    "fcos": (
        "mmdet",
        {
            "type": "FCOS",
            "backbone": RESNET,
            "neck": CHANNELS,
            "bbox_head": {
                "type": "FCOSHead",
                "num_classes": 2,
                "in_channels": 8,
                "feat_channels": 32,
                "stacked_convs": 1,
            },
        },
    ),
    "segmentor": (
        "mmseg",
        {
            "type": "EncoderDecoder",
            "backbone": {"type": "mmseg.ResNetV1c", "depth": 18},
            "decode_head": {
                "type": "FCNHead",
                "in_channels": 512,
                "in_index": 3,
                "channels": 8,
                "num_convs": 1,
                "num_classes": 2,
                "norm_cfg": {"type": "BN"},
            },
        },
    ),
    "pose": (
        "mmpose",
        {
            "type": "TopdownPoseEstimator",
            "backbone": {"type": "mmpose.ResNet", "depth": 18},
            "head": {
                "type": "HeatmapHead",
                "in_channels": 512,
                "out_channels": 2,
                "deconv_out_channels": (8,),
                "deconv_kernel_sizes": (4,),
                "conv_out_channels": (4,),
                "conv_kernel_sizes": (3,),
            },
        },
    ),
}
# How names were in 1.x: patterns applied to today's.
OLD_NAMES = {
    "swin": [(r"^backbone\.norm3\.", "backbone.norm.")],
    "fcos": [(r"conv_cls", "fcos_cls"), (r"conv_reg", "fcos_reg"), ("conv_center", "fcos_center")],
    "pose": [
        (r"^head\.final_layer\.", "head.final_layer.3."),
        (r"^head\.conv_layers\.", "head.final_layer."),
        (r"^head\.", "keypoint_head."),
    ],
}


class Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(" ".join(record.getMessage().split()))


def build(library: str, cfg: dict[str, Any], **changes: Any) -> torch.nn.Module:
    registry = importlib.import_module(f"{library}.registry")
    importlib.import_module(f"{library}.models")
    torch.manual_seed(0)
    return registry.MODELS.build({**cfg, **changes})


def write(path: Path, name: str, model: torch.nn.Module) -> None:
    for number, value in enumerate(model.state_dict().values()):
        if value.is_floating_point():
            value.fill_(0.01 * number)
            value.view(-1)[0] = 1
    state = OrderedDict()
    for key, value in model.state_dict().items():
        for pattern, old in OLD_NAMES.get(name, ()):
            key = re.sub(pattern, old, key)
        if "data_preprocessor" not in key and "num_batches_tracked" not in key:
            state[f"module.{key}"] = value
    if name == "swin":
        state["module.backbone.stages.0.blocks.0.attn.attn_mask"] = torch.zeros(1)
    meta = {
        "mmcv_version": "1.7.0",
        "time": time.asctime(),
        "CLASSES": ("a", "b"),
        "epoch": 1,
        "config": "model = dict()",
        "hook_msgs": {},
        "iter": 9,
    }
    torch.save({"meta": meta, "state_dict": state, "optimizer": {"state": {}}}, path)


def digests(model: torch.nn.Module) -> dict[str, str]:
    found = {}
    for name, value in model.state_dict().items():
        data = io.BytesIO(value.numpy().tobytes())
        found[name] = hashlib.sha256(data.getvalue()).hexdigest()[:12]
    return found


def main(engine: str, folder: str) -> None:
    if engine == "mm2pl":
        import mm2pl

        mm2pl.install_as_mmengine()
    runner = importlib.import_module("mmengine.runner")
    results = {}
    for name, (library, cfg) in MODELS.items():
        path = Path(folder, f"{name}.pth")
        if engine == "mmengine":
            write(path, name, build(library, cfg))
        model = build(library, cfg, **({"img_size": 96} if name.startswith("vit") else {}))
        before = digests(model)
        logger, lines = logging.Logger("loading"), Lines()
        logger.addHandler(lines)
        runner.load_checkpoint(model, str(path), logger=logger)
        after = digests(model)
        results[name] = {
            "weights": after,
            "log": lines.lines[1:],
            "changed": sum(before[key] != after[key] for key in after),
        }
    print(json.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
