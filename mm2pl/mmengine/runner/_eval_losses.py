"""Losses that come with the predictions, as a trailing data element that carries nothing else."""

from __future__ import annotations

from typing import Any

import torch

from mm2pl.errors import ModelError
from mm2pl.mmengine.logging import HistoryBuffer
from mm2pl.mmengine.structures import BaseDataElement
from mm2pl.mmengine.utils import is_list_of


def _update_losses(
    outputs: Any, losses: dict[str, HistoryBuffer], stage: str = "val"
) -> tuple[Any, dict[str, HistoryBuffer]]:
    """Add the losses that came as the last prediction; return the other predictions and them."""
    try:
        last = outputs[-1]
    except (TypeError, LookupError) as error:
        raise ModelError(
            f"{stage}_step() returned {outputs!r:.80}, not a list of predictions",
            hint='return one prediction for each sample from forward(mode="predict")',
        ) from error
    if not (isinstance(last, BaseDataElement) and last.keys() == ["loss"]):
        return outputs, losses
    for name, value in last.get("loss").items():
        buffer = losses.setdefault(name, HistoryBuffer())
        for one in value if is_list_of(value, torch.Tensor) else [value]:
            if isinstance(one, torch.Tensor):
                buffer.update(one.item())
    return outputs[:-1], losses


def _parse_losses(losses: dict[str, HistoryBuffer], stage: str) -> dict[str, float]:
    """Return the mean of each loss, and as ``<stage>_loss`` the sum of those named so."""
    means = {name: buffer.mean() for name, buffer in losses.items()}
    total = sum((value for name, value in means.items() if "loss" in name), 0)
    return {**means, f"{stage}_loss": total}
