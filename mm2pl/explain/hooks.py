"""Which hook runs where, and in what order, without importing the hooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mm2pl.explain import classes
from mm2pl.plan import Plan
from mm2pl.translate.report import type_name
from mm2pl.translate.trainer_callbacks import CALLBACKS, is_lightnings

# mmengine.runner.Priority; its package imports torch. A test compares them.
PRIORITIES = {
    "HIGHEST": 0,
    "VERY_HIGH": 10,
    "HIGH": 30,
    "ABOVE_NORMAL": 40,
    "NORMAL": 50,
    "BELOW_NORMAL": 60,
    "LOW": 70,
    "VERY_LOW": 90,
    "LOWEST": 100,
}
_NAMES = {number: name for name, number in PRIORITIES.items()}
# The points in the order in which a run comes by them (Hook.stages; a test compares them).
_LOAD, _END = "after_load_checkpoint", "after_run"
_TRAIN = ("before_train", "before_train_epoch", "before_train_iter", "after_train_iter")
_EVAL = ("before_{}", "before_{}_epoch", "before_{}_iter", "after_{}_iter", "after_{}_epoch")
STAGES = (
    *("before_run", _LOAD, *_TRAIN, "after_train_epoch"),
    *(point.format("val") for point in (*_EVAL, "after_{}")),
    *("before_save_checkpoint", "after_train"),
    *(point.format("test") for point in (*_EVAL, "after_{}")),
    _END,
)


@dataclass(frozen=True)
class HookRow:
    """A hook of the plan.

    Attributes:
        path: Where it stands.
        kind: The name of its class.
        priority: Its priority's number; None if its class decides.
        points: Where it runs; None if its class decides.
        native: Whether it is known for one of Lightning's callbacks.
    """

    path: str
    kind: str
    priority: int | None
    points: tuple[str, ...] | None
    native: bool = False

    @property
    def order(self) -> int:
        """What it is sorted by: a class that says nothing has the base class's priority."""
        return PRIORITIES["NORMAL"] if self.priority is None else self.priority

    @property
    def shown_priority(self) -> str:
        """Its priority's name and number."""
        if self.priority is None:
            return "its class's, else NORMAL (50)"
        name = _NAMES.get(self.priority)
        return f"{name} ({self.priority})" if name else str(self.priority)


def rows(plan: Plan) -> list[HookRow]:
    """List the hooks in the order in which they run at a point."""
    scope = plan.runtime.default_scope
    found = [_row(path, hook, scope) for path, hook in plan.hooks.entries]
    return sorted(found, key=lambda one: one.order)


def _row(path: str, hook: Any, scope: str | None) -> HookRow:
    if not isinstance(hook, Mapping):
        if not hasattr(hook, "stages") and hasattr(hook, "state_key"):  # one of Lightning's
            from mm2pl.callbacks import NativeCallback

            kind, hook = classes.kind_of(hook), NativeCallback(hook)
            stages = tuple(hook.get_triggered_stages())
            return HookRow(path, kind, _number(hook.priority), stages, native=True)
        points = tuple(hook.get_triggered_stages()) if hasattr(hook, "stages") else None
        return HookRow(
            path, classes.kind_of(hook), _number(getattr(hook, "priority", None)), points
        )
    cfg = classes.raw(hook)
    kind = cfg.get("type")
    native = is_lightnings(kind)
    if native:
        known = CALLBACKS.get(type_name(kind))
    else:
        known = classes.known_class(kind, "HOOKS", scope)
    priority = cfg.get("priority")
    if priority is None and known is not None:
        priority = known.priority
    points = tuple(known.points) if known is not None else None
    return HookRow(path, classes.kind_of(hook), _number(priority), points, native)


def _number(priority: Any) -> int | None:
    if isinstance(priority, str):
        return PRIORITIES.get(priority.upper())
    value = getattr(priority, "value", priority)
    return value if isinstance(value, int) else None


def points_of(plan: Plan, command: str) -> dict[str, list[HookRow]]:
    """Return what runs at each point that a command comes by; of the known classes."""
    runs = {"fit": ("train", "val") if plan.val else ("train",), "validate": ("val",)}
    stages = runs.get(command, ("test",))
    others = {"train", "val", "test"} - set(stages)
    loads = plan.runtime.load_from or plan.runtime.resume or command != "fit"
    found = {}
    for point in STAGES:
        if others & set(point.split("_")) or (point == _LOAD and not loads):
            continue
        if point == "before_save_checkpoint" and command != "fit":
            continue
        here = [one for one in rows(plan) if one.points and point in one.points]
        if here:
            found[point] = here
    return found
