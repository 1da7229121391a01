"""Builds modules whose weights take no memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

# What makes tensors as large as weights. Small ones are wanted as numbers by constructors, say
# `[x.item() for x in torch.linspace(0, rate, depth)]`, so linspace, arange and tensor stay real.
_LARGE = (
    torch.empty,
    torch.zeros,
    torch.ones,
    torch.full,
    torch.rand,
    torch.randn,
    torch.empty_strided,
)


class Weightless(TorchFunctionMode):
    """Within it, what weights are made by gives tensors on the meta device.

    ``with torch.device("meta")`` does so with all tensors, and four of ten models of mmpretrain can
    then not be built.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in _LARGE and kwargs.get("device") is None:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)
