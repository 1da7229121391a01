"""Tracing."""

from __future__ import annotations

import torch


def is_jit_tracing() -> bool:
    """Tell whether ``torch.jit`` is tracing."""
    return bool(torch.jit.is_tracing())  # type: ignore[attr-defined, no-untyped-call]
