"""Runs a model once and hands each operator to a listener, with the modules it runs in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

# kind of operator, inputs in the order of its schema, outputs, names of the modules from the
# outermost to the innermost
Listener = Callable[[str, list[Any], list[Any], list[str]], None]

# The tracer that MMEngine uses shows each of them as one operator.
_CONVOLUTION = "aten::_convolution"
_CONVOLUTIONS = {f"aten::conv{n}d": False for n in (1, 2, 3)} | {
    f"aten::conv_transpose{n}d": True for n in (1, 2, 3)
}


def record(
    model: nn.Module, inputs: tuple[Any, ...], names: Mapping[nn.Module, str], listener: Listener
) -> None:
    """Run ``model(*inputs)`` once, without gradients.

    Args:
        model: The model.
        inputs: What to call it with.
        names: The name of each module to report.
        listener: Gets each operator that Python code calls, undivided: ``linear``, not the
            ``addmm`` that it comes down to.
    """
    scopes: list[str] = []
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    # As in training: the fast path is one operator for a whole layer.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        # Autograd's own code is what takes composite operators to pieces before a mode sees them.
        # Inference mode would do as well, but a tensor that a model keeps from it never trains.
        below_autograd = torch._C._AutoDispatchBelowAutograd()
        recorder = _Recorder(listener, scopes)
        with _scopes(names, scopes), torch.no_grad(), below_autograd, recorder:
            model(*inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_attention)


@contextmanager
def _scopes(names: Mapping[nn.Module, str], scopes: list[str]) -> Iterator[None]:
    """Keep in ``scopes`` the names of the modules that are running."""

    def enter(module: nn.Module, args: Any) -> None:
        scopes.append(names[module])

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        scopes.pop()

    handles = [module.register_forward_pre_hook(enter) for module in names]
    handles += [module.register_forward_hook(leave) for module in names]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Hands each operator on; what an operator itself calls stays out."""

    def __init__(self, listener: Listener, scopes: list[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.listener = listener
        self.scopes = scopes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        outputs = list(output) if isinstance(output, (tuple, list)) else [output]
        kind, inputs = _as_traced(func, _bind(func, args, kwargs or {}))
        self.listener(kind, inputs, outputs, self.scopes)
        return output


def _bind(func: Any, args: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return an operator's arguments by name, defaults included, in the order of its schema."""
    return {
        arg.name: args[place] if place < len(args) else kwargs.get(arg.name, arg.default_value)
        for place, arg in enumerate(func._schema.arguments)
    }


def _as_traced(func: Any, inputs: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return an operator's kind and inputs as the tracer shows them."""
    kind = func._schema.name
    if kind not in _CONVOLUTIONS:
        return kind, list(inputs.values())
    if isinstance(inputs["padding"], str):  # "same", which MMEngine does not count
        return "aten::_convolution_mode", list(inputs.values())
    order = ("input", "weight", "bias", "stride", "padding", "dilation")
    flags = [False, False, True, True]  # benchmark, deterministic, cuDNN, TF32
    inputs = {
        **{name: inputs[name] for name in order},
        "transposed": _CONVOLUTIONS[kind],
        "output_padding": inputs.get("output_padding"),
        "groups": inputs["groups"],
    }
    return _CONVOLUTION, [*inputs.values(), *flags]
