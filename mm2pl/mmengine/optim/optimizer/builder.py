"""Registers the optimizers there are, and builds a wrapper from its config."""

from __future__ import annotations

import copy
import inspect
from typing import Any

import torch
from torch import nn

from mm2pl.mmengine.optim.optimizer import _third_party
from mm2pl.mmengine.optim.optimizer.optimizer_wrapper import OptimWrapper
from mm2pl.mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIMIZERS
from mm2pl.mmengine.registry.errors import record, trail_of

__all__ = ["OPTIMIZERS", "OPTIM_WRAPPER_CONSTRUCTORS", "build_optim_wrapper"]


# What every torch since 1.10 has.
_OLD_OPTIMIZERS = {"ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "LBFGS", "NAdam"}
_OLD_OPTIMIZERS |= {"RAdam", "RMSprop", "Rprop", "SGD", "SparseAdam"}


def register_torch_optimizers() -> list[str]:
    """Register every optimizer class of ``torch.optim``; return their names there.

    A name that belongs to another package's optimizer (Adafactor), or that the user has given to
    one of theirs already (a newer torch may add any name), is registered as ``Torch<name>``.

    Differs: a class that is registered later takes the name of a newer optimizer of torch's, such
    as ``Muon``, so that code from before torch had it works on.
    """
    names = []
    for name, kind in vars(torch.optim).items():
        if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer):
            taken = name in _third_party.TAKEN or name in OPTIMIZERS.module_dict
            registered = f"Torch{name}" if taken else name
            OPTIMIZERS.register_module(name=registered, module=kind)
            if name not in _OLD_OPTIMIZERS:
                OPTIMIZERS._give_way.add(registered)
            names.append(name)
    return sorted(names)


TORCH_OPTIMIZERS = register_torch_optimizers()
DADAPTATION_OPTIMIZERS = _third_party.register("dadaptation")
LION_OPTIMIZERS = _third_party.register("lion_pytorch")
SOPHIA_OPTIMIZERS = _third_party.register("Sophia")
BITSANDBYTES_OPTIMIZERS = _third_party.register("bitsandbytes.optim")
TRANSFORMERS_OPTIMIZERS = _third_party.register("transformers")


def build_optim_wrapper(model: nn.Module, cfg: dict[str, Any]) -> OptimWrapper:
    """Build the optimizer wrapper that ``optim_wrapper`` in a config describes.

    Args:
        model: The model to optimise.
        cfg: ``type`` (default ``OptimWrapper``), ``optimizer``, ``paramwise_cfg``, ``constructor``
            (default ``DefaultOptimWrapperConstructor``) and the wrapper's own arguments. Left
            as it is.
    """
    wrapper_cfg = copy.deepcopy(cfg)
    constructor_cfg = {
        "type": wrapper_cfg.pop("constructor", "DefaultOptimWrapperConstructor"),
        "paramwise_cfg": wrapper_cfg.pop("paramwise_cfg", None),
        "optim_wrapper_cfg": wrapper_cfg,
    }
    try:
        wrapper: OptimWrapper = OPTIM_WRAPPER_CONSTRUCTORS.build(constructor_cfg)(model)
    except Exception as error:  # also one that the constructor raises when it is called
        trail = trail_of(error)
        if trail is not None and trail.config is constructor_cfg and trail.key == "type":
            trail.key = "constructor"  # as the config calls it
        record(error, cfg, "an optimizer wrapper")
        raise
    return wrapper
