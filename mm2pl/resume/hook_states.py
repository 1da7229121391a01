"""States of hooks that have ``state_dict`` and ``load_state_dict``, as Lightning's callbacks do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mm2pl.callbacks.native import NativeCallback
from mm2pl.resume import own_states

if TYPE_CHECKING:
    from mm2pl.runner import Runner


def collect(runner: Runner) -> own_states.States:
    """Return the states of hooks by name; one that a checkpoint cannot hold is left out, and told.

    Args:
        runner: The run.
    """
    reasons: set[str] = set()
    states = own_states.take(_keepers(runner), reasons)
    for reason in sorted(reasons - runner._hooks_left_out):
        runner.logger.warning(f"Checkpoints lack the state of a hook: {reason}.")
    runner._hooks_left_out |= reasons
    return states


def put_back(runner: Runner, states: Mapping[str, Any]) -> None:
    """Give hooks their states.

    Args:
        runner: The run that goes on.
        states: What :func:`collect` returned.
    """
    own_states.give(_keepers(runner), dict(states))


def _keepers(runner: Runner) -> dict[str, own_states.Keeper]:
    return {
        name: own_states.Keeper(name, hook.state_dict, hook.load_state_dict)
        for name, hook in _with_states(runner)
    }


def _with_states(runner: Runner) -> Iterator[tuple[str, Any]]:
    """Go through the hooks that have states: class name, and the number among several alike."""
    known: dict[str, int] = {}
    for hook in runner.hooks:
        methods = (getattr(hook, name, None) for name in ("state_dict", "load_state_dict"))
        if all(map(callable, methods)) and not isinstance(hook, NativeCallback):
            name = type(hook).__name__
            known[name] = known.get(name, 0) + 1
            yield (name if known[name] == 1 else f"{name} {known[name]}"), hook
