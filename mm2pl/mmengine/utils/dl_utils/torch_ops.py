"""Operators whose signature changed in torch."""

from __future__ import annotations

import torch


def torch_meshgrid(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return the grids of vectors, indexed as matrices are ("ij")."""
    return tuple(torch.meshgrid(*tensors, indexing="ij"))
