"""The runner and its loops; ``Runner`` is ``mm2pl.runner.Runner``, imported when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mm2pl.mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing
from mm2pl.mmengine.runner.amp import autocast
from mm2pl.mmengine.runner.base_loop import BaseLoop
from mm2pl.mmengine.runner.checkpoint import (
    CheckpointLoader,
    find_latest_checkpoint,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_state_dict,
    get_torchvision_models,
    load_checkpoint,
    load_state_dict,
    save_checkpoint,
    weights_to_cpu,
)
from mm2pl.mmengine.runner.log_processor import LogProcessor
from mm2pl.mmengine.runner.loops import (
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    TestLoop,
    ValLoop,
)
from mm2pl.mmengine.runner.priority import Priority, get_priority
from mm2pl.mmengine.runner.utils import set_random_seed

if TYPE_CHECKING:
    from mm2pl.flexible_runner import FlexibleRunner
    from mm2pl.runner import Runner

__all__ = [
    "BaseLoop",
    "CheckpointLoader",
    "EpochBasedTrainLoop",
    "FlexibleRunner",
    "IterBasedTrainLoop",
    "LogProcessor",
    "Priority",
    "Runner",
    "TestLoop",
    "ValLoop",
    "autocast",
    "find_latest_checkpoint",
    "get_deprecated_model_names",
    "get_external_models",
    "get_mmcls_models",
    "get_priority",
    "get_state_dict",
    "get_torchvision_models",
    "load_checkpoint",
    "load_state_dict",
    "save_checkpoint",
    "set_random_seed",
    "turn_on_activation_checkpointing",
    "weights_to_cpu",
]


def __getattr__(name: str) -> Any:
    # Late: mm2pl.runner stands on everything below mm2pl.mmengine.
    if name == "Runner":
        from mm2pl.runner import Runner

        return Runner
    if name == "FlexibleRunner":
        from mm2pl.flexible_runner import FlexibleRunner

        return FlexibleRunner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
