"""Whether what a checkpoint holds fits the run that is to go on from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mm2pl import checkpoint, contents
from mm2pl.errors import CheckpointError
from mm2pl.mmengine.hooks import Hook

if TYPE_CHECKING:
    from mm2pl.runner import Runner

_START = "use load_from without resume to start from the weights"
_MOST_ROWS = 6
# How a step is done, which is another matter than what it needs; these may want a GPU.
_WAYS = {"foreach": None, "fused": None, "capturable": False}


def refuse_other_weights(runner: Runner, loaded: Mapping[str, Any], name: str) -> None:
    """Refuse to go on with a model of which trained weights are missing, or have other shapes.

    Differs: MMEngine goes on with new weights and the old ones' optimizer states, or fails in the
    first step.
    """
    checkpoint.refuse_stranger(loaded, runner.bare_model, name)
    rows = list(_misfits(runner.bare_model, loaded["state_dict"]))
    if rows:
        more = [f"... and {len(rows) - _MOST_ROWS} more"] if len(rows) > _MOST_ROWS else []
        raise CheckpointError(
            "\n  ".join([f"{name} is of another model:", *rows[:_MOST_ROWS], *more]),
            hint=f"{_START} that fit; resume=dict(exact=False) goes on as MMEngine does",
        )


def _misfits(model: nn.Module, weights: Mapping[str, Any]) -> Iterator[str]:
    found = {str(key).removeprefix("module."): value for key, value in weights.items()}
    own = model.state_dict()
    for name, weight in model.named_parameters():
        lazy = isinstance(weight, nn.parameter.UninitializedParameter)
        if not weight.requires_grad or name not in own or lazy or _may_rename(model, name):
            continue
        saved = found.get(name)
        shape = tuple(saved.shape) if isinstance(saved, torch.Tensor) else "missing"
        if shape != tuple(own[name].shape):
            yield f"{name}: {shape} in the checkpoint, {tuple(own[name].shape)} in the model"


def _may_rename(model: nn.Module, name: str) -> bool:
    """Whether a module above a weight has code of its own that may change it when it is loaded."""
    above = name.split(".")[:-1]
    parts = (".".join(above[:length]) for length in range(len(above) + 1))
    return any(checkpoint.may_rename(model.get_submodule(part)) for part in parts)


def refuse_other_names(name: str, state: Any, states: Mapping[str, Any]) -> None:
    """Refuse the states of optimizers among which the one of a name, or the only one, is not."""
    if isinstance(state, Mapping) and state.get("param_groups"):
        return
    whose = f"the optimizer {name}" if name else "a single optimizer"
    others = {key for key, one in states.items() if isinstance(one, Mapping)} - {"state"}
    held = f"; it has those of {', '.join(sorted(others))}" if others else ""
    if "param_groups" in states and name:
        held = "; it has that of a single one"
    raise CheckpointError(f"the checkpoint has no state of {whose}{held}", hint=_START)


def refuse_other_optimizer(
    whose: str, optimizer: torch.optim.Optimizer, state: Mapping[str, Any]
) -> None:
    """Refuse the state of an optimizer with other parameters, or without what a step needs."""
    new = [len(group["params"]) for group in optimizer.param_groups]
    old = [len(group["params"]) for group in state["param_groups"]]
    if new != old:
        counts = "{} parameters in {} groups"
        others = counts.format(sum(old), len(old))
        if (sum(new), len(new)) == (sum(old), len(old)):
            others = "as many, otherwise grouped"
        raise CheckpointError(
            f"the optimizer{whose} has {counts.format(sum(new), len(new))}, that of the"
            f" checkpoint {others}",
            hint=f"is paramwise_cfg or the model another? {_START}",
        )
    states = state.get("state", {}).values()
    had = next((set(one) for one in states if isinstance(one, Mapping) and one), None)
    missing = _needed(optimizer) - had if had else set()
    if missing:
        raise CheckpointError(
            f"the optimizer{whose} needs {', '.join(sorted(missing))}, which its state in the"
            f" checkpoint does not have",
            hint=_START,
        )


def _needed(optimizer: torch.optim.Optimizer) -> set[str]:
    """Return the names of an optimizer's states, from a step with a weight of its own."""
    kind: Any = type(optimizer)
    if not kind.__module__.startswith("torch.optim."):
        return set()
    weight = nn.Parameter(torch.zeros(1, 1))
    weight.grad = torch.zeros(1, 1)
    group = optimizer.param_groups[0]
    options = {key: _WAYS.get(key, value) for key, value in group.items()}
    try:
        probe = kind([{**options, "params": [weight]}])
        probe.step()
    except (TypeError, ValueError, RuntimeError):  # it takes other gradients, or a closure
        return set()
    return set(probe.state[weight])


def leave_average(runner: Runner, loaded: dict[str, Any]) -> bool:
    """Put the weights in training in the place of their average, if no hook takes that up.

    Differs: MMEngine trains the average on.
    """
    taken = any(
        type(hook).after_load_checkpoint is not Hook.after_load_checkpoint for hook in runner.hooks
    )
    if taken or not isinstance(loaded.get(contents.RAW), Mapping):
        return False
    weights = contents.raw_weights(loaded)
    loaded["state_dict"].update(
        {key: weights[key] for key in loaded["state_dict"] if key in weights}
    )
    runner.logger.warning(
        "The checkpoint holds a moving average of the weights (EMA), which no hook takes up: the"
        " run goes on without it, from the weights in training"
    )
    return True
