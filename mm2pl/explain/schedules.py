"""Schedules in words, without importing the schedulers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mm2pl.explain import classes
from mm2pl.explain.torch_schedules import WORDS
from mm2pl.plan import Status
from mm2pl.translate.classes import Found, find
from mm2pl.translate.torch_schedules import ARGUMENTS, PLATEAU, is_torchs

_INFINITE = int(1e9)
_FAMILY = re.compile(r"(LR|Momentum|ParamScheduler)$")
_PARAMETERS = {"LR": "lr", "Momentum": "momentum"}


@dataclass(frozen=True)
class Entry:
    """One scheduler of a config.

    Attributes:
        path: Where it stands.
        given: What stands there, a config or a built scheduler.
        scope: The default scope of the config.
        optimizer: The name of its optimizer, or None for that or those that there are.
    """

    path: str
    given: Any
    scope: str | None = None
    optimizer: str | None = None

    @property
    def found(self) -> Found:
        """What its ``type`` stands for."""
        kind = self.given.get("type") if isinstance(self.given, Mapping) else type(self.given)
        return find(kind, "PARAM_SCHEDULERS", self.scope)

    @property
    def is_built_in(self) -> bool:
        return self.found.status is Status.AS_IS or self.is_torchs

    @property
    def is_torchs(self) -> bool:
        """Whether it is one of torch's own schedules."""
        kind = classes.raw(self.given).get("type") if isinstance(self.given, Mapping) else None
        return is_torchs(kind) and self.kind in ARGUMENTS

    @property
    def kind(self) -> str:
        """The name of its class."""
        return classes.kind_of(self.given)

    @property
    def cfg(self) -> dict[str, Any]:
        """Its arguments, with the defaults that are known; attributes of a built scheduler."""
        own = self.given if isinstance(self.given, Mapping) else vars(self.given)
        if self.is_torchs:
            return {"begin": 0, "end": _INFINITE, **ARGUMENTS[self.kind], **own}
        known = self.found.known
        return {**(known.defaults if known else {}), **own}

    @property
    def by_epoch(self) -> bool:
        """Whether its numbers count epochs."""
        return bool(self.cfg.get("by_epoch", True))

    @property
    def converted(self) -> bool:
        """Whether it steps by iteration although its numbers count epochs."""
        return bool(self.cfg.get("convert_to_iter_based", False))

    @property
    def parameter(self) -> str:
        """The option that it changes."""
        if self.is_torchs:
            return "lr"
        match = _FAMILY.search(self.kind)
        of_class = _PARAMETERS.get(match[1]) if match else None
        return of_class or str(self.cfg.get("param_name", "an option"))


def entries_of(given: Any, scope: str | None = None) -> list[Entry]:
    """List the schedulers of ``param_scheduler``: one, a list, or those by optimizer."""
    given = classes.raw(given)
    if given is None:
        return []
    if isinstance(given, Mapping) and "type" not in given:
        return [
            Entry(f"param_scheduler.{name}{place}", one, scope, name)
            for name, listed in given.items()
            for place, one in _listed(listed)
        ]
    return [Entry(f"param_scheduler{place}", one, scope) for place, one in _listed(given)]


def _listed(given: Any) -> list[tuple[str, Any]]:
    if isinstance(given, (list, tuple)):
        return [(f"[{index}]", one) for index, one in enumerate(given)]
    return [("", given)]


def optimizers_of(wrapper: Any) -> dict[str, dict[str, Any]]:
    """Return the optimizers' configs by name; one that is alone has an empty name."""
    wrapper = classes.raw(wrapper)
    if not isinstance(wrapper, Mapping):
        built = getattr(wrapper, "optimizer", None)
        return {"": dict(getattr(built, "defaults", {}))}
    if wrapper.get("optimizer") is not None:
        return {"": _options(wrapper["optimizer"])}
    several = {
        name: _options(one["optimizer"])
        for name, one in wrapper.items()
        if isinstance(one, Mapping) and one.get("optimizer") is not None
    }
    return several or {"": {}}


def _options(optimizer: Any) -> dict[str, Any]:
    return dict(getattr(optimizer, "defaults", optimizer))


@dataclass(frozen=True)
class Length:
    """How long a training is; None where it is not known without the data.

    Attributes:
        epochs: In epochs.
        steps: In what schedules count that do not count epochs.
        step: What that is: ``iteration``, or ``update`` of the optimizer.
    """

    epochs: int | None = None
    steps: int | None = None
    step: str = "iteration"


def describe(given: Any, length: Length, scope: str | None = None) -> list[dict[str, Any]]:
    """Return a row for each schedule; ``words`` says what it does."""
    return [_describe(entry, length) for entry in entries_of(given, scope)]


def _describe(entry: Entry, length: Length) -> dict[str, Any]:
    row: dict[str, Any] = {"key_path": entry.path, "type": entry.kind}
    if entry.optimizer is not None:
        row["optimizer"] = entry.optimizer
    if not entry.is_built_in:
        found = entry.found
        words = f"{found.text}{', did you mean ' * bool(found.choices)}{', '.join(found.choices)}"
        return {**row, "words": words}
    span = _Span(entry, length)
    what = _torchs(entry, span) if entry.is_torchs else _mmengines(entry, span)
    return {
        **row,
        "parameter": entry.parameter,
        "unit": span.unit,
        "begin": span.begin,
        "end": span.end,
        "words": f"{entry.parameter} {what}{span.remark()}",
    }


def _mmengines(entry: Entry, span: _Span) -> str:
    return _FAMILIES[_FAMILY.sub("", entry.kind)](entry.cfg, span)


def _torchs(entry: Entry, span: _Span) -> str:
    """Return what one of torch's does: it counts from its begin, and its end cuts it off."""
    words = WORDS[entry.kind](entry.cfg, span.unit)
    return words if entry.kind == PLATEAU else f"{words}, {span.over}"


class _Span:
    """The steps over which a schedule is active.

    Args:
        entry: The scheduler.
        length: Of the training.
    """

    def __init__(self, entry: Entry, length: Length) -> None:
        cfg = entry.cfg
        self.unit = "epoch" if entry.by_epoch else length.step
        self.total = length.epochs if entry.by_epoch else length.steps
        self._step = length.step
        self.begin: int = cfg["begin"]
        given = isinstance(entry.given, Mapping) and "end" in entry.given
        end = cfg["end"] if given else self.total
        # Without an end of its own a schedule ends with the training.
        self.end: int | None = None if end is None or end >= _INFINITE else end
        self._converted = entry.converted
        self._idle = entry.by_epoch and not entry.converted and length.epochs is None

    @property
    def over(self) -> str:
        """Return e.g. ``over epochs 0-12``."""
        if self.end is None:
            return f"from {self.unit} {self.begin} to the end"
        return f"over {self.unit}s {self.begin}-{self.end}"

    def at(self, steps: Sequence[int]) -> str:
        """Return e.g. ``at epochs 8 and 11`` for steps counted from the begin."""
        places = [self.begin + one for one in steps]
        shown = [one for one in places if self.end is None or one < self.end]
        late = [one for one in places if one not in shown]
        if not shown:
            verb = "are" if len(late) > 1 else "is"
            why = f": {_places(self.unit, late)} {verb} not reached, it ends at {self.end}"
            return f"never{why if late else ''}"
        past = f" (not at {_places(self.unit, late)}: it ends at {self.end})" if late else ""
        return f"at {_places(self.unit, shown)}{past}"

    def remark(self) -> str:
        """Return what else is to be said: when it ends, and how it steps."""
        parts = []
        if self._idle:
            parts.append("but the loop counts iterations: it stays at its first value")
        elif self.end is not None and self.total is not None and self.end != self.total:
            if self.end > self.total:
                parts.append(f"but the training ends at {self.unit} {self.total}")
            elif self.end < self.total:
                parts.append("then stays")
        if self._converted:
            parts.append(f"counted in epochs, stepped at each {self._step}")
        return "".join(f"; {part}" for part in parts)


def _places(unit: str, steps: Sequence[int]) -> str:
    """Return e.g. ``epochs 2, 3 and 4``."""
    first = ", ".join(map(str, steps[:-1]))
    return f"{unit}{'s' * (len(steps) > 1)} {f'{first} and ' if first else ''}{steps[-1]}"


def _constant(cfg: Any, span: _Span) -> str:
    return f"is {cfg['factor']:g}x {span.over}, and its own value from the last of these on"


def _linear(cfg: Any, span: _Span) -> str:
    start, end = cfg["start_factor"], cfg["end_factor"]
    verb = "rises" if end > start else "falls"
    return f"{verb} from {start:g}x to {end:g}x {span.over}"


def _multi_step(cfg: Any, span: _Span) -> str:
    return f"x{cfg['gamma']:g} {span.at(cfg['milestones'])}"


def _step(cfg: Any, span: _Span) -> str:
    return f"x{cfg['gamma']:g} every {_counted(cfg['step_size'], span.unit)} {span.over}"


def _exponential(cfg: Any, span: _Span) -> str:
    return f"x{cfg['gamma']:g} at each {span.unit} {span.over}"


def _lowest(cfg: Any) -> str:
    if cfg.get("eta_min_ratio") is not None:
        return f"{cfg['eta_min_ratio']:g}x"
    return f"{cfg['eta_min'] or 0:g}"


def _cosine(cfg: Any, span: _Span) -> str:
    text = f"falls along a cosine to {_lowest(cfg)} {span.over}"
    period = cfg.get("T_max")
    if not period or (span.end is not None and period == span.end - span.begin):
        return text
    return f"{text}, half a wave of {_counted(period, span.unit)}"


def _restarts(cfg: Any, span: _Span) -> str:
    pairs = zip(cfg["periods"], cfg["restart_weights"], strict=False)
    waves = ", ".join(f"{period} from {weight:g}x" for period, weight in pairs)
    return (
        f"falls along a cosine to {_lowest(cfg)} again and again {span.over}; {span.unit}s: {waves}"
    )


def _poly(cfg: Any, span: _Span) -> str:
    power = cfg["power"]
    how = "linearly" if power == 1 else f"by a polynomial of degree {power:g}"
    return f"falls {how} to {cfg['eta_min']:g} {span.over}"


def _one_cycle(cfg: Any, span: _Span) -> str:
    highest = cfg["eta_max"]
    if isinstance(highest, (int, float)):
        first = highest / cfg["div_factor"]
        rates = (f"{first:g}", f"{highest:g}", f"{first / cfg['final_div_factor']:g}")
    else:
        rates = ("its first value", f"{list(highest)} by group", "almost nothing")
    middle = f" as long to {rates[0]}, and then" if cfg["three_phase"] else ""
    total = cfg.get("total_steps")
    cycle = f", a cycle of {_counted(total, span.unit)}" if total else ""
    return (
        f"rises from {rates[0]} to {rates[1]} in the first {cfg['pct_start']:.0%}, falls{middle} to"
        f" {rates[2]} {span.over}{cycle}"
    )


def _plateau(cfg: Any, span: _Span) -> str:
    better = "lower" if cfg["rule"] == "less" else "higher"
    patience = _counted(cfg["patience"], "validation")
    return (
        f"x{cfg['factor']:g} when the metric {cfg['monitor']!r} has not become {better} for more"
        f" than {patience}"
    )


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


_FAMILIES: dict[str, Callable[[Any, _Span], str]] = {
    "Constant": _constant,
    "CosineAnnealing": _cosine,
    "CosineRestart": _restarts,
    "Exponential": _exponential,
    "Linear": _linear,
    "MultiStep": _multi_step,
    "OneCycle": _one_cycle,
    "Poly": _poly,
    "ReduceOnPlateau": _plateau,
    "Step": _step,
}
