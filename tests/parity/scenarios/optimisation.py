"""Optimizer wrappers, schedules of learning rate and momentum, initial weights."""

from __future__ import annotations

from typing import Any

import torch
from case import Case, loader
from mmengine.registry import OPTIMIZERS

SHORT = {"by_epoch": True, "max_epochs": 2}
SGD = {"type": "SGD", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}


def adamw(case: Case) -> None:
    case.train(optim_wrapper={"optimizer": {"type": "AdamW", "lr": 0.01}}, train_cfg=SHORT)


@OPTIMIZERS.register_module()
class PlainDescent(torch.optim.SGD):
    """A user's optimizer, whose step takes nothing."""

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter -= group["lr"] * parameter.grad


def step_without_a_closure(case: Case) -> None:
    section = {"optimizer": {"type": "PlainDescent", "lr": 0.05}, "accumulative_counts": 4}
    steps = {"type": "MultiStepLR", "milestones": [1]}
    case.train(optim_wrapper=section, param_scheduler=steps, train_cfg=SHORT)


def clip_norm(case: Case) -> None:
    case.train(optim_wrapper={"optimizer": SGD, "clip_grad": {"max_norm": 0.5}}, train_cfg=SHORT)


def clip_value(case: Case) -> None:
    clip = {"type": "value", "clip_value": 0.05}
    case.train(optim_wrapper={"optimizer": SGD, "clip_grad": clip}, train_cfg=SHORT)


def accumulation(case: Case) -> None:
    """Six batches an epoch and 18 in all: windows of four cross the borders, the last is short."""
    case.train(optim_wrapper={"optimizer": SGD, "accumulative_counts": 4})


def accumulation_in_the_iteration_loop(case: Case) -> None:
    case.train(
        optim_wrapper={"optimizer": SGD, "accumulative_counts": 3, "clip_grad": {"max_norm": 1.0}},
        train_dataloader=loader(sampler={"type": "InfiniteSampler"}),
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": 14, "val_interval": 4},
        param_scheduler={"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 9},
    )


def resumed_inside_an_accumulation_window(case: Case) -> None:
    section = {"optimizer": SGD, "accumulative_counts": 4}
    case.train(optim_wrapper=section, train_cfg=SHORT)
    case.train(optim_wrapper=section, resume=True)


def parameter_groups(case: Case) -> None:
    paramwise = {
        "norm_decay_mult": 0.0,
        "bias_lr_mult": 2.0,
        "bias_decay_mult": 0.0,
        "custom_keys": {"head": {"lr_mult": 0.1}},
    }
    case.train(
        optim_wrapper={"optimizer": SGD, "paramwise_cfg": paramwise},
        param_scheduler={"type": "MultiStepLR", "milestones": [1]},
        train_cfg=SHORT,
    )


def momentum_schedule(case: Case) -> None:
    rows: list[dict[str, Any]] = [
        {"type": "CosineAnnealingLR", "T_max": 3, "eta_min": 1e-3},
        {"type": "LinearMomentum", "start_factor": 0.5, "by_epoch": False, "end": 9},
    ]
    case.train(param_scheduler=rows)


def cosine_by_iteration(case: Case) -> None:
    cosine = {
        "type": "CosineAnnealingLR",
        "T_max": 3,
        "by_epoch": True,
        "begin": 0,
        "end": 3,
        "eta_min": 1e-4,
        "convert_to_iter_based": True,
    }
    case.train(param_scheduler=cosine)


def warmup_then_cosine(case: Case) -> None:
    rows = [
        {"type": "LinearLR", "start_factor": 1e-3, "end": 1, "convert_to_iter_based": True},
        {"type": "CosineAnnealingLR", "begin": 1, "T_max": 2, "eta_min_ratio": 0.05},
    ]
    case.train(param_scheduler=rows)


def poly_by_epoch(case: Case) -> None:
    case.train(param_scheduler={"type": "PolyLR", "power": 0.9, "eta_min": 1e-3})


def constant_and_exponential(case: Case) -> None:
    rows = [
        {"type": "ConstantLR", "factor": 0.1, "by_epoch": False, "end": 4},
        {"type": "ExponentialLR", "gamma": 0.8},
    ]
    case.train(param_scheduler=rows)


def one_cycle(case: Case) -> None:
    cycle = {"type": "OneCycleLR", "eta_max": 0.1, "total_steps": 18, "by_epoch": False}
    case.train(param_scheduler=cycle)


def scaled_learning_rate(case: Case) -> None:
    case.train(auto_scale_lr={"enable": True, "base_batch_size": 16}, train_cfg=SHORT)


def learning_rate_not_scaled(case: Case) -> None:
    case.train(auto_scale_lr={"enable": False, "base_batch_size": 16}, train_cfg=SHORT)


INIT = [
    {"type": "Xavier", "layer": "Linear", "distribution": "uniform"},
    {"type": "Constant", "layer": "BatchNorm1d", "val": 0.5, "bias": 0.1},
]
BLOCK = [
    {"type": "Kaiming", "layer": "Conv1d", "a": 1},
    {"type": "TruncNormal", "layer": "Linear", "std": 0.03},
]


def initial_weights(case: Case) -> None:
    model = {"type": "InitModel", "init_cfg": INIT, "block_cfg": BLOCK}
    case.train(model=model, train_cfg=SHORT)


def initial_weights_with_override(case: Case) -> None:
    override = {"name": "head", "type": "Normal", "mean": 0.1, "std": 0.02, "bias": 0.3}
    init = {"type": "Uniform", "layer": ["Linear", "Conv1d"], "a": -0.1, "b": 0.2}
    case.train(model={"type": "InitModel", "init_cfg": {**init, "override": override}})


def pretrained_weights(case: Case) -> None:
    case.train(train_cfg=SHORT)
    init = {"type": "Pretrained", "checkpoint": str(case.work_dir / "epoch_2.pth")}
    case.train(model={"type": "ToyModel", "init_cfg": init}, train_cfg=SHORT)


def synchronised_batch_norm(case: Case) -> None:
    """On one process SyncBatchNorm becomes BatchNorm by itself."""
    case.train(model={"type": "ToyModel", "norm": "SyncBatchNorm"}, train_cfg=SHORT)


def many_losses(case: Case) -> None:
    case.train(model={"type": "ManyLossesModel"}, train_cfg=SHORT)
