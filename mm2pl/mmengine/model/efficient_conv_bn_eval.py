"""Convolution and BatchNorm as one convolution, in eval mode (arXiv 2305.11624)."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import torch
from torch import fx, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd


def efficient_conv_bn_eval_forward(bn: _BatchNorm, conv: _ConvNd, x: torch.Tensor) -> torch.Tensor:
    """Return ``bn(conv(x))`` of a ``bn`` in eval mode by one convolution with scaled weights."""
    mean: Any = bn.running_mean
    variance: Any = bn.running_var
    zeros = torch.zeros_like(variance)
    bias = zeros if conv.bias is None else conv.bias
    scale = torch.ones_like(variance) if bn.weight is None else bn.weight
    shift = zeros if bn.bias is None else bn.bias

    by_filter = (-1, *[1] * (conv.weight.dim() - 1))
    factor = scale.view(by_filter) * torch.rsqrt(variance + bn.eps).reshape(by_filter)
    weight = conv.weight * factor
    output: torch.Tensor = conv._conv_forward(x, weight, shift + factor.flatten() * (bias - mean))
    return output


def efficient_conv_bn_eval_control(bn: _BatchNorm, conv: _ConvNd, x: torch.Tensor) -> torch.Tensor:
    """Return ``bn(conv(x))``, by one convolution if ``bn`` is in eval mode."""
    if not bn.training:
        return efficient_conv_bn_eval_forward(bn, conv, x)
    output: torch.Tensor = bn(conv._conv_forward(x, conv.weight, conv.bias))
    return output


def efficient_conv_bn_eval_graph_transform(fx_model: fx.GraphModule) -> None:
    """Let each BatchNorm that alone reads a convolution run together with it, in place."""
    modules = dict(fx_model.named_modules())
    graph = fx_model.graph
    for node in list(graph.nodes):
        source = _convolution_before(node, modules)
        if source is None:
            continue
        with graph.inserting_before(node):
            layers = (graph.get_attr(str(node.target)), graph.get_attr(str(source.target)))
            joined = graph.call_function(efficient_conv_bn_eval_control, (*layers, source.args[0]))
        node.replace_all_uses_with(joined)
        graph.erase_node(node)
        graph.erase_node(source)
    graph.lint()
    fx_model.recompile()


def _convolution_before(node: fx.Node, modules: dict[str, nn.Module]) -> fx.Node | None:
    """Return the convolution whose output only this BatchNorm takes."""
    if node.op != "call_module" or not isinstance(modules[str(node.target)], _BatchNorm):
        return None
    source = node.args[0]
    if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) > 1:
        return None
    return source if isinstance(modules[str(source.target)], _ConvNd) else None


def turn_on_efficient_conv_bn_eval_for_single_model(model: nn.Module) -> None:
    """Replace ``model.forward`` by its traced form with convolutions and BatchNorms joined."""
    traced = fx.symbolic_trace(model)
    efficient_conv_bn_eval_graph_transform(traced)
    model.forward = traced.forward


def turn_on_efficient_conv_bn_eval(model: nn.Module, modules: list[str] | str) -> None:
    """Join convolutions and BatchNorms of the modules of these names, each traced by ``torch.fx``.

    Args:
        model: The model.
        modules: Names of modules in it.
    """
    for name in [modules] if isinstance(modules, str) else modules:
        turn_on_efficient_conv_bn_eval_for_single_model(attrgetter(name)(model))
