"""The hooks of a run in the order of their priorities."""

from __future__ import annotations

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

    def add(self, hook: Hook) -> None:
        """Insert a hook behind all whose priority is as high or higher."""
        place = len(self.hooks)
        while place and get_priority(self.hooks[place - 1].priority) > get_priority(hook.priority):
            place -= 1
        self.hooks.insert(place, hook)

    def call(self, point: str, **kwargs: Any) -> None:
        """Call ``point`` on the hooks that have it, one after the other.

        The list itself is gone through and each hook is asked anew, as in MMEngine: hooks come, go
        and get methods of their own while a run goes on.
        """
        for hook in self.hooks:
            method = getattr(hook, point, None)
            if method is None:
                continue
            try:
                if self.profiler is None or not _does_something(type(hook), point):
                    method(self._runner, **kwargs)
                else:
                    with self.profiler.profile(f"[Hook]{type(hook).__name__}.{point}"):
                        method(self._runner, **kwargs)
            except Exception as error:
                # MMEngine names the hook of a TypeError: a signature says nothing of where it is.
                add_note(error, f"In the hook {type(hook).__name__} at {point}")
                raise

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


def _does_something(kind: type, point: str) -> bool:
    """Say whether hooks of a class are worth a line in a profile at a point."""
    return not (issubclass(kind, Hook) and point in Hook.stages) or kind._overrides(point)
