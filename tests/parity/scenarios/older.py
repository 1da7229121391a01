"""Forms of MMEngine's first releases with mm2pl, and the same config in today's with MMEngine."""

from __future__ import annotations

from typing import Any

import mmengine
from case import Case

OURS = "mm2pl" in mmengine.__file__.split("/")[-3]
SGD = {"type": "SGD", "lr": 0.05, "momentum": 0.9}
CLIP = {"max_norm": 0.1}
LOGGER = {"interval": 2}
TODAYS_LOGGER = {"logger": {"type": "LoggerHook", **LOGGER}}


def _train(case: Case, older: dict[str, Any], todays: dict[str, Any]) -> None:
    case.train(**(older if OURS else todays))


def clipped_by_a_hook(case: Case) -> None:
    hooks = {
        "optimizer": {"type": "OptimizerHook", "grad_clip": CLIP},
        "logger": {"type": "TextLoggerHook", **LOGGER},
    }
    _train(
        case,
        {"default_hooks": hooks},
        {
            "optim_wrapper": {"optimizer": SGD, "clip_grad": CLIP},
            "default_hooks": TODAYS_LOGGER,
        },
    )


def accumulated_by_a_custom_hook(case: Case) -> None:
    hook = {"type": "GradientCumulativeOptimizerHook", "cumulative_iters": 4, "grad_clip": CLIP}
    _train(
        case,
        {"custom_hooks": [hook, {"type": "EMAHook", "start_iters": 5}]},
        {
            "optim_wrapper": {"optimizer": SGD, "accumulative_counts": 4, "clip_grad": CLIP},
            "custom_hooks": [{"type": "EMAHook", "begin_iter": 5}],
        },
    )


def with_the_sections_of_then(case: Case) -> None:
    norm = {"norm_decay_mult": 0.0}
    decayed = {**SGD, "weight_decay": 0.01}
    schedule = [{"type": "MultiStepLR", "milestones": [1, 2], "gamma": 0.1}]
    backend = {"type": "TensorboardVisBackend"}
    older = {
        "optimizer": {**decayed, "paramwise_cfg": norm},
        "optimizer_config": {"type": "OptimizerHook", "grad_clip": CLIP},
        "scheduler": schedule,
        "runner": {"type": "EpochBasedRunner", "max_epochs": 3},
        "checkpoint_config": {"internal": 2, "max_keep_ckpts": 1},
        "log_config": {
            "interval": 2,
            "hooks": [{"type": "TextLoggerHook"}, {"type": "TensorboardLoggerHook"}],
        },
        "val_cfg": {"interval": 2},
    }
    gone = dict.fromkeys(("optim_wrapper", "train_cfg", "default_hooks"))
    todays = {
        "optim_wrapper": {"optimizer": decayed, "paramwise_cfg": norm, "clip_grad": CLIP},
        "param_scheduler": schedule,
        "train_cfg": {"by_epoch": True, "max_epochs": 3, "val_interval": 2},
        "default_hooks": {
            **TODAYS_LOGGER,
            "checkpoint": {"type": "CheckpointHook", "interval": 2, "max_keep_ckpts": 1},
        },
        "visualizer": {
            "type": "Visualizer",
            "vis_backends": [{"type": "LocalVisBackend"}, backend],
        },
    }
    _train(case, {**gone, **older}, todays)
