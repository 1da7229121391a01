"""States of hooks that have ``state_dict`` and ``load_state_dict``, as Lightning's callbacks do."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from mm2pl.callbacks.native import NativeCallback

if TYPE_CHECKING:
    from mm2pl.runner import Runner

_PLAIN = (type(None), bool, int, float, str, np.ndarray, np.generic)


def collect(runner: Runner) -> dict[str, Any]:
    """Return the states of hooks by name; one that a checkpoint cannot hold is left out, and told.

    Args:
        runner: The run.
    """
    found = {}
    for name, hook in _with_states(runner):
        try:
            found[name] = _stored(hook.state_dict())
        except TypeError as error:
            if name not in runner._hooks_left_out:
                runner._hooks_left_out |= {name}
                runner.logger.warning(
                    f"The state of the hook {name} is not in checkpoints: {error}. Its state_dict"
                    " may hold numbers, texts, arrays, tensors, lists and dicts of these."
                )
    return found


def put_back(runner: Runner, states: Mapping[str, Any]) -> None:
    """Give hooks their states.

    Args:
        runner: The run that goes on.
        states: What :func:`collect` returned.
    """
    for name, hook in _with_states(runner):
        if name in states:
            hook.load_state_dict(copy.deepcopy(states[name]))


def _with_states(runner: Runner) -> Iterator[tuple[str, Any]]:
    """Go through the hooks that have states: class name, and the number among several alike."""
    known: dict[str, int] = {}
    for hook in runner.hooks:
        methods = (getattr(hook, name, None) for name in ("state_dict", "load_state_dict"))
        if all(map(callable, methods)) and not isinstance(hook, NativeCallback):
            name = type(hook).__name__
            known[name] = known.get(name, 0) + 1
            yield (name if known[name] == 1 else f"{name} {known[name]}"), hook


def _stored(value: Any) -> Any:
    """Return a copy that nothing changes and that is read without running code."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if type(value) in (dict, OrderedDict):
        return {_stored(key): _stored(one) for key, one in value.items()}
    if type(value) in (list, tuple, set):
        return type(value)(_stored(one) for one in value)
    if isinstance(value, _PLAIN) and type(value).__module__ in ("builtins", "numpy"):
        return copy.copy(value)
    raise TypeError(f"it holds a {type(value).__name__}")
