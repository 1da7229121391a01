"""Prints what the analyzers count."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from mm2pl.errors import ConfigError
from mm2pl.mmengine.analysis._tables import as_text, plain_table
from mm2pl.mmengine.analysis.complexity_analysis import (
    ActivationAnalyzer,
    FlopAnalyzer,
    parameter_count,
)
from mm2pl.mmengine.utils import is_tuple_of

Row = dict[str, str]
Numbers = dict[str, dict[str, int]]  # by name of module or parameter, then by column

_UNITS = ((1e14, 1e15, "P"), (1e11, 1e12, "T"), (1e8, 1e9, "G"), (1e5, 1e6, "M"), (1e2, 1e3, "K"))
_NOT_SEEN = (
    "N/A: no operator was seen in the module; what a method of it may have run is counted for the "
    "module that called it.\n"
)


def _format_size(x: float, sig_figs: int = 3, hide_zero: bool = False) -> str:
    """Return a number with a letter for its thousands: ``1.23M``.

    Args:
        x: The number.
        sig_figs: Digits after the point, at most.
        hide_zero: Whether to return ``""`` for 0.
    """
    if hide_zero and x == 0:
        return ""
    for limit, unit, letter in _UNITS:
        if abs(x) > limit:
            return f"{x / unit:.{sig_figs}f}".rstrip("0").rstrip(".") + letter
    return str(x)


def complexity_stats_str(flops: FlopAnalyzer, activations: ActivationAnalyzer | None = None) -> str:
    """Return the model as ``repr`` shows it, with what each module costs.

    Args:
        flops: Of the model.
        activations: Of the same model, to be shown too.
    """
    model = flops._model
    analyzers = _quiet({"#flops": flops, "#acts": activations})
    columns = {"#params": dict(parameter_count(model))}
    columns |= {name: dict(analyzer.by_module()) for name, analyzer in analyzers.items()}
    for name, _ in model.named_modules():
        for numbers in columns.values():
            numbers.setdefault(name, 0)
    uncalled = {name: analyzer.uncalled_modules() for name, analyzer in analyzers.items()}
    everywhere = set().union(*uncalled.values())
    kept = everywhere or {""}
    rows = {
        name: {column: _format_size(number, sig_figs=2) for column, number in numbers.items()}
        for name, numbers in _by_name(columns).items()
        if any(numbers.values()) or name in kept
    }
    for column, names in uncalled.items():
        for name in names:
            rows.setdefault(name, {})[column] = "N/A"
    return (_NOT_SEEN if everywhere else "") + _describe(model, "", rows)


def complexity_stats_table(
    flops: FlopAnalyzer,
    max_depth: int = 3,
    activations: ActivationAnalyzer | None = None,
    show_param_shapes: bool = True,
) -> str:
    """Return a table of each module's parameters and operations.

    Args:
        flops: Of the model.
        max_depth: How many levels of modules to show.
        activations: Of the same model, for one more column.
        show_param_shapes: Whether to show parameters, with their shapes.
    """
    model = flops._model
    first = "#parameters or shape" if show_param_shapes else "#parameters"
    analyzers = _quiet({"#flops": flops, "#activations": activations})
    columns = {first: dict(parameter_count(model))}
    columns |= {name: dict(analyzer.by_module()) for name, analyzer in analyzers.items()}
    rows = {
        name: {column: _format_size(number) for column, number in numbers.items()}
        for name, numbers in _without_zeros(_by_name(columns)).items()
    }
    for column, analyzer in analyzers.items():
        for name in analyzer.uncalled_modules() & rows.keys():
            rows[name][column] = ""
    for name, parameter in model.named_parameters():
        if name in rows and show_param_shapes:
            rows[name][first] = str(tuple(parameter.shape))
        elif not show_param_shapes:
            rows.pop(name, None)
    return _draw(rows, [first, *analyzers], max_depth)


def get_model_complexity_info(
    model: nn.Module,
    input_shape: tuple[int, ...] | tuple[tuple[int, ...], ...] | None = None,
    inputs: torch.Tensor | tuple[Any, ...] | None = None,
    show_table: bool = True,
    show_arch: bool = True,
) -> dict[str, Any]:
    """Count a model's operations, activations and parameters.

    Args:
        model: The model.
        input_shape: Shape of its input without the batch, which is 1; or one for each input.
        inputs: The input or inputs, instead of ``input_shape``.
        show_table: Whether to make a table by module.
        show_arch: Whether to make the model's ``repr`` with each module's cost.

    Returns:
        ``flops``, ``activations``, ``params``, the same as text (``flops_str`` ...), and
        ``out_table`` and ``out_arch``, ``""`` if they were not asked for.

    Raises:
        ConfigError: Not exactly one of ``input_shape`` and ``inputs`` is given, or
            ``input_shape`` is not made of tuples of int.
    """
    if (input_shape is None) == (inputs is None):
        raise ConfigError("give either input_shape or inputs")
    if inputs is None:
        inputs = _random_inputs(model, input_shape)
    flops, activations = FlopAnalyzer(model, inputs), ActivationAnalyzer(model, inputs)
    counts = {
        "flops": flops.total(),
        "activations": activations.total(),
        "params": parameter_count(model)[""],
    }
    info: dict[str, Any] = {}
    for name, count in counts.items():
        info |= {name: count, f"{name}_str": _format_size(count)}
    info["out_table"] = info["out_arch"] = ""
    if show_table:
        info["out_table"] = "\n" + complexity_stats_table(flops, activations=activations)
    if show_arch:
        info["out_arch"] = "\n" + complexity_stats_str(flops, activations)
    return info


def _random_inputs(model: nn.Module, input_shape: Any) -> tuple[torch.Tensor, ...]:
    device = next(model.parameters()).device
    shapes = (input_shape,) if is_tuple_of(input_shape, int) else input_shape
    if not is_tuple_of(shapes, tuple) or not all(is_tuple_of(shape, int) for shape in shapes):
        raise ConfigError(
            f"input_shape is a tuple of int, or a tuple of such tuples, not {input_shape!r}"
        )
    return tuple(torch.randn(1, *shape).to(device) for shape in shapes)


def _quiet(analyzers: dict[str, Any]) -> dict[str, Any]:
    """Return the analyzers that there are, told to log no warnings."""
    found = {name: analyzer for name, analyzer in analyzers.items() if analyzer is not None}
    for analyzer in found.values():
        analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
        analyzer.tracer_warnings("none")
    return found


def _by_name(columns: Numbers) -> Numbers:
    """Turn numbers by column into numbers by name."""
    names: Numbers = {}
    for column, numbers in columns.items():
        for name, number in numbers.items():
            names.setdefault(name, {})[column] = number
    return names


def _children(names: Iterable[str], parent: str) -> list[str]:
    """Return the names one level below ``parent``; ``""`` is the root."""
    prefix = parent + "." if parent else ""
    depth = prefix.count(".")
    return [n for n in names if n and n.count(".") == depth and n.startswith(prefix)]


def _without_zeros(numbers: Numbers) -> Numbers:
    """Leave out names whose numbers, and those of all below them, are zero."""
    kept = {""}
    for name, values in numbers.items():
        if any(values.values()):
            parts = name.split(".")
            kept.update(".".join(parts[:count]) for count in range(1, len(parts) + 1))
    return {name: values for name, values in numbers.items() if name in kept}


def _draw(rows: dict[str, Row], columns: list[str], max_depth: int) -> str:
    table = plain_table("module", *columns)
    top, row = _only_descendant("", rows)

    def add(name: str, row: Row, level: int, shown: str) -> None:
        indent = " " * level
        cells = [indent + row[column] if column in row else "" for column in columns]
        table.add_row(indent + shown, *cells)
        if level < max_depth:
            for child in _children(rows, name):
                below, below_row = _only_descendant(child, rows)
                add(below, below_row, level + 1, below.removeprefix(f"{top}." if top else ""))

    add(top, row, 0, top or "model")
    return as_text(table)


def _only_descendant(name: str, rows: dict[str, Row]) -> tuple[str, Row]:
    """Go down from a module for as long as it has one child, which costs the same."""
    children = _children(rows, name)
    if len(children) == 1 and rows[name].keys() == rows[children[0]].keys():
        child, own = rows[children[0]], rows[name]
        if all(own[key] == child[key] or not own[key] or not child[key] for key in own):
            rows[children[0]] = {key: own[key] or child[key] for key in own}
            return _only_descendant(children[0], rows)
    return name, rows[name]


def _describe(module: nn.Module, name: str, rows: dict[str, Row]) -> str:
    """Return ``repr(module)`` with each module's row; every child is shown."""
    lines = module.extra_repr().split("\n") if module.extra_repr() else []
    if rows.get(name):
        lines.append(", ".join(f"{column}: {cell}" for column, cell in rows[name].items()))
    children = []
    for key, child in module._modules.items():
        text = _describe(child, f"{name}.{key}" if name else key, rows) if child else "None"
        children.append(f"({key}): " + text.replace("\n", "\n  "))
    title = module._get_name()  # type: ignore[no-untyped-call]
    if len(lines) == 1 and not children:
        return f"{title}({lines[0]})"
    body = "".join(f"\n  {line}" for line in [*lines, *children])
    return f"{title}({body}\n)" if body else f"{title}()"
