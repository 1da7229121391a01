"""Putting weights into a module, and saying what does not fit."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.modules.module import _IncompatibleKeys

from mm2pl.mmengine.dist import get_dist_info
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.model.wrappers import is_model_wrapper

_SHAPES = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\((.*?)\) from checkpoint,"
    r" the shape in current model is torch\.Size\((.*?)\)"
)


def load_state_dict(
    module: nn.Module,
    state_dict: Mapping[str, Any],
    strict: bool = False,
    logger: logging.Logger | str | None = None,
) -> None:
    """Load weights and say what does not fit; shapes that differ are skipped unless ``strict``.

    Args:
        module: Takes the weights.
        state_dict: The weights by name.
        strict: Raise if anything is missing, left over or of another shape.
        logger: Where the mismatches are logged.

    Raises:
        RuntimeError: ``strict`` and something does not fit.
    """
    metadata = getattr(state_dict, "_metadata", None) or {}
    missing: list[str] = []
    unexpected: list[str] = []
    wrong: list[str] = []
    _load_part(module, dict(state_dict), "", metadata, (missing, unexpected, wrong))
    # Counters of BatchNorm that old files do not have change nothing.
    missing = [key for key in missing if "num_batches_tracked" not in key]
    if unexpected:
        wrong.append(f"unexpected key in source state_dict: {', '.join(unexpected)}\n")
    if missing:
        wrong.append(f"missing keys in source state_dict: {', '.join(missing)}\n")
    wrong = _with_table(wrong)
    if wrong and get_dist_info()[0] == 0:
        message = "\n".join(["The model and loaded state dict do not match exactly\n", *wrong])
        if strict:
            raise RuntimeError(message)
        print_log(message, logger=logger, level=logging.WARNING)


def _with_table(problems: list[str]) -> list[str]:
    """Put the weights whose shapes differ into a table.

    Differs: MMEngine has a sentence for each.
    """
    found = {one: _SHAPES.search(one) for one in problems}
    rows = [match.groups() for match in found.values() if match]
    if not rows:
        return problems
    rows.insert(0, ("weight", "in the checkpoint", "in the model"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    table = "\n".join(["weights with another shape:", *lines]) + "\n"
    return [table, *(one for one, match in found.items() if not match)]


def _load_part(
    part: nn.Module,
    weights: dict[str, Any],
    prefix: str,
    metadata: Mapping[str, Any],
    problems: tuple[list[str], list[str], list[str]],
) -> None:
    """Load a module and its children; ``problems`` gathers missing, unexpected and wrong names."""
    if is_model_wrapper(part) or _is_tta(part):
        part = part.module  # type: ignore[assignment]
    part._load_from_state_dict(weights, prefix, metadata.get(prefix[:-1], {}), True, *problems)
    for name, child in part._modules.items():
        if child is not None:
            start = f"{prefix}{name}."
            # Not from the whole: the parent may have renamed what its children are to find.
            below = {key: value for key, value in weights.items() if key.startswith(start)}
            _load_part(child, below, start, metadata, problems)
    keys = _IncompatibleKeys(*problems[:2])
    for hook in part._load_state_dict_post_hooks.values():
        hook(part, keys)


def _is_tta(module: nn.Module) -> bool:
    from mm2pl.mmengine.model import BaseTTAModel

    return isinstance(module, BaseTTAModel)
