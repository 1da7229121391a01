"""The hooks of a run in the order of their priorities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.registry.errors import add_note
from mm2pl.mmengine.runner.priority import Priority, get_priority


class HookCollection:
    """Keeps hooks ordered and calls a point on those that implement it.

    Args:
        runner: What each hook receives.
        hooks: The list to keep in order; it may be changed from outside as well.
    """

    def __init__(self, runner: Any, hooks: list[Hook]) -> None:
        self.hooks = hooks
        self.profiler: Any = None  # one that the user asked for
        self._runner = runner
        self._known: list[Hook] = []
        self._points: dict[str, list[tuple[Hook, Callable[..., None]]]] = {}

    def add(self, hook: Hook) -> None:
        """Insert a hook behind all whose priority is as high or higher."""
        place = len(self.hooks)
        while place and get_priority(self.hooks[place - 1].priority) > get_priority(hook.priority):
            place -= 1
        self.hooks.insert(place, hook)

    def call(self, point: str, **kwargs: Any) -> None:
        """Call ``point`` on the hooks that implement it, one after the other."""
        self._call_from(0, point, kwargs)

    def _call_from(self, place: int, point: str, kwargs: dict[str, Any]) -> None:
        """Call ``point`` on the hooks that stand at ``place`` or behind it."""
        if self._known != self.hooks:
            # Hooks were added, or a user changed the list: look everything up anew.
            self._known = list(self.hooks)
            self._points = {}
        known, count = self._known, len(self.hooks)
        methods = self._points.get(point)
        if methods is None:
            methods = self._points[point] = self._implementers(point)
        if place:
            methods = [(hook, method) for hook, method in methods if hook in known[place:]]
        for hook, method in methods:
            try:
                if self.profiler is None:
                    method(self._runner, **kwargs)
                else:
                    with self.profiler.profile(f"[Hook]{type(hook).__name__}.{point}"):
                        method(self._runner, **kwargs)
            except Exception as error:
                # MMEngine names the hook of a TypeError: a signature says nothing of where it is.
                add_note(error, f"In the hook {type(hook).__name__} at {point}")
                raise
            if len(self.hooks) != count:
                # It added or removed one. MMEngine goes on with what comes next in the list then.
                self._call_from(known.index(hook) + 1, point, kwargs)
                return

    def _implementers(self, point: str) -> list[tuple[Hook, Callable[..., None]]]:
        return [
            (hook, getattr(hook, point))
            for hook in self.hooks
            if point in hook.get_triggered_stages()
            # Points of one's own, and methods that were put on the object.
            or (point not in Hook.stages and hasattr(hook, point))
            or point in vars(hook)
        ]

    def table(self) -> str:
        """Return the text table of points and the hooks that run there, in order."""
        blocks = []
        for point in Hook.stages:
            lines = [
                f"({_priority_name(hook):<12}) {type(hook).__name__:<35}"
                for hook in self.hooks
                if point in hook.get_triggered_stages()
            ]
            if lines:
                blocks.append("\n".join([f"{point}:", *lines, " -------------------- "]))
        return "\n".join(blocks)


def _priority_name(hook: Hook) -> str:
    try:
        return Priority(hook.priority).name
    except ValueError:
        return str(hook.priority)
