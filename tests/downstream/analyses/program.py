"""Counts mmpretrain's networks: ``python program.py ENGINE``."""

from __future__ import annotations

import json
import sys
import warnings

if sys.argv[1] == "mm2pl":
    import mm2pl

    mm2pl.install_as_mmengine()

import mmpretrain.models  # noqa: F401  # registers them
import torch
from mmengine.analysis import ActivationAnalyzer, FlopAnalyzer, get_model_complexity_info
from mmpretrain.registry import MODELS

NETWORKS = {
    "resnet": {"type": "ResNet", "depth": 50},
    "vit": {"type": "VisionTransformer", "arch": "deit-small", "img_size": 64},
    "swin": {"type": "SwinTransformer", "arch": "tiny", "img_size": 64, "pad_small_map": True},
    "convnext": {"type": "ConvNeXt", "arch": "tiny"},
    "mobilenet": {"type": "MobileNetV2"},
    "efficientnet": {"type": "EfficientNet", "arch": "b0"},
}


def analyse(network):
    model = MODELS.build(network)
    model.eval()
    inputs = (torch.zeros(1, 3, 64, 64),)
    info = get_model_complexity_info(model, inputs=inputs, show_arch=False)
    flops, activations = FlopAnalyzer(model, inputs), ActivationAnalyzer(model, inputs)
    return {
        "info": info,
        "flops": [flops.by_module(), flops.by_operator(), sorted(flops.uncalled_modules())],
        "activations": [activations.by_module(), activations.by_operator()],
    }


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print("\n" + json.dumps({name: analyse(network) for name, network in NETWORKS.items()}))
