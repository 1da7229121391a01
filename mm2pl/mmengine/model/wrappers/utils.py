"""Whether a module is a wrapper (such as DDP) around the model proper."""

from __future__ import annotations

from torch import nn

from mm2pl.mmengine.registry import MODEL_WRAPPERS, Registry


def is_model_wrapper(model: nn.Module, registry: Registry = MODEL_WRAPPERS) -> bool:
    """Return whether ``model`` is an instance of a registered model wrapper.

    Args:
        model: The module in question.
        registry: Where wrappers are registered; its child registries count too.
    """
    if isinstance(model, tuple(registry.module_dict.values())):
        return True
    return any(is_model_wrapper(model, child) for child in registry.children.values())
