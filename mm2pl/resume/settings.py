"""What a run was made with, as plain values, so that a later run can tell what has changed."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mm2pl.mmengine.optim import OptimWrapper, OptimWrapperDict
from mm2pl.resume import schedules
from mm2pl.resume.loaders import length_of
from mm2pl.resume.schedules import Group, plain

if TYPE_CHECKING:
    from mm2pl.runner import Runner

BATCH_SIZE = "train_dataloader.batch_size"
PROCESSES = "processes"
# Arguments that MMEngine's schedules got later: older states do not have them.
_LATER = ("eta_min_ratio",)


def note(runner: Runner) -> None:
    """Keep what the run is made with, for its checkpoints; once, before it has stepped."""
    if runner._settings is None and hasattr(runner._train_loop, "reading"):
        runner._settings = settings_of(runner)


def settings_of(runner: Runner) -> dict[str, Any]:
    """Return what a run that is built, and has not stepped yet, was made with."""
    loop: Any = runner.train_loop
    loader = loop.dataloader
    batches = getattr(loader, "batch_sampler", None)
    unit = "epochs" if loop.by_epoch else "iters"
    return {
        "run": {
            "train_cfg.type": type(loop).__name__,
            f"train_cfg.max_{unit}": getattr(loop, f"max_{unit}"),
            BATCH_SIZE: plain(getattr(batches, "batch_size", getattr(loader, "batch_size", None))),
            "samples of train_dataloader.dataset": length_of(getattr(loader, "dataset", None)),
            **_order(loader),
            PROCESSES: runner.world_size,
        },
        "batches": length_of(loader),
        "optimizers": {
            name: _of_optimizer(wrapper, schedulers) for name, wrapper, schedulers in parts(runner)
        },
    }


def _order(loader: Any) -> dict[str, Any]:
    """Return what puts the samples into an order, but for seeds."""
    key = "train_dataloader"
    sampler, batches = (getattr(loader, name, None) for name in ("sampler", "batch_sampler"))
    return {
        f"{key}.sampler.type": type(sampler).__name__,
        f"{key}.sampler.shuffle": plain(getattr(sampler, "shuffle", None)),
        f"{key}.batch_sampler.type": type(batches).__name__,
    }


def _of_optimizer(wrapper: OptimWrapper, schedulers: Sequence[Any]) -> dict[str, Any]:
    made = [schedules.made_with(one) for one in schedulers]
    return {
        "made": {
            "type": type(wrapper).__name__,
            "optimizer.type": type(wrapper.optimizer).__name__,
            "accumulative_counts": plain(getattr(wrapper, "_accumulative_counts", 1)),
            "clip_grad": plain(getattr(wrapper, "clip_grad_kwargs", None)),
        },
        "groups": _columns(wrapper.param_groups, made),
        "schedules": made,
    }


def _columns(groups: Sequence[Group], made: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the groups' initial options: a list for each, of one value if all are alike."""
    rows = [schedules.initial(group, made) for group in groups]
    keys = dict.fromkeys(key for row in rows for key in row)
    found = {key: [row.get(key) for row in rows] for key in keys}
    return {k: one[:1] if all(v == one[0] for v in one) else one for k, one in found.items()}


def parts(runner: Runner) -> Iterator[tuple[str, OptimWrapper, Sequence[Any]]]:
    """Go through the optimizers: name (empty if there is but one), wrapper, schedulers."""
    wrapper, schedulers = runner.optim_wrapper, runner.param_schedulers or []
    if isinstance(wrapper, OptimWrapperDict):
        for name, one in wrapper.items():
            yield name, one, schedulers.get(name, []) if isinstance(schedulers, dict) else []
    elif isinstance(wrapper, OptimWrapper):
        yield "", wrapper, schedulers


def states_of(loaded: Mapping[str, Any], name: str) -> list[dict[str, Any]] | None:
    """Return a checkpoint's states of an optimizer's schedulers, if it has them."""
    states = loaded.get("param_schedulers")
    return states.get(name) if isinstance(states, Mapping) else states


def told_by_states(
    runner: Runner, loaded: Mapping[str, Any], new: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a checkpoint without settings, such as MMEngine's, tells of them.

    What it does not tell is taken to be as it is now.

    Args:
        runner: The run that goes on from it.
        loaded: The checkpoint.
        new: The run's own settings.
    """
    info = loaded["message_hub"].get("runtime_info", {})
    run = {**new["run"]}
    for key in ("max_epochs", "max_iters"):
        if f"train_cfg.{key}" in run and key in info:
            run[f"train_cfg.{key}"] = info[key]
    batches = new["batches"]
    if info.get("max_epochs") and "train_cfg.max_epochs" in run and "max_iters" in info:
        batches = info["max_iters"] // info["max_epochs"]
    text = str(loaded["meta"].get("cfg") or "")
    same = _section(text) == _section(runner.cfg.pretty_text)
    optimizers = {
        name: _told(schedulers, loaded, name, new["optimizers"][name], same)
        for name, _, schedulers in parts(runner)
        if not name or name in loaded["optimizer"]
    }
    return {"run": run, "batches": batches, "optimizers": optimizers}


def _told(
    schedulers: Sequence[Any],
    loaded: Mapping[str, Any],
    name: str,
    new: Mapping[str, Any],
    same_text: bool,
) -> dict[str, Any]:
    states, made = states_of(loaded, name), new["schedules"]
    if states is not None:
        made = [
            _told_by_state(state, *pair)
            for state, pair in zip(
                states,
                [*zip(schedulers, made, strict=True), *[(None, {})] * len(states)],
                strict=False,
            )
        ]
    state = loaded["optimizer"][name] if name else loaded["optimizer"]
    base = state.get("base_param_settings")
    groups = [*state["param_groups"], *([] if base is None else [base])]
    columns = _columns(groups, made)
    if same_text:  # then what a hook has changed is to stay
        names = {option for one in made for option in schedules.driven(one)}
        columns = {
            key: column if schedules.belongs(key, names) else new["groups"].get(key, column)
            for key, column in columns.items()
        }
    return {"made": new["made"], "groups": columns, "schedules": made}


def _told_by_state(
    state: Mapping[str, Any], scheduler: Any, new: Mapping[str, Any]
) -> dict[str, Any]:
    found = schedules.from_state(state)
    if "torch" in state and "torch" in (scheduler.state_dict() if scheduler else {}):
        return dict(new)
    found |= {key: new[key] for key in _LATER if key in new and key not in found}
    if scheduler is not None and not type(scheduler).__module__.startswith("mm2pl."):
        known = inspect.signature(type(scheduler)).parameters
        if not found.keys() & known.keys() - new.keys():
            found = {key: found.get(key, new[key]) if key in known else new[key] for key in new}
    alike = found.keys() | {"type"} == new.keys() | {"type"}
    return {"type": new["type"] if alike and "type" in new else "another schedule", **found}


def _section(text: str) -> str | None:
    """Return the part of a config's text that describes the optimizer; None without one."""
    try:
        nodes = ast.parse(text).body
    except SyntaxError:
        return None
    for node in nodes:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "optim_wrapper":
            return ast.dump(node)
    return None
