"""Counts operations, activations and parameters of a model."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from rich.table import Table
from torch import nn

from mm2pl.mmengine.analysis import jit_handles as handles
from mm2pl.mmengine.analysis._tables import as_text, plain_table
from mm2pl.mmengine.analysis.jit_analysis import JitModelAnalysis
from mm2pl.mmengine.analysis.jit_handles import Handle

# What MMEngine counts. Attention by one fused operator is not among it, as there.
_FLOPS: dict[str, Handle] = {
    "aten::addmm": handles.addmm_flop_jit,
    "aten::bmm": handles.bmm_flop_jit,
    "aten::_convolution": handles.conv_flop_jit,
    "aten::einsum": handles.einsum_flop_jit,
    "aten::matmul": handles.matmul_flop_jit,
    "aten::mm": handles.matmul_flop_jit,
    "aten::linear": handles.linear_flop_jit,
    "aten::batch_norm": handles.batchnorm_flop_jit,
    "aten::group_norm": handles.norm_flop_counter(2),
    "aten::layer_norm": handles.norm_flop_counter(2),
    "aten::instance_norm": handles.norm_flop_counter(1),
    "aten::upsample_nearest2d": handles.elementwise_flop_counter(0, 1),
    "aten::upsample_bilinear2d": handles.elementwise_flop_counter(0, 4),
    "aten::adaptive_avg_pool2d": handles.elementwise_flop_counter(1, 0),
    "aten::grid_sampler": handles.elementwise_flop_counter(0, 4),
}
_ACTIVATIONS: dict[str, Handle] = {
    "aten::_convolution": handles.generic_activation_jit("conv"),
    **{
        f"aten::{name}": handles.generic_activation_jit()
        for name in ("addmm", "bmm", "einsum", "matmul", "linear")
    },
}


class FlopAnalyzer(JitModelAnalysis):
    """Counts a model's operations; a multiply-add is one.

    Args:
        model: The model.
        inputs: A tensor, or a tuple of what to call the model with.
    """

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        super().__init__(model=model, inputs=inputs)
        self.set_op_handle(**_FLOPS)


class ActivationAnalyzer(JitModelAnalysis):
    """Counts the numbers that a model's convolutions and products put out.

    Args:
        model: The model.
        inputs: A tensor, or a tuple of what to call the model with.
    """

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        super().__init__(model=model, inputs=inputs)
        self.set_op_handle(**_ACTIVATIONS)


def flop_count(
    model: nn.Module,
    inputs: tuple[Any, ...],
    supported_ops: dict[str, Handle] | None = None,
) -> tuple[defaultdict[str, float], Counter[str]]:
    """Return a model's operations in units of 1e9, and how often unknown operators ran.

    Args:
        model: The model.
        inputs: What to call it with.
        supported_ops: More handles, or others.
    """
    return _count(FlopAnalyzer(model, inputs), supported_ops, 1e9)


def activation_count(
    model: nn.Module,
    inputs: tuple[Any, ...],
    supported_ops: dict[str, Handle] | None = None,
) -> tuple[defaultdict[str, float], Counter[str]]:
    """Return a model's activations in units of 1e6, and how often unknown operators ran.

    Args:
        model: The model.
        inputs: What to call it with.
        supported_ops: More handles, or others.
    """
    return _count(ActivationAnalyzer(model, inputs), supported_ops, 1e6)


def _count(
    analyzer: JitModelAnalysis, supported_ops: dict[str, Handle] | None, unit: float
) -> tuple[defaultdict[str, float], Counter[str]]:
    costs = analyzer.set_op_handle(**(supported_ops or {})).by_operator()
    scaled = defaultdict(float, {name: cost / unit for name, cost in costs.items()})
    return scaled, analyzer.unsupported_ops()


def parameter_count(model: nn.Module) -> defaultdict[str, int]:
    """Return the number of elements of each parameter and of each module's parameters.

    The whole model has the name ``""``.
    """
    count: defaultdict[str, int] = defaultdict(int)
    for name, parameter in model.named_parameters():
        parts = name.split(".")
        for depth in range(len(parts) + 1):
            count[".".join(parts[:depth])] += parameter.numel()
    return count


def parameter_count_table(model: nn.Module, max_depth: int = 3) -> str:
    """Return :func:`parameter_count` as a table, with the parameters' shapes.

    Args:
        model: The model.
        max_depth: How many levels of names to show.
    """
    count = parameter_count(model)
    shapes = {name: str(tuple(value.shape)) for name, value in model.named_parameters()}
    table = plain_table(
        "name", "#elements or shape", title=f"parameter count of {type(model).__name__}"
    )
    table.add_row("model", _short(count.pop("", 0)))
    _add_rows(table, count, shapes, 0, max_depth, "")
    return as_text(table)


def _add_rows(
    table: Table,
    count: dict[str, int],
    shapes: dict[str, str],
    level: int,
    max_depth: int,
    prefix: str,
) -> None:
    if level >= max_depth:
        return
    indent = " " * (level + 1)
    for name, size in count.items():
        if name.count(".") == level and name.startswith(prefix):
            table.add_row(indent + name, indent + (shapes.get(name) or _short(size)))
            _add_rows(table, count, shapes, level + 1, max_depth, f"{name}.")


def _short(size: int) -> str:
    for limit, unit, letter in ((1e8, 1e9, "G"), (1e5, 1e6, "M"), (1e2, 1e3, "K")):
        if size > limit:
            return f"{size / unit:.1f}{letter}"
    return str(size)
