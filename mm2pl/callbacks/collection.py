"""The hooks of a run in the order of their priorities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mm2pl.callbacks.native import NativeCallback
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.hooks.hook import METHODS
from mm2pl.mmengine.registry.errors import add_note
from mm2pl.mmengine.runner.priority import Priority, get_priority

_OF_ITERATIONS = frozenset(point for point in Hook.stages if point.endswith("_iter"))


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
        self._active: dict[str, dict[type, bool]] = {}  # by point: the classes that do something

    def add(self, hook: Hook) -> None:
        """Insert a hook behind all whose priority is as high or higher."""
        place = len(self.hooks)
        while place and get_priority(hook.priority) < get_priority(self.hooks[place - 1].priority):
            place -= 1
        self.hooks.insert(place, hook)

    def call(self, point: str, **kwargs: Any) -> None:
        """Call ``point`` on the hooks that have it, one after the other.

        The list itself is gone through and each hook is asked anew, as in MMEngine: hooks come, go
        and get methods of their own while a run goes on.
        """
        self.call_until((), iter(self.hooks), point, kwargs)

    def call_until(
        self, stops: Sequence[Hook], hooks: Iterator[Hook], point: str, arguments: dict[str, Any]
    ) -> None:
        """Call ``point`` on hooks up to one of some others, which is taken from the iterator too.

        Args:
            stops: The others.
            hooks: An iterator over the list, which may have been begun.
            point: The point.
            arguments: What the hooks get beside the runner.
        """
        active, methods = self._classes(point), METHODS.get(point, ())
        for hook in hooks:
            if stops and hook in stops:
                return
            kind = type(hook)
            if kind not in active:
                active[kind] = _does_something(kind, point)
            if not active[kind] and vars(hook).keys().isdisjoint(methods):
                continue
            method = getattr(hook, point, None)
            if method is None:
                continue
            try:
                if self.profiler is None:
                    method(self._runner, **arguments)
                else:
                    with self.profiler.profile(f"[Hook]{kind.__name__}.{point}"):
                        method(self._runner, **arguments)
            except Exception as error:
                # MMEngine names the hook of a TypeError: a signature says nothing of where it is.
                add_note(error, f"In the hook {type(hook).__name__} at {point}")
                raise

    def _classes(self, point: str) -> dict[type, bool]:
        """Return which classes do something at a point, as far as it was looked at.

        It is looked at anew after each point that is not one of an iteration.
        """
        if point not in _OF_ITERATIONS:
            self._active.clear()
        return self._active.setdefault(point, {})

    def table(self) -> str:
        """Return the text table of points and the hooks that run there, in order."""
        blocks = []
        for point in Hook.stages:
            lines = [
                f"({_priority_name(hook):<12}) {_name(hook):<35}"
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


def _name(hook: Hook) -> str:
    return type(hook.callback if isinstance(hook, NativeCallback) else hook).__name__


def _does_something(kind: type, point: str) -> bool:
    """Say whether hooks of a class do anything at a point by what the class has."""
    return not (issubclass(kind, Hook) and point in Hook.stages) or kind._overrides(point)
