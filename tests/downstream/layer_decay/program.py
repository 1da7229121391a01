"""Prints the parameter groups of a library's LearningRateDecayOptimizerConstructor, or of ours.

python program.py {mmengine,mm2pl}
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

ENGINE = sys.argv[1]
if ENGINE == "mm2pl":
    import mm2pl

    mm2pl.install_as_mmengine()

from mmengine.optim import build_optim_wrapper  # noqa: E402
from mmengine.registry import (  # noqa: E402
    OPTIM_WRAPPER_CONSTRUCTORS,
    DefaultScope,
    init_default_scope,
)

DEPTHS = (3, 3, 9, 3)


def _block(width: int) -> nn.Module:
    block = nn.Module()
    block.depthwise_conv = nn.Conv2d(width, width, 7, groups=width)
    block.norm = nn.LayerNorm(width)
    block.pointwise_conv1 = nn.Linear(width, 4)
    block.gamma = nn.Parameter(torch.ones(width))
    return block


class ConvNeXt(nn.Module):
    """Parameters named as those of mmpretrain's."""

    def __init__(self) -> None:
        super().__init__()
        self.downsample_layers = nn.ModuleList(nn.Conv2d(2, 2, 1) for _ in DEPTHS)
        self.stages = nn.ModuleList(
            nn.Sequential(*(_block(2) for _ in range(depth))) for depth in DEPTHS
        )
        self.norm3 = nn.LayerNorm(2)


class _Transformer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 2))
        self.pos_embed = nn.Parameter(torch.zeros(1, 4, 2))
        self.patch_embed = nn.Conv2d(3, 2, 1)
        self.layers = nn.ModuleList(nn.TransformerEncoderLayer(2, 1, 4) for _ in range(12))
        self.ln1 = nn.LayerNorm(2)


class BEiT(_Transformer):
    """Parameters named as those of mmseg's."""


class MAE(_Transformer):
    """The same."""


class ResNet(nn.Module):
    """No constructor knows its layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 2, 1)


class Segmentor(nn.Module):
    """A backbone, a head, and a frozen parameter."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.decode_head = nn.Conv2d(2, 2, 1)
        self.decode_head.bias.requires_grad = False
        self.pos_embed = nn.Parameter(torch.zeros(1, 4, 2))


def _cases() -> dict[str, tuple[type[nn.Module], dict[str, Any]]]:
    layers, stages = {"num_layers": 12, "decay_rate": 0.9}, {"num_layers": 6, "decay_rate": 0.8}
    return {
        "convnext, layer by layer": (ConvNeXt, {**layers, "decay_type": "layer_wise"}),
        "convnext, stage by stage": (ConvNeXt, {**stages, "decay_type": "stage_wise"}),
        "convnext, by default": (ConvNeXt, layers),
        "beit": (BEiT, {**layers, "decay_type": "layer_wise"}),
        "beit, as its older configs say it": (BEiT, {**layers, "decay_type": "layer_wise_vit"}),
        "mae": (MAE, {"num_layers": 12, "decay_rate": 0.65}),
        "transformer, stage by stage": (BEiT, {**layers, "decay_type": "stage_wise"}),
        "resnet": (ResNet, layers),
    }


def _groups(kind: type[nn.Module], paramwise: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    cfg = {
        "type": "OptimWrapper",
        "optimizer": {"type": "AdamW", "lr": 1e-4, "weight_decay": 0.05},
        "constructor": "LearningRateDecayOptimizerConstructor",
        "paramwise_cfg": paramwise,
    }
    with _logged() as lines:
        try:
            wrapper = build_optim_wrapper(Segmentor(kind()), cfg)
        except NotImplementedError:
            return "NotImplementedError"
    groups = [
        {
            key: [list(one.shape) for one in value] if key == "params" else value
            for key, value in group.items()
        }
        for group in wrapper.optimizer.param_groups
    ]
    return {"groups": groups, "lines": lines}


@contextmanager
def _logged() -> Iterator[list[str]]:
    """Take what the constructor in force logs of parameters and groups."""
    with OPTIM_WRAPPER_CONSTRUCTORS.switch_scope_and_registry(None) as registry:
        kind = registry.get("LearningRateDecayOptimizerConstructor")
    module = sys.modules[kind.__module__]
    lines: list[str] = []

    def take(message: str, *args: Any, **kwargs: Any) -> None:
        if message.startswith(("set param", "Param groups")):
            lines.append(message)

    before, module.print_log = getattr(module, "print_log", None), take
    try:
        yield lines
    finally:
        module.print_log = before


def _all_groups() -> dict[str, Any]:
    return {name: _groups(*case) for name, case in _cases().items()}


def main() -> None:
    """Print each library's groups; on mm2pl also those without a library."""
    printed = {}
    for scope, package in (("mmdet", "mmdet"), ("mmseg", "mmseg")):
        __import__(f"{package}.engine.optimizers" if scope == "mmseg" else "mmdet.engine")
        init_default_scope(scope)
        with DefaultScope.overwrite_default_scope(scope):
            printed[scope] = _all_groups()
    if ENGINE == "mm2pl":
        # mmpretrain's constructor has another name, so that the short one means ours.
        for name, scope in (("none", "mmengine"), ("mmpretrain", "mmpretrain")):
            with DefaultScope.overwrite_default_scope(scope):
                printed[name] = _all_groups()
    print(json.dumps(printed))


if __name__ == "__main__":
    main()
