"""What schedules and parameter groups were made with, and where a schedule is after N steps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor

from mm2pl.torch_schedulers import TorchSchedule

Group = dict[str, Any]
_MANY = 1000  # numbers, of which the sum will do
# Of a scheduler's state, what changes while it runs, or follows from the parameter groups.
_RUNNING = ("last_step", "_global_step", "_last_value", "base_values", "verbose")
_JUDGED = ("best", "num_bad_epochs", "cooldown_counter")
_COUNTED = ("last_epoch", "_step_count")  # of torch's
_UNSAID = ("anneal_func", "torch")  # told by the phases of a 1cycle; torch's own state


def plain(value: Any) -> Any:
    """Return a value as numbers, texts, lists and dicts; of anything else a name."""
    if value is None or isinstance(value, (bool, int, float, str)):
        if value != value:
            return "nan"  # which is to be equal to itself
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, Counter):
        return sorted(value.elements())
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items() if isinstance(key, (str, int))}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(one) for one in value), key=repr)
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (Tensor, np.ndarray)) and math.prod(value.shape) > _MANY:
        return f"{type(value).__name__} of {tuple(value.shape)}, sum {value.sum()}"
    if isinstance(value, (Tensor, np.ndarray, np.generic)):
        return value.tolist()
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def made_with(scheduler: Any) -> dict[str, Any]:
    """Return what a schedule that has not stepped yet was made with, as plain values."""
    if isinstance(scheduler, TorchSchedule):
        return plain(scheduler.made_with)  # type: ignore[no-any-return]
    return {"type": type(scheduler).__name__, **from_state(scheduler.state_dict())}


def from_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a scheduler's state, such as MMEngine's, tells of what it was made with."""
    left_out = (*_RUNNING, *_JUDGED, *_UNSAID)
    return {name: plain(value) for name, value in state.items() if name not in left_out}


def driven(settings: Mapping[str, Any]) -> set[str]:
    """Return the options that a schedule changes, by what it was made with."""
    if "param_name" in settings:
        return {settings["param_name"]}
    cycles = settings.get("cycle_momentum", settings.get("type") in ("CyclicLR", "OneCycleLR"))
    return {"lr", "momentum"} if cycles else {"lr"}


def belongs(key: str, names: set[str]) -> bool:
    """Whether a group's key is one of these options, or kept beside one by its schedules."""
    if key == "betas":
        return "momentum" in names
    return any(key == name or key.endswith(f"_{name}") for name in names)


def initial(group: Group, schedules: Sequence[Mapping[str, Any]]) -> Group:
    """Return a group's options as they were before any schedule.

    Args:
        group: The group, with its ``initial_`` values where there are schedules.
        schedules: What its schedules were made with.
    """
    names = {name for one in schedules for name in driven(one)}
    # They bring initial values of their own.
    own = {name for one in schedules if brings_initial(one) for name in driven(one)}
    found = {}
    for key, value in group.items():
        if key in ("params", "param_names") or key.startswith("initial_"):
            continue
        if not belongs(key, names):
            found[key] = plain(value)
        elif key == "betas" and "momentum" not in own:
            found[key] = plain([group.get("initial_momentum", value[0]), *value[1:]])
        elif key in names - own and not (key == "momentum" and "betas" in group):
            found[key] = plain(group.get(f"initial_{key}", value))
    return found


def options_of(group: Group) -> Group:
    """Return a group without its parameters."""
    return {key: value for key, value in group.items() if key != "params"}


def become(group: Group, options: Group) -> None:
    """Give a group other options."""
    for key in options_of(group):
        del group[key]
    group.update(options)


def brings_initial(settings: Mapping[str, Any]) -> bool:
    """Whether a schedule sets initial values itself."""
    return any(name in settings for name in ("eta_max", "max_lr"))


def waits(scheduler: Any) -> bool:
    """Whether a schedule waits for a metric, so that its steps cannot be made again."""
    return bool(getattr(scheduler, "need_val_args", False))


def replay(
    schedulers: Sequence[Any], groups: Sequence[Group], epochs: int, iters: int, length: float
) -> None:
    """Step new schedules as often as a run of theirs would have, up to its metrics.

    Args:
        schedulers: The schedules of one optimizer in order, none of which has stepped.
        groups: The optimizer's groups, with the options as they were when the schedules were made.
        epochs: Steps of those that count epochs.
        iters: Steps of those that count iterations.
        length: Iterations in an epoch: each value follows from the one before, whosever it is.
    """
    by_epoch = [one for one in schedulers if one.by_epoch and not waits(one)]
    by_iter = [one for one in schedulers if not one.by_epoch]
    with _quickly([*by_iter, *by_epoch], groups):
        done = 0
        for epoch in range(1, epochs + 1):
            border = min(int(epoch * length), iters)
            _step(by_iter, border - done)
            done = max(done, border)
            _step(by_epoch, 1)
        _step(by_iter, iters - done)
    for one in schedulers:
        if waits(one):
            one._global_step += epochs
        one._last_value = [group[one.param_name] for group in groups]


def _step(schedulers: Sequence[Any], count: int) -> None:
    """Step all in turn, so often; those that would do nothing are only told how far it went."""
    while count > 0:
        now: list[Any] = []
        idle: list[Any] = []
        chunk = count
        for one in schedulers:
            following = one._global_step + 1
            if not is_ours(one):
                now.append(one)
                continue
            (now if one.begin <= following < one.end else idle).append(one)
            borders = [border - following for border in (one.begin, one.end) if border > following]
            chunk = min([chunk, *borders])
        steps = [one.step for one in now]
        for _ in range(chunk):
            for step in steps:
                step()
        for one in idle:
            one._global_step += chunk
        count -= chunk


def is_ours(scheduler: Any) -> bool:
    """Whether a scheduler's class is none of the user's."""
    return type(scheduler).__module__.startswith("mm2pl.")


class _Few:
    """Some of an optimizer's groups, for schedules to change."""

    _global_step = 0

    def __init__(self, groups: list[Group]) -> None:
        self.param_groups = groups

    def step(self) -> None:
        """Do nothing; that it does is not to be warned of."""

    step._with_counter = True  # type: ignore[attr-defined]


@contextmanager
def _quickly(schedulers: Sequence[Any], groups: Sequence[Group]) -> Iterator[None]:
    """Let schedules change groups in silence, and those that are alike only once."""
    own = [(one, one.__dict__.copy()) for one in schedulers]
    chosen = alike = list(range(len(groups)))
    if not any(isinstance(one, TorchSchedule) or not is_ours(one) for one in schedulers):
        names = {one.param_name for one in schedulers}
        kinds = [
            repr(sorted((key, value) for key, value in group.items() if belongs(key, names)))
            for group in groups
        ]
        alike = [kinds.index(kind) for kind in kinds]
        chosen = sorted(set(alike))
    few = _Few([groups[index] for index in chosen])
    for one in schedulers:
        one.verbose = False
        if len(chosen) < len(groups):
            one.optimizer = few
            one.base_values = [one.base_values[index] for index in chosen]
        else:
            one.optimizer._global_step = max(0, one.optimizer._global_step)
    yield
    for one, before in own:
        for name in ("verbose", "optimizer", "base_values"):
            if name in before:
                setattr(one, name, before[name])
    for group, index in zip(groups, alike, strict=True):
        if group is not groups[index]:
            group.update({k: v for k, v in groups[index].items() if belongs(k, names)})


def keep_judgement(scheduler: Any, state: Mapping[str, Any]) -> None:
    """Let a schedule that waits for a metric know what its forerunner knew."""
    same = all(state.get(key) == getattr(scheduler, key, None) for key in ("monitor", "rule"))
    inner = scheduler._schedule if isinstance(scheduler, TorchSchedule) else scheduler
    known = state.get("torch") or {} if isinstance(scheduler, TorchSchedule) else state
    for key in (*_JUDGED, *_COUNTED):
        if key in known and (same or key in _COUNTED) and inner is not None:
            setattr(inner, key, known[key])
    scheduler.last_step = state["last_step"]
