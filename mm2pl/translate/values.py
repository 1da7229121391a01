"""Values that what is built would refuse: of the wrong type, or out of range.

Each row was tried with MMEngine 0.10.7: a run with such a value ends by an error. Only plain values
are judged; an object that code of the config has made may be what its class wants.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.translate.report import Check, Report, brief

PLAIN = (str, bytes, int, float, list, tuple)


def is_plain(value: Any) -> bool:
    """Whether a value stands where only a dict or a built object may, and is neither."""
    return isinstance(value, PLAIN)


def want_dict(value: Any, path: str, report: Report, *, none: bool = True) -> bool:
    """Tell that a value is no dict and nothing built; return whether it was told.

    Args:
        value: What stands there.
        path: Its key path.
        report: Takes the problem.
        none: Whether None may stand there.
    """
    if not is_plain(value) and (value is not None or none):
        return False
    report.later(f"must be a dict, got {brief(value)}", path, "give dict(type=...)")
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float))


def _no_number(value: Any) -> bool:
    return value is None or isinstance(value, (str, bytes, list, tuple, Mapping))


def _number(at_least: float | None = None, at_most: float | None = None) -> Check:
    bounds = [f"of at least {at_least:g}"] if at_least is not None else []
    bounds += [f"of at most {at_most:g}"] if at_most is not None else []
    text = " ".join(["must be a number", " and ".join(bounds)]).rstrip()

    def check(value: Any) -> str | None:
        if _no_number(value):
            return text
        low = _is_number(value) and at_least is not None and value < at_least
        high = _is_number(value) and at_most is not None and value > at_most
        return text if low or high else None

    return check


def _factor(below_one: bool) -> Check:
    text = f"must be a number above 0 and {'below' if below_one else 'up to'} 1"

    def check(value: Any) -> str | None:
        high = _is_number(value) and (value >= 1 if below_one else value > 1)
        low = _is_number(value) and value <= 0 and not below_one
        return text if _no_number(value) or high or low else None

    return check


def _positive_int(value: Any) -> str | None:
    whole = isinstance(value, int) or not (_no_number(value) or isinstance(value, float))
    fits = whole and not (_is_number(value) and value < 1)
    return None if fits else "must be an integer of at least 1"


def _or_none(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


def _list_of_numbers(value: Any) -> str | None:
    wrong = value is None or isinstance(value, (str, bytes, int, float, Mapping))
    return "must be a list of numbers" if wrong else None


def _betas(value: Any) -> str | None:
    text = "must be two numbers of at least 0 and below 1"
    if value is None or isinstance(value, (str, bytes, int, float, Mapping)):
        return text
    if isinstance(value, (list, tuple)):
        numbers = [one for one in value[:2] if _is_number(one)]
        if len(value) < 2 or any(not 0 <= one < 1 for one in numbers):
            return text
    return None


def _choice(*names: str | None) -> Check:
    def check(value: Any) -> str | None:
        if value in names if isinstance(value, (str, type(None))) else not is_plain(value):
            return None
        return f"must be {' or '.join(repr(one) for one in names)}"

    return check


def _monitored(value: Any) -> str | None:
    fits = value is None or isinstance(value, str)
    if isinstance(value, (list, tuple)):
        fits = all(isinstance(one, str) for one in value)
    return None if fits else "must be a metric's name, a list of them, or 'auto'"


_RULE = _choice("greater", "less")


def _rules(value: Any) -> str | None:
    several = value if isinstance(value, (list, tuple)) else [value]
    return next(filter(None, (_RULE(one) for one in several if one is not None)), None)


def milestones_and_intervals(value: Any) -> str | None:
    """Return what is wrong with ``dynamic_intervals``."""
    fits = not isinstance(value, (str, bytes, int, float, Mapping))
    for pair in value if isinstance(value, (list, tuple)) else ():
        fits &= isinstance(pair, (list, tuple)) and all(map(_is_number, [*pair, None][:2]))
    return None if fits else "must be a list of (begin, interval)"


_FAMILIES = ("LR", "Momentum", "ParamScheduler")
# Registry -> argument, of one class where that is in front -> what is wrong with a value.
VALUES: dict[str, dict[str, Check]] = {
    "HOOKS": {
        "LoggerHook.interval": _positive_int,
        "CheckpointHook.rule": _rules,
        "CheckpointHook.save_best": _monitored,
        "EarlyStoppingHook.rule": _choice("greater", "less", None),
    },
    "PARAM_SCHEDULERS": {
        "milestones": _list_of_numbers,
        "periods": _list_of_numbers,
        "begin": _number(),
        "end": _number(),
        "pct_start": _number(0, 1),
        "anneal_strategy": _choice("cos", "linear"),
        "rule": _RULE,
        "threshold": _number(0),
        "threshold_rule": _choice("abs", "rel"),
        "total_steps": _or_none(_positive_int),
        "T_max": _or_none(_number()),
        "gamma": _number(),
        "power": _number(),
        "step_size": _positive_int,
        **{f"Linear{one}.start_factor": _factor(below_one=False) for one in _FAMILIES},
        **{f"Linear{one}.end_factor": _number(0, 1) for one in _FAMILIES},
        **{f"Constant{one}.factor": _number(0, 1) for one in _FAMILIES},
        **{f"ReduceOnPlateau{one}.factor": _factor(below_one=True) for one in _FAMILIES},
    },
    "OPTIMIZERS": {
        "Adam.betas": _betas,
        "AdamW.betas": _betas,
        "NAdam.betas": _betas,
        "RAdam.betas": _betas,
        **{
            f"{name}.{argument}": _number(0)
            for name in ("SGD", "Adam", "AdamW", "NAdam", "RAdam", "RMSprop", "Adagrad")
            for argument in ("lr", "weight_decay")
        },
        "SGD.momentum": _number(0),
    },
}


# Beginning of a class's name -> arguments of which only one may be given.
_EITHER = {
    "EMAHook": ("begin_iter", "begin_epoch"),
    "CosineAnnealing": ("eta_min", "eta_min_ratio"),
    "CosineRestart": ("eta_min", "eta_min_ratio"),
}


def check_values(
    registry: str, name: str, given: Mapping[str, Any], path: str, report: Report
) -> None:
    """Tell which arguments of a known class have values that it refuses."""
    rows = VALUES.get(registry, {})
    for key, value in given.items():
        check = rows.get(f"{name}.{key}") or rows.get(key)
        wrong = check(value) if check else None
        if wrong:
            report.later(f"{wrong}, got {brief(value)}", f"{path}.{key}")
    for start, (one, other) in _EITHER.items():
        both = (
            name.startswith(start) and given.get(one) is not None and given.get(other) is not None
        )
        if both and (start != "EMAHook" or (given[one] and given[other])):
            report.later(f"only one of {one!r} and {other!r} may be given", f"{path}.{other}")


def check_type(kind: Any, path: str, report: Report) -> bool:
    """Tell that a ``type`` is neither a name nor a class; return whether it was told."""
    if kind is not None and not isinstance(kind, (int, float, list, tuple, Mapping)):
        return False
    report.later(f"must be a name or a class, got {brief(kind)}", f"{path}.type")
    return True


def check_loader(given: Mapping[str, Any], path: str, report: Report) -> None:
    """Tell what torch's DataLoader, and what builds its parts, would refuse."""
    for key in ("sampler", "batch_sampler"):
        if is_plain(given.get(key)) and not isinstance(given[key], (list, tuple)):
            want_dict(given[key], f"{path}.{key}", report)
    if isinstance(given.get("collate_fn"), PLAIN):
        want_dict(given["collate_fn"], f"{path}.collate_fn", report)
    if given.get("shuffle") is True and given.get("sampler") is not None:
        text = "a loader with a sampler takes no shuffle=True"
        report.later(text, f"{path}.shuffle", "give shuffle=True to the sampler")
    workers = given.get("num_workers", 0)
    if workers == 0:
        for key in ("persistent_workers", "prefetch_factor"):
            if given.get(key):
                report.later("needs num_workers of at least 1", f"{path}.{key}")
    timeout = given.get("timeout", 0)
    if isinstance(timeout, (int, float)) and timeout < 0:
        report.later(f"must not be negative, got {timeout}", f"{path}.timeout")
