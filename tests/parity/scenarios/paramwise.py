"""Options by parameter: each rule alone and all together, on every kind of layer they speak of."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from case import Case, loader
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import nn
from torch.nn import functional as F
from toys import labels_of

SGD = {"type": "SGD", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
ADAMW = {"type": "AdamW", "lr": 0.01, "weight_decay": 0.05}
STEPS = {"type": "MultiStepLR", "milestones": [1], "gamma": 0.3}
RULES = {
    "bias_lr_mult": 2.0,
    "bias_decay_mult": 0.3,
    "norm_decay_mult": 0.0,
    "flat_decay_mult": 0.6,
    "dwconv_decay_mult": 0.5,
    "dcn_offset_lr_mult": 0.1,
}
KEYS: dict[str, dict[str, Any]] = {
    "conv": {"decay_mult": 0.4},
    "depthwise": {"lr_mult": 0.5, "momentum": 0.5},
    "depthwise.weight": {"lr_mult": 0.25, "decay_mult": 0.0, "nesterov": True},
    "head": {"lr_mult": 10.0},
    "scale": {"lr_mult": 0.0},
}


class DeformConv2d(nn.Conv2d):
    """In the place of mmcv's; a convolution whose inputs another one moves, here a little."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conv_offset = nn.Conv2d(self.in_channels, self.in_channels, 1)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return super().forward(inputs + 0.1 * self.conv_offset(inputs))


class ModulatedDeformConv2d(DeformConv2d):
    """The other class that the rule knows."""


@MODELS.register_module()
class ManyLayers(BaseModel):
    """Linear, ordinary, depth-wise and deformable convolutions, norms, a free vector, shared ones.

    Args:
        shared: Whether two modules have one weight.
        frozen: Whether one bias is not trained.
    """

    def __init__(self, shared: bool = False, frozen: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 1)
        self.bn = nn.BatchNorm2d(4)
        self.depthwise = nn.Conv2d(4, 4, (1, 3), groups=4)
        self.group_norm = nn.GroupNorm(2, 4)
        self.moved = ModulatedDeformConv2d(4, 4, 1)
        self.scale = nn.Parameter(torch.ones(4))
        self.norm = nn.LayerNorm(4)
        self.mlp = nn.Linear(4, 4)
        self.again = nn.Linear(4, 4)
        if shared:
            self.again.weight = self.mlp.weight
        self.head = nn.Linear(4, 3)
        self.mlp.bias.requires_grad = not frozen

    def logits(self, inputs: Any) -> torch.Tensor:
        hidden = self.bn(self.conv(torch.stack(list(inputs))[:, None, None]))
        hidden = self.moved(self.group_norm(self.depthwise(hidden)))
        flat = self.norm(F.relu(hidden).mean((2, 3)) * self.scale)
        scores: torch.Tensor = self.head(F.relu(self.again(F.relu(self.mlp(flat)))))
        return scores

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        logits = self.logits(inputs)
        if mode == "loss":
            return {"loss": F.cross_entropy(logits, labels_of(data_samples))}
        if mode == "predict":
            pairs = zip(logits, labels_of(data_samples), strict=True)
            return [{"pred_score": score, "gt_label": label} for score, label in pairs]
        return logits


def _train(case: Case, optimizer: Any = SGD, model: Any = None, **paramwise: Any) -> Any:
    with _mmcv():
        return case.train(
            model={"type": "ManyLayers", **(model or {})},
            optim_wrapper={"optimizer": optimizer, "paramwise_cfg": paramwise},
            param_scheduler=STEPS,
            train_cfg={"by_epoch": True, "max_epochs": 2},
        )


@contextmanager
def _mmcv() -> Iterator[None]:
    """Let both engines find the two deformable convolutions."""
    package, ops = types.ModuleType("mmcv"), types.ModuleType("mmcv.ops")
    package.__path__ = []
    ops.__dict__.update(DeformConv2d=DeformConv2d, ModulatedDeformConv2d=ModulatedDeformConv2d)
    theirs = sys.modules["mmengine.optim.optimizer.default_constructor"]
    if hasattr(theirs, "mmcv_full_available"):
        theirs.mmcv_full_available = lambda: True
    sys.modules.update({"mmcv": package, "mmcv.ops": ops})
    yield
    del sys.modules["mmcv"], sys.modules["mmcv.ops"]


def bias_lr_mult(case: Case) -> None:
    _train(case, bias_lr_mult=RULES["bias_lr_mult"])


def bias_decay_mult(case: Case) -> None:
    _train(case, bias_decay_mult=RULES["bias_decay_mult"])


def norm_decay_mult(case: Case) -> None:
    _train(case, norm_decay_mult=RULES["norm_decay_mult"])


def flat_decay_mult(case: Case) -> None:
    _train(case, flat_decay_mult=RULES["flat_decay_mult"])


def dwconv_decay_mult(case: Case) -> None:
    _train(case, dwconv_decay_mult=RULES["dwconv_decay_mult"])


def dcn_offset_lr_mult(case: Case) -> None:
    _train(case, dcn_offset_lr_mult=RULES["dcn_offset_lr_mult"])


def bypass_duplicate(case: Case) -> None:
    _train(case, model={"shared": True}, bypass_duplicate=True)


def duplicates_that_are_not_bypassed(case: Case) -> None:
    try:
        _train(case, model={"shared": True}, bias_lr_mult=2.0)
    except ValueError as error:
        case.note(type(error).__name__, str(error))


def custom_keys(case: Case) -> None:
    """The longest key wins, and options of the optimizer may stand beside the factors."""
    _train(case, custom_keys=KEYS)


def all_together(case: Case) -> None:
    model = {"shared": True, "frozen": True}
    _train(case, model=model, bypass_duplicate=True, custom_keys=KEYS, **RULES)


def all_together_with_adamw(case: Case) -> None:
    keys = {**KEYS, "depthwise.weight": {"lr_mult": 0.25, "betas": (0.8, 0.9), "amsgrad": True}}
    keys["depthwise"] = {"lr_mult": 0.5, "eps": 1e-4}
    _train(case, ADAMW, {"shared": True}, bypass_duplicate=True, custom_keys=keys, **RULES)


def frozen_parameters(case: Case) -> None:
    _train(case, model={"frozen": True}, norm_decay_mult=0.5)


def accumulated_and_clipped(case: Case) -> None:
    paramwise = {**RULES, "custom_keys": KEYS}
    section = {"optimizer": SGD, "paramwise_cfg": paramwise, "accumulative_counts": 4}
    warmup = {"type": "LinearLR", "start_factor": 0.01, "by_epoch": False, "end": 7}
    case.train(
        model={"type": "ManyLayers"},
        optim_wrapper={**section, "clip_grad": {"max_norm": 0.2}},
        param_scheduler=[warmup, {"type": "LinearMomentum", "start_factor": 0.5, "end": 2}],
        train_dataloader=loader(size=26),
        auto_scale_lr={"enable": True, "base_batch_size": 6},
    )
