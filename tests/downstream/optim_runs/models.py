"""Models with the parameters of a config's own: built from it where that works here."""

from __future__ import annotations

import socket
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NoReturn

import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import nn
from torch.overrides import TorchFunctionMode


def model_of(cfg: Any) -> tuple[nn.Module, str]:
    """Return the config's own model, or one of its parts, and how much of it that is.

    Some models need packages that are not here, or weights from the network, as a whole.
    """
    socket.getaddrinfo = _no_network
    model = cfg.get("model") or {}
    whole = _built(model)
    if whole is not None:
        whole.to = lambda *args, **kwargs: whole  # nothing can be moved from the meta device
        return whole, "all"
    parts = Parts(model)
    return parts, ", ".join(name for name, _ in parts.named_children())


class Parts(BaseModel):
    """Those parts of a model that can be built by themselves, under the names they have in it."""

    def __init__(self, model: dict[str, Any]) -> None:
        super().__init__()
        for name, section in model.items():
            built = _built(section) if isinstance(section, dict) and "type" in section else None
            if isinstance(built, nn.Module) and name != "data_preprocessor":
                self.add_module(name, built)
        if not list(self.parameters()):
            self.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
            self.head = nn.Linear(4, 2)

    def forward(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError

    def to(self, *args: Any, **kwargs: Any) -> Parts:
        return self


def _built(section: dict[str, Any]) -> Any:
    """Return what a section describes, without memory for its weights where it allows that."""
    contexts: list[AbstractContextManager[Any]] = [_WithoutMemory(), nullcontext()]
    for context in contexts:
        try:
            with context:
                return MODELS.build(section)
        except Exception:  # whatever a library raises where something is missing
            continue
    return None


class _WithoutMemory(TorchFunctionMode):
    """Puts large new tensors on the meta device: only names, shapes and modules are looked at."""

    LARGE = 1 << 14

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if func is torch.empty and made.numel() >= self.LARGE and made.device.type == "cpu":
            return func(*args, **{**(kwargs or {}), "device": "meta"})
        return made


def _no_network(*args: Any, **kwargs: Any) -> NoReturn:
    raise OSError("weights are not fetched here")
