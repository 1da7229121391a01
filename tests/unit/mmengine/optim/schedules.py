"""Draws schedules with random arguments, and runs them; as a script, with the real MMEngine.

It reads requests, as JSON, from the lines of the standard input and answers each in a line: a case
that ``draw`` made, or two files, of states to write and of states to go on from.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pickle
import random
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

KINDS = (AssertionError, KeyError, TypeError, ValueError, ZeroDivisionError, OverflowError)
STEPS = 200


def _span(rng: random.Random) -> dict[str, Any]:
    begin = rng.choice([0, 0, 1, rng.randint(0, 40)])
    span: dict[str, Any] = {"begin": begin} if begin else {}
    if rng.random() < 0.8:
        span["end"] = begin + rng.randint(1, 220)
    return span


def _restarts(rng: random.Random) -> dict[str, Any]:
    count = rng.randint(1, 4)
    lowest = rng.choice(["eta_min", "eta_min_ratio"])
    return {
        "periods": [rng.randint(1, 60) for _ in range(count)],
        "restart_weights": [rng.uniform(0.1, 1.5) for _ in range(count)],
        lowest: rng.choice([0, rng.uniform(0, 0.2)]),
    }


def _cosine(rng: random.Random) -> dict[str, Any]:
    args: dict[str, Any] = {}
    if rng.random() < 0.6:
        args["T_max"] = rng.randint(1, 150)
    if rng.random() < 0.7:
        args[rng.choice(["eta_min", "eta_min_ratio"])] = rng.choice([0, rng.uniform(0, 0.2)])
    return args


def _one_cycle(rng: random.Random) -> dict[str, Any]:
    return {
        "eta_max": rng.uniform(0.01, 1),
        "total_steps": rng.choice([STEPS + 1, rng.randint(150, 400)]),
        "pct_start": rng.uniform(0.05, 0.45),
        "anneal_strategy": rng.choice(["cos", "linear"]),
        "div_factor": rng.uniform(2, 40),
        "final_div_factor": rng.choice([1e4, rng.uniform(10, 1000)]),
        "three_phase": rng.random() < 0.5,
    }


def _plateau(rng: random.Random) -> dict[str, Any]:
    return {
        "monitor": "m",
        "rule": rng.choice(["less", "greater"]),
        "factor": rng.uniform(0.1, 0.95),
        "patience": rng.randint(0, 6),
        "threshold": rng.choice([0, 1e-4, rng.uniform(0, 0.2)]),
        "threshold_rule": rng.choice(["rel", "abs"]),
        "cooldown": rng.randint(0, 4),
        "min_value": rng.choice([0, rng.uniform(0, 0.05)]),
        "eps": rng.choice([1e-8, 0.02]),
    }


ARGUMENTS = {
    "Constant": lambda rng: {"factor": rng.uniform(0.01, 1)},
    "CosineAnnealing": _cosine,
    "CosineRestart": _restarts,
    "Exponential": lambda rng: {"gamma": rng.uniform(0.9, 1.01)},
    "Linear": lambda rng: {
        "start_factor": rng.uniform(0.001, 1),
        "end_factor": rng.choice([1.0, rng.uniform(0, 1)]),
    },
    "MultiStep": lambda rng: {
        "milestones": [rng.randint(0, STEPS) for _ in range(rng.randint(1, 6))],
        "gamma": rng.uniform(0.1, 1.2),
    },
    "OneCycle": _one_cycle,
    "Poly": lambda rng: {"eta_min": rng.choice([0, 1e-4]), "power": rng.uniform(0.5, 3)},
    "ReduceOnPlateau": _plateau,
    "Step": lambda rng: {"step_size": rng.randint(1, 60), "gamma": rng.uniform(0.1, 1.1)},
}
EPOCH_ARGUMENTS = {"step_size", "milestones", "T_max", "periods", "total_steps", "begin", "end"}
CLASSES = [
    f"{name}{kind}"
    for name in ARGUMENTS
    for kind in ("LR", "Momentum", "ParamScheduler")
    if f"{name}{kind}" != "OneCycleMomentum"
]


def draw(rng: random.Random, *names: str) -> dict[str, Any]:
    """Return a case as JSON: an optimizer and a scheduler of each of these classes.

    Args:
        rng: What all is drawn from; Hypothesis passes one that it controls.
        names: The classes.
    """
    kind = rng.choice(["SGD", "Adam"])
    rates = [rng.uniform(0.01, 1) for _ in range(rng.randint(1, 3))]
    return {
        "optimizer": {"kind": kind, "rates": rates, "wrapped": rng.random() < 0.5},
        "schedulers": [_draw_scheduler(rng, name) for name in names],
        "metrics": rng.randint(0, 1000),
    }


def _draw_scheduler(rng: random.Random, name: str) -> dict[str, Any]:
    """Return a scheduler's class and arguments; one in four is converted from epochs."""
    kind = next(kind for kind in ARGUMENTS if name.startswith(kind))
    args = {**_span(rng), **ARGUMENTS[kind](rng)}
    if name == "OneCycleParamScheduler":
        args["param_name"] = "lr"
    elif name.endswith("ParamScheduler"):
        args["param_name"] = rng.choice(["lr", "weight_decay"])
    if kind != "ReduceOnPlateau" and rng.random() < 0.25:
        for key in EPOCH_ARGUMENTS & {*args}:
            if type(args[key]) is int:
                args[key] = args[key] // 7 + 1
        return {"name": name, "args": args, "epoch_length": 7}
    return {"name": name, "args": args}


def make_optimizer(package: Any, kind: str, rates: list[float], wrapped: bool) -> Any:
    """Return an optimizer of a few one-element parameters, in a wrapper or by itself."""
    params = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": rate} for rate in rates]
    options = {"momentum": 0.9} if kind == "SGD" else {"betas": (0.85, 0.99)}
    optimizer = getattr(torch.optim, kind)(params, lr=0.3, weight_decay=0.05, **options)
    return package.OptimWrapper(optimizer) if wrapped else optimizer


def _make_scheduler(package: Any, optimizer: Any, spec: dict[str, Any]) -> Any:
    cls = getattr(package.scheduler, spec["name"])
    if "epoch_length" in spec:
        length = spec["epoch_length"]
        return cls.build_iter_from_epoch(optimizer, **spec["args"], epoch_length=length)
    return cls(optimizer, **spec["args"])


def _watched(optimizer: Any) -> str:
    names = ("lr", "momentum", "betas", "weight_decay")
    return repr([[group.get(name) for name in names] for group in optimizer.param_groups])


def follow(optimizer: Any, schedulers: list[Any], rng: random.Random, steps: int) -> list[str]:
    """Step all schedulers and return the watched options after each step."""
    metric, trace = 1.0, [_watched(optimizer)]
    for _ in range(steps):
        optimizer.step()
        metric *= rng.uniform(0.9, 1.08)
        for scheduler in schedulers:
            scheduler.step()
            if getattr(scheduler, "need_val_args", False):
                scheduler.step({"m": metric})
        trace.append(_watched(optimizer) + repr([s.get_last_value() for s in schedulers]))
    return trace


def kinds_of(error: Exception) -> list[str]:
    return [kind.__name__ for kind in KINDS if isinstance(error, kind)]


def _build(package: Any, spec: dict[str, Any]) -> tuple[Any, list[Any]]:
    optimizer = make_optimizer(package, **spec["optimizer"])
    return optimizer, [_make_scheduler(package, optimizer, one) for one in spec["schedulers"]]


def _state(scheduler: Any) -> dict[str, Any]:
    # A function; mm2pl leaves it out of its states.
    return {k: v for k, v in scheduler.state_dict().items() if k != "anneal_func"}


def _case(package: Any, spec: dict[str, Any]) -> dict[str, Any]:
    optimizer, schedulers = _build(package, spec)
    trace = follow(optimizer, schedulers, random.Random(spec["metrics"]), STEPS)
    return {"trace": trace, "states": [sorted(map(repr, _state(s).items())) for s in schedulers]}


def run_case(package: Any, spec: dict[str, Any]) -> Any:
    """Return what the groups' options are after each step, and the states after the last one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return attempt(_case, package, spec)


def halfway(package: Any, name: str) -> dict[str, Any]:
    """Return the scheduler's state and the groups' options after half the steps."""
    optimizer, [scheduler] = _build(package, draw(random.Random(name), name))
    follow(optimizer, [scheduler], random.Random(name), STEPS // 2)
    groups = [{k: v for k, v in g.items() if k != "params"} for g in optimizer.param_groups]
    return {"scheduler": _state(scheduler), "groups": groups}


def second_half(package: Any, name: str, saved: dict[str, Any]) -> list[str]:
    """Go on from what :func:`halfway` returned, in whichever of the two packages."""
    optimizer, [scheduler] = _build(package, draw(random.Random(name), name))
    for group, options in zip(optimizer.param_groups, saved["groups"], strict=True):
        group.update(options)
    scheduler.load_state_dict(saved["scheduler"])
    return follow(optimizer, [scheduler], random.Random(name), STEPS // 2)


def attempt(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Return the result, or the kinds of the error."""
    try:
        return function(*args, **kwargs)
    except KINDS as error:
        return {"error": kinds_of(error)}


def _signature(cls: type) -> list[str]:
    described = []
    for parameter in inspect.signature(cls).parameters.values():
        default = parameter.default
        described.append(f"{parameter.kind.name} {parameter.name}")
        if default is not inspect.Parameter.empty:
            described[-1] += f"={default!r}"
    return described


BAD = [
    ("StepLR", {}),
    ("StepLR", {"step_size": 2, "begin": 5, "end": 5}),
    ("StepLR", {"step_size": 2, "last_step": -2}),
    ("StepLR", {"step_size": 2, "last_step": 1.5}),
    ("StepLR", {"step_size": 2, "last_step": 3}),
    ("StepParamScheduler", {"step_size": 2, "param_name": "nothing"}),
    ("ConstantLR", {"factor": 1.5}),
    ("ConstantLR", {"factor": -0.5}),
    ("LinearLR", {"start_factor": 2}),
    ("LinearLR", {"end_factor": -1}),
    ("CosineAnnealingLR", {"eta_min": 0.1, "eta_min_ratio": 0.1}),
    ("CosineRestartLR", {"periods": [1, 2], "restart_weights": [1, 1]}),
    ("CosineRestartLR", {"periods": [1, 2], "restart_weights": [1], "eta_min": 0}),
    ("OneCycleParamScheduler", {"param_name": "momentum"}),
    ("OneCycleLR", {"total_steps": 0}),
    ("OneCycleLR", {"total_steps": 1.5}),
    ("OneCycleLR", {"pct_start": 2.0}),
    ("OneCycleLR", {"pct_start": 1}),
    ("OneCycleLR", {"anneal_strategy": "cubic"}),
    ("OneCycleLR", {"eta_max": [0.1, 0.2, 0.3]}),
    ("ReduceOnPlateauLR", {"by_epoch": False}),
    ("ReduceOnPlateauLR", {"factor": 1.0}),
    ("ReduceOnPlateauLR", {"threshold": -1.0}),
    ("ReduceOnPlateauLR", {"rule": "better"}),
    ("ReduceOnPlateauLR", {"threshold_rule": "relative"}),
    ("ReduceOnPlateauLR", {"min_value": [0.1, 0.2]}),
    ("ReduceOnPlateauLR", {"begin": 3, "end": 2}),
]
BAD_CONVERSIONS: list[dict[str, Any]] = [
    {"by_epoch": False, "epoch_length": 3},
    {"epoch_length": 0},
    {},
]


def _bad(package: Any, name: str, kwargs: dict[str, Any]) -> Any:
    optimizer = make_optimizer(package, "SGD", [0.5], False)
    getattr(package.scheduler, name)(optimizer, **kwargs)
    return "accepted"


def _bad_conversion(package: Any, kwargs: dict[str, Any]) -> Any:
    optimizer = make_optimizer(package, "SGD", [0.5], False)
    package.scheduler.StepLR.build_iter_from_epoch(optimizer, step_size=1, **kwargs)
    return "accepted"


def _converted(package: Any, name: str, **kwargs: Any) -> Any:
    optimizer = make_optimizer(package, "SGD", [0.5], False)
    made = getattr(package.scheduler, name).build_iter_from_epoch(
        optimizer, epoch_length=3, **kwargs
    )
    return sorted(map(repr, _state(made).items()))


def _going_on(package: Any, name: str) -> Any:
    """Step, and let a second scheduler go on by ``last_step``."""
    rng = random.Random(name)
    optimizer, [first] = _build(package, draw(rng, name))
    trace = follow(optimizer, [first], rng, 5)
    options = {"total_steps": 30} if name.startswith("OneCycle") else {}
    options |= {"step_size": 2} if name.startswith("Step") else {}
    options |= {"milestones": [7]} if name.startswith("MultiStep") else {}
    options |= {"gamma": 0.9} if name.startswith("Exponential") else {}
    options |= {"eta_max": 0.5} if name.startswith("OneCycle") else {}
    options |= {"periods": [9], "eta_min": 0} if name.startswith("CosineRestart") else {}
    options |= {"param_name": "lr"} if name.endswith("ParamScheduler") else {}
    options |= {"monitor": "m"} if name.startswith("ReduceOnPlateau") else {}
    second = getattr(package.scheduler, name)(optimizer, last_step=4, **options)
    return trace + follow(optimizer, [second], rng, 20)


def run(name: str) -> dict[str, Any]:
    """Run the fixed cases with the package of that name."""
    package = importlib.import_module(f"{name}.optim")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "going_on": {c: attempt(_going_on, package, c) for c in CLASSES},
            "signatures": {c: _signature(getattr(package.scheduler, c)) for c in CLASSES},
            "bad": [attempt(_bad, package, *case) for case in BAD],
            "milestones": _converted(package, "MultiStepLR", milestones=range(2, 9, 3)),
            "bad_conversions": [attempt(_bad_conversion, package, k) for k in BAD_CONVERSIONS],
        }


def save(name: str, path: Path) -> None:
    """Write what all classes are halfway."""
    package = importlib.import_module(f"{name}.optim")
    path.write_bytes(pickle.dumps({cls: halfway(package, cls) for cls in CLASSES}))


def resume(name: str, path: Path) -> dict[str, Any]:
    """Go on from what :func:`save` wrote."""
    package = importlib.import_module(f"{name}.optim")
    saved = pickle.loads(path.read_bytes())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {cls: second_half(package, cls, saved[cls]) for cls in CLASSES}


def _answer(request: Any) -> Any:
    if isinstance(request, dict):
        return run_case(importlib.import_module("mmengine.optim"), request)
    theirs, ours = map(Path, request)
    save("mmengine", theirs)
    resumed = [resume("mmengine", theirs), resume("mmengine", ours)]
    return {**run("mmengine"), "resumed": resumed}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(_answer(json.loads(line))), flush=True)
