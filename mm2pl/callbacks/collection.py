"""The hooks of a run in the order of their priorities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.runner.priority import Priority, get_priority


class HookCollection:
    """Keeps hooks ordered and calls a point on those that implement it.

    Args:
        runner: What each hook receives.
    """

    def __init__(self, runner: Any) -> None:
        self.hooks: list[Hook] = []
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
        if self._known != self.hooks:
            # Hooks were added, or a user changed the list: look everything up anew.
            self._known = list(self.hooks)
            self._points = {}
        methods = self._points.get(point)
        if methods is None:
            methods = self._points[point] = self._implementers(point)
        for hook, method in methods:
            try:
                method(self._runner, **kwargs)
            except TypeError as error:
                # MMEngine names the hook too: a wrong signature says nothing of where it is.
                raise TypeError(f"{error} in {hook}") from error

    def _implementers(self, point: str) -> list[tuple[Hook, Callable[..., None]]]:
        if point in Hook.stages:
            hooks = [hook for hook in self.hooks if point in hook.get_triggered_stages()]
        else:
            hooks = [hook for hook in self.hooks if hasattr(hook, point)]
        return [(hook, getattr(hook, point)) for hook in hooks]

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
