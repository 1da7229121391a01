"""Comparisons for tests. But for :func:`assert_allclose` they return a bool and raise nothing."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from runpy import run_path
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

# rtol and atol of torch.testing.assert_allclose, which torch deprecates.
_TOLERANCES = {
    torch.float16: (1e-3, 1e-3),
    torch.float32: (1e-4, 1e-5),
    torch.float64: (1e-5, 1e-8),
}
_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)
_MISSING = object()


def assert_allclose(
    actual: Any,
    expected: Any,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = True,
    msg: str | Callable[[str], str] | None = "",
) -> None:
    """Raise ``AssertionError`` unless two tensors, or what makes tensors, are close.

    Args:
        actual: A value.
        expected: What it should be.
        rtol: Relative tolerance, given together with ``atol``; by the types if not given.
        atol: Absolute tolerance.
        equal_nan: Whether NaN equals NaN.
        msg: Message of the error, or what makes it of torch's.
    """
    if not isinstance(actual, torch.Tensor):
        actual = torch.tensor(actual)
    if not isinstance(expected, torch.Tensor):
        expected = torch.tensor(expected, dtype=actual.dtype)
    if rtol is None and atol is None:
        both = [_TOLERANCES.get(value.dtype, (0.0, 0.0)) for value in (actual, expected)]
        rtol, atol = (max(pair) for pair in zip(*both, strict=True))
    torch.testing.assert_close(
        actual,
        expected,
        rtol=rtol,
        atol=atol,
        equal_nan=equal_nan,
        check_device=True,
        check_dtype=False,
        check_stride=False,
        msg=msg or None,
    )


def check_python_script(cmd: str) -> None:
    """Run ``[python] SCRIPT ARGS`` in this process."""
    args = shlex.split(cmd)
    if args[0] == "python":
        del args[0]
    with patch.object(sys, "argv", args):
        run_path(args[0], run_name="__main__")


def assert_dict_contains_subset(dict_obj: dict[Any, Any], expected_subset: dict[Any, Any]) -> bool:
    """Tell whether a dict holds these keys with these values."""
    return all(_same(dict_obj.get(key, _MISSING), expected_subset[key]) for key in expected_subset)


def assert_attrs_equal(obj: Any, expected_attrs: dict[str, Any]) -> bool:
    """Tell whether an object has these attributes with these values."""
    return all(
        _same(getattr(obj, name, _MISSING), expected) for name, expected in expected_attrs.items()
    )


def assert_dict_has_keys(obj: dict[str, Any], expected_keys: list[str]) -> bool:
    """Tell whether a dict has these keys, others aside."""
    return set(expected_keys) <= set(obj)


def assert_keys_equal(result_keys: list[str], target_keys: list[str]) -> bool:
    """Tell whether two lists hold the same keys."""
    return set(result_keys) == set(target_keys)


def assert_is_norm_layer(module: Any) -> bool:
    """Tell whether a module is a batch, instance, group or layer norm."""
    return isinstance(module, _NORMS)


def assert_params_all_zeros(module: Any) -> bool:
    """Tell whether a module's weight, and its bias if it has one, are zero."""
    tensors = [module.weight, getattr(module, "bias", None)]
    return all(
        torch.allclose(tensor.data, torch.zeros_like(tensor.data))
        for tensor in tensors
        if tensor is not None
    )


def _same(value: Any, expected: Any) -> bool:
    return value is not _MISSING and not _any(value != expected)


def _any(judged: Any) -> bool:
    """Tell whether a comparison, or any part of it at any depth, is true."""
    if isinstance(judged, torch.Tensor):
        return bool(judged.any())
    if isinstance(judged, Iterable):
        return any(map(_any, judged))
    return bool(judged)
