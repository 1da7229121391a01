"""Automatic mixed precision for whatever device is in use."""

from __future__ import annotations

import torch

from mm2pl.mmengine.device import get_device

__all__ = ["autocast"]


def autocast(
    device_type: str | None = None,
    dtype: torch.dtype | None = None,
    enabled: bool = True,
    cache_enabled: bool | None = None,
) -> torch.autocast:
    """Return torch's autocast context for the device in use.

    Differs: float16 on a CPU is left to torch to accept or refuse; MMEngine asserts bfloat16.

    Args:
        device_type: ``cuda``, ``cpu``, ...; by default the device that training uses.
        dtype: torch's default for the device when not given.
        enabled: Whether to cast at all.
        cache_enabled: Whether cast weights are kept within the context.
    """
    return torch.autocast(
        device_type=device_type or get_device(),
        dtype=dtype,
        enabled=enabled,
        cache_enabled=cache_enabled,
    )
