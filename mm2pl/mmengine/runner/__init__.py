"""The runner and its loops; ``Runner`` is ``mm2pl.runner.Runner``, imported when asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mm2pl.support import unsupported

if TYPE_CHECKING:
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
    from mm2pl.runner import Runner

FlexibleRunner = unsupported(
    "mmengine.runner.FlexibleRunner",
    "strategies come with a later release of mm2pl",
    "use Runner",
)

_PLACES = {
    "activation_checkpointing": ("turn_on_activation_checkpointing",),
    "amp": ("autocast",),
    "base_loop": ("BaseLoop",),
    "checkpoint": (
        "CheckpointLoader",
        "find_latest_checkpoint",
        "get_deprecated_model_names",
        "get_external_models",
        "get_mmcls_models",
        "get_state_dict",
        "get_torchvision_models",
        "load_checkpoint",
        "load_state_dict",
        "save_checkpoint",
        "weights_to_cpu",
    ),
    "log_processor": ("LogProcessor",),
    "loops": ("EpochBasedTrainLoop", "IterBasedTrainLoop", "TestLoop", "ValLoop"),
    "priority": ("Priority", "get_priority"),
    "runner": ("Runner",),
    "utils": ("set_random_seed",),
}
_MODULE_OF = {name: module for module, names in _PLACES.items() for name in names}

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
    if name in _MODULE_OF:
        value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
        globals()[name] = value
        return value
    if name in _PLACES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
