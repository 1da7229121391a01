"""Torch's schedules in words: what each does from its begin on, in steps of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Words = Callable[[Mapping[str, Any], str], str]


def _counted(number: Any, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _function(cfg: Mapping[str, Any], unit: str) -> str:
    return f"is its first value times a function of the {unit}"


def _product(cfg: Mapping[str, Any], unit: str) -> str:
    return f"is multiplied by a function of the {unit} at each"


def _step(cfg: Mapping[str, Any], unit: str) -> str:
    return f"x{cfg['gamma']:g} every {_counted(cfg['step_size'], unit)}"


def _multi_step(cfg: Mapping[str, Any], unit: str) -> str:
    return f"x{cfg['gamma']:g} after {', '.join(map(str, cfg['milestones']))} {unit}s"


def _constant(cfg: Mapping[str, Any], unit: str) -> str:
    return f"is {cfg['factor']:g}x for {_counted(cfg['total_iters'], unit)}"


def _linear(cfg: Mapping[str, Any], unit: str) -> str:
    start, end = cfg["start_factor"], cfg["end_factor"]
    verb = "rises" if end > start else "falls"
    return f"{verb} from {start:g}x to {end:g}x in {_counted(cfg['total_iters'], unit)}"


def _exponential(cfg: Mapping[str, Any], unit: str) -> str:
    return f"x{cfg['gamma']:g} at each {unit}"


def _polynomial(cfg: Mapping[str, Any], unit: str) -> str:
    power = cfg["power"]
    how = "linearly" if power == 1 else f"by a polynomial of degree {power:g}"
    return f"falls {how} to 0 in {_counted(cfg['total_iters'], unit)}"


def _cosine(cfg: Mapping[str, Any], unit: str) -> str:
    return f"follows a cosine to {cfg['eta_min']:g} and back, {_counted(cfg['T_max'], unit)} a way"


def _restarts(cfg: Mapping[str, Any], unit: str) -> str:
    longer = f", each {cfg['T_mult']} times as long as the last" if cfg["T_mult"] != 1 else ""
    first = _counted(cfg["T_0"], unit)
    return f"falls along a cosine to {cfg['eta_min']:g} again and again, first in {first}{longer}"


def _cyclic(cfg: Mapping[str, Any], unit: str) -> str:
    up = cfg["step_size_up"]
    down = up if cfg["step_size_down"] is None else cfg["step_size_down"]
    return (
        f"goes between {_rate(cfg['base_lr'])} and {_rate(cfg['max_lr'])}, {_counted(up, unit)} up"
        f" and {down} down ({cfg['mode']}){_momentum(cfg)}"
    )


def _one_cycle(cfg: Mapping[str, Any], unit: str) -> str:
    total = cfg["total_steps"]
    if total is None and cfg["epochs"] and cfg["steps_per_epoch"]:
        total = cfg["epochs"] * cfg["steps_per_epoch"]
    return (
        f"rises to {_rate(cfg['max_lr'])} in the first {cfg['pct_start']:.0%} and falls to almost"
        f" nothing, a cycle of {_counted(total, unit)}{_momentum(cfg)}"
    )


def _plateau(cfg: Mapping[str, Any], unit: str) -> str:
    better = "lower" if cfg["mode"] == "min" else "higher"
    return (
        f"x{cfg['factor']:g} when the metric {cfg.get('monitor')!r} has not become {better} for"
        f" more than {_counted(cfg['patience'], 'validation')}"
    )


def _rate(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else f"{list(value)} by group"


def _momentum(cfg: Mapping[str, Any]) -> str:
    return ", and the momentum against it" if cfg["cycle_momentum"] else ""


WORDS: dict[str, Words] = {
    "LambdaLR": _function,
    "MultiplicativeLR": _product,
    "StepLR": _step,
    "MultiStepLR": _multi_step,
    "ConstantLR": _constant,
    "LinearLR": _linear,
    "ExponentialLR": _exponential,
    "PolynomialLR": _polynomial,
    "CosineAnnealingLR": _cosine,
    "CosineAnnealingWarmRestarts": _restarts,
    "CyclicLR": _cyclic,
    "OneCycleLR": _one_cycle,
    "ReduceLROnPlateau": _plateau,
}
