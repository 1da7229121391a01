"""Putting weights into a module and its children; what does not fit, in a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import nn
from torch.nn.modules.module import _IncompatibleKeys

from mm2pl.mmengine.model.wrappers import is_model_wrapper

_SHAPES = re.compile(
    r"size mismatch for (\S+): copying a param with shape torch\.Size\((.*?)\) from checkpoint,"
    r" the shape in current model is torch\.Size\((.*?)\)"
)


def with_table(problems: list[str]) -> list[str]:
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


def load_part(
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
            load_part(child, below, start, metadata, problems)
    keys = _IncompatibleKeys(*problems[:2])
    for hook in part._load_state_dict_post_hooks.values():
        if hook(part, keys) is not None:
            raise AssertionError(
                f"a load_state_dict_post_hook of {type(part).__name__} returned a value; "
                "it may only change the names in its second argument"
            )


def _is_tta(module: nn.Module) -> bool:
    from mm2pl.mmengine.model import BaseTTAModel

    return isinstance(module, BaseTTAModel)
