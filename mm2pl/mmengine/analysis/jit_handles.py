"""Formulas for the cost of one operator; MMEngine keeps them under this name.

A handle gets the operator's inputs and outputs, in the order of its schema, and returns a number or
a ``Counter`` of names and numbers. A multiply-add counts once, where torch's flop counter, whose
formulas these are where it has one, counts two.

Differs: inputs and outputs are the tensors and values themselves, not nodes of a traced graph.
:func:`get_shape` reads either's shape, so a handle that uses it works with both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from torch.utils import flop_counter

Handle = Callable[[list[Any], list[Any]], "Counter[str] | float"]


def get_shape(val: Any) -> list[int] | None:
    """Return the shape of a tensor, ``None`` of anything else."""
    return list(val.shape) if isinstance(val, torch.Tensor) else None


def _size(value: Any) -> int:
    return int(prod(value.shape))


def generic_activation_jit(op_name: str | None = None) -> Handle:
    """Return a handle that counts the elements of the first output.

    Args:
        op_name: The name to count under; the operator's own by default.
    """

    def count(inputs: list[Any], outputs: list[Any]) -> Counter[str] | float:
        size = _size(outputs[0])
        return size if op_name is None else Counter({op_name: size})

    return count


def addmm_flop_jit(inputs: list[Any], outputs: list[Any]) -> int:
    """Count ``addmm(bias, a, b)``."""
    return int(flop_counter.mm_flop(*(value.shape for value in inputs[1:3]))) // 2


def linear_flop_jit(inputs: list[Any], outputs: list[Any]) -> int:
    """Count ``linear(x, weight)``, with or without bias."""
    return _size(inputs[0]) * int(inputs[1].shape[0])


def bmm_flop_jit(inputs: list[Any], outputs: list[Any]) -> int:
    """Count ``bmm(a, b)``."""
    return int(flop_counter.bmm_flop(*(value.shape for value in inputs))) // 2


def conv_flop_count(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    out_shape: Sequence[int],
    transposed: bool = False,
) -> int:
    """Count the multiplications of a convolution, without its bias.

    Args:
        x_shape: Shape of the input, (n, c, ...).
        w_shape: Shape of the filter.
        out_shape: Shape of the output.
        transposed: Whether the convolution is transposed.
    """
    count = flop_counter.conv_flop_count(
        list(x_shape), list(w_shape), list(out_shape), transposed=transposed
    )
    return int(count) // 2


def conv_flop_jit(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
    """Count ``_convolution``, under the name ``conv``."""
    weight, transposed = inputs[1], inputs[6]
    without_batch = inputs[0].ndim < weight.ndim
    shapes = [(1, *x.shape) if without_batch else x.shape for x in (inputs[0], outputs[0])]
    return Counter({"conv": conv_flop_count(shapes[0], weight.shape, shapes[1], transposed)})


def einsum_flop_jit(inputs: list[Any], outputs: list[Any]) -> float:
    """Count ``einsum(equation, tensors)`` along the best order of its products."""
    equation, tensors = inputs[0].replace(" ", ""), inputs[1]
    letters = dict.fromkeys(filter(str.isalpha, equation))
    renamed = equation.translate({ord(old): 97 + n for n, old in enumerate(letters)})
    if renamed in ("abc,abd->acd", "abc,adc->adb"):  # exact; NumPy's report has four digits
        return _size(tensors[0]) * int(tensors[1].shape[2 if renamed[-2:] == "cd" else 1])
    shapes = [np.broadcast_to(np.zeros(()), tuple(tensor.shape)) for tensor in tensors]
    report = str(np.einsum_path(equation, *shapes, optimize="optimal")[1])
    line = next(line for line in report.splitlines() if "optimized flop" in line.lower())
    return float(np.floor(float(line.rpartition(":")[2]) / 2))


def matmul_flop_jit(inputs: list[Any], outputs: list[Any]) -> int:
    """Count ``matmul(a, b)`` of vectors, matrices or batches."""
    shape = inputs[1].shape
    return _size(inputs[0]) * (int(shape[-1]) if len(shape) > 1 else 1)


def norm_flop_counter(affine_arg_index: int) -> Handle:
    """Return a handle for normalisations: 5 operations an element, 4 without a weight.

    Args:
        affine_arg_index: Where the weight stands among the inputs.
    """

    def count(inputs: list[Any], outputs: list[Any]) -> float:
        return _size(inputs[0]) * (4 if inputs[affine_arg_index] is None else 5)

    return count


def batchnorm_flop_jit(inputs: list[Any], outputs: list[Any]) -> float:
    """Count ``batch_norm``; in eval mode it is one multiply-add an element."""
    if inputs[5]:  # training
        count = norm_flop_counter(1)(inputs, outputs)
        assert not isinstance(count, Counter)
        return count
    return _size(inputs[0]) * (1 if inputs[1] is None else 2)


def elementwise_flop_counter(input_scale: float = 1, output_scale: float = 0) -> Handle:
    """Return a handle that counts a fixed number of operations an element.

    Args:
        input_scale: Operations for each element of the first input.
        output_scale: Operations for each element of the first output.
    """

    def count(inputs: list[Any], outputs: list[Any]) -> float:
        total: float = 0
        if input_scale:
            total += input_scale * _size(inputs[0])
        if output_scale:
            total += output_scale * _size(outputs[0])
        return total

    return count
