"""The analyzers' base: runs a model once and sums up, by module, what its operators cost.

MMEngine traces the model with ``torch.jit``, hence the module's name. Here a dispatch mode, which
torch's own flop counter is built on too, sees the same operators while the model runs. Measured on
mmpretrain's ResNet-50, ViT-B, Swin-T, ConvNeXt-T and MobileNetV2: the same counts in each module.
Differs: an operator whose result nobody uses is counted too, and arithmetic on sizes (``x.shape[0]
* 2``) is not an unsupported operator, because both show in a traced graph only.
"""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn
from typing_extensions import Self

from mm2pl.errors import ConfigError, ConfigKeyError, ConfigTypeError, nearest
from mm2pl.mmengine.analysis._recording import record
from mm2pl.mmengine.analysis.jit_handles import Handle
from mm2pl.mmengine.logging import print_log

# Operators that move, make or select data, and cost nothing.
_FREE_NAMES = """
    Int ScalarImplicit __and__ _has_compatible_shallow_copy_type arange bitwise_not cat chunk clamp
    clamp_ constant_pad_nd contiguous copy_ detach detach_ dropout empty eq expand flatten floor
    floor_divide full full_like gather ge gt index index_put_ lift_fresh masked_fill max narrow
    new_empty new_full new_zeros nonzero ones permute relu relu_ remainder reshape roll select size
    slice split split_with_sizes squeeze stack t to transpose type_as unbind unsqueeze unsqueeze_
    view zeros zeros_like
"""
_FREE_OPERATORS = frozenset(f"aten::{name}" for name in _FREE_NAMES.split())
_NUMBERS = (int, float, np.number)
_WITHOUT_FORWARD = (nn.ModuleList, nn.ModuleDict, nn.Module, nn.Identity)


@dataclass
class Statistics:
    """What one run of a model gave: by module, the cost and the unknown operators."""

    counts: dict[str, Counter[str]]
    unsupported_ops: dict[str, Counter[str]]
    uncalled_mods: set[str]


class JitModelAnalysis:
    """Statistics of a model's operators, in total, by operator and by module.

    The model runs when a result is first asked for, and again after handles have changed. The
    whole model has the name ``""``. An operator belongs to the modules whose ``__call__`` it runs
    in; calls of ``forward`` and other methods are not seen.

    Args:
        model: The model.
        inputs: A tensor, or a tuple of what to call the model with.
    """

    def __init__(self, model: nn.Module, inputs: Any) -> None:
        self._model = model
        self._inputs = inputs
        self._op_handles: dict[str, Handle] = {}
        self._ignored_ops = set(_FREE_OPERATORS)
        self._named_modules = dict(model.named_modules(remove_duplicate=False))
        self._canonical: dict[nn.Module, str] = {}
        for name, module in self._named_modules.items():
            self._canonical.setdefault(module, name)
        self._stats: Statistics | None = None
        self._enable_warn_unsupported_ops = True
        self._enable_warn_uncalled_mods = True
        self._warn_trace = "no_tracer_warning"
        self._ancestor_mode = "owner"

    def total(self, module_name: str = "") -> int:
        """Return the cost of a module, the whole model by default."""
        return sum(self.by_operator(module_name).values())

    def by_operator(self, module_name: str = "") -> Counter[str]:
        """Return the cost of a module by kind of operator."""
        return self._analyze().counts[self.canonical_module_name(module_name)]

    def by_module_and_operator(self) -> dict[str, Counter[str]]:
        """Return for each module its cost by kind of operator."""
        return self._analyze().counts

    def by_module(self) -> Counter[str]:
        """Return the cost of each module."""
        counts = self._analyze().counts
        return Counter({name: sum(costs.values()) for name, costs in counts.items()})

    def unsupported_ops(self, module_name: str = "") -> Counter[str]:
        """Return how often a module ran each operator that has no handle.

        Raises:
            RuntimeError: No result has been asked for yet.
        """
        if self._stats is None:
            raise RuntimeError(
                "Analysis results should be computed before calling unsupported_ops()"
            )
        return self._stats.unsupported_ops[self.canonical_module_name(module_name)]

    def uncalled_modules(self) -> set[str]:
        """Return the modules in which no operator ran."""
        return self._analyze().uncalled_mods

    def set_op_handle(self, *args: Any, **kwargs: Handle | None) -> Self:
        """Set handles: pairs of a name such as ``aten::bmm`` and a handle, or such a mapping.

        ``None`` as the handle leaves the operator out.
        """
        if len(args) % 2:
            raise ConfigTypeError("set_op_handle takes pairs of an operator's name and a handle")
        self._stats = None
        for name, handle in {**kwargs, **dict(zip(args[::2], args[1::2], strict=True))}.items():
            if handle is None:
                self._ignored_ops.add(name)
            else:
                self._op_handles[name] = handle
        return self

    def clear_op_handles(self) -> Self:
        """Forget all handles."""
        self._op_handles = {}
        self._ignored_ops = set(_FREE_OPERATORS)
        self._stats = None
        return self

    def canonical_module_name(self, name: str) -> str:
        """Return the first name of a module, which may have several."""
        if not isinstance(name, str):
            raise AssertionError("Module name must be a string.")
        if name not in self._named_modules:
            raise ConfigKeyError(
                f"the model has no module {name!r}", choices=nearest(name, self._named_modules)
            )
        return self._canonical[self._named_modules[name]]

    def copy(self, new_model: nn.Module | None = None, new_inputs: Any = None) -> JitModelAnalysis:
        """Return an analysis with the same handles and settings, of another model or inputs."""
        made = JitModelAnalysis(
            self._model if new_model is None else new_model,
            self._inputs if new_inputs is None else new_inputs,
        )
        made.set_op_handle(**self._op_handles)
        made.unsupported_ops_warnings(self._enable_warn_unsupported_ops)
        made.uncalled_modules_warnings(self._enable_warn_uncalled_mods)
        return made.tracer_warnings(self._warn_trace)

    def tracer_warnings(self, mode: str) -> Self:
        """Choose the warnings to let through while the model runs: ``none`` or others.

        ``all`` and ``no_tracer_warning`` mean the same, since nothing is traced.
        """
        self._warn_trace = _one_of(mode, "tracer warning mode", "all", "no_tracer_warning", "none")
        return self

    def ancestor_mode(self, mode: str) -> Self:
        """Choose which modules an operator belongs to.

        Args:
            mode: ``owner`` is the innermost module that runs and those that own it; ``caller`` is
                all that run.
        """
        self._ancestor_mode = _one_of(mode, "ancestor mode", "owner", "caller")
        return self

    def unsupported_ops_warnings(self, enabled: bool) -> Self:
        """Choose whether to log a warning of operators without a handle."""
        self._enable_warn_unsupported_ops = enabled
        return self

    def uncalled_modules_warnings(self, enabled: bool) -> Self:
        """Choose whether to log a warning of modules that no operator ran in."""
        self._enable_warn_uncalled_mods = enabled
        return self

    def _analyze(self) -> Statistics:
        if self._stats is not None:
            return self._stats
        names = list(self._canonical.values())
        stats = Statistics(
            {name: Counter() for name in names}, {name: Counter() for name in names}, set(names)
        )

        def add(kind: str, inputs: list[Any], outputs: list[Any], scopes: list[str]) -> None:
            owners = set(scopes)
            if self._ancestor_mode == "owner":
                owners = _with_parents(scopes[-1])
            stats.uncalled_mods.difference_update(owners, scopes)
            if kind in self._op_handles:
                cost = _named_cost(kind, self._op_handles[kind](inputs, outputs))
                for name in owners:
                    stats.counts[name].update(cost)
            elif kind not in self._ignored_ops:
                for name in owners:
                    stats.unsupported_ops[name][kind] += 1

        with warnings.catch_warnings():
            if self._warn_trace == "none":
                warnings.simplefilter("ignore")
            inputs = self._inputs if isinstance(self._inputs, tuple) else (self._inputs,)
            record(self._model, inputs, self._canonical, add)
        self._stats = stats
        self._warn(stats)
        return stats

    def _warn(self, stats: Statistics) -> None:
        if self._enable_warn_unsupported_ops:
            for kind, count in stats.unsupported_ops[""].items():
                message = f"Unsupported operator {kind} encountered {count} time(s)"
                print_log(message, "current", logging.WARNING)
        missed = sorted(name for name in stats.uncalled_mods if self._has_forward(name))
        if self._enable_warn_uncalled_mods and missed:
            print_log(
                "No operator ran in these modules: they are unused, or their forward or another "
                "method is called directly, in which case what they cost is counted for the module "
                "that calls it.\n" + ", ".join(missed),
                "current",
                logging.WARNING,
            )

    def _has_forward(self, name: str) -> bool:
        forward = type(self._named_modules[name]).forward
        return all(forward is not kind.forward for kind in _WITHOUT_FORWARD)


def _with_parents(name: str) -> set[str]:
    parts = name.split(".")
    return {"", *(".".join(parts[:count]) for count in range(1, len(parts) + 1))}


def _named_cost(kind: str, cost: Counter[str] | float) -> Counter[str]:
    """Return what a handle gave, under the operator's name if it gave a mere number."""
    named = cost if isinstance(cost, Counter) else Counter({kind.partition("::")[2]: cost})
    for value in named.values():
        if not isinstance(value, _NUMBERS):
            raise ConfigError(
                f"the handle of {kind} returned a {type(value).__name__}, not an int or a float"
            )
    return named


def _one_of(mode: str, what: str, *choices: str) -> str:
    if mode not in choices:
        raise ConfigError(f"unknown {what} {mode!r}", choices=choices)
    return mode
