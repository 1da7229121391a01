"""A point of MMEngine's on hooks that Lightning's callbacks stand between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from mm2pl import _lightning

if TYPE_CHECKING:
    from mm2pl.callbacks.native import NativeCallback
    from mm2pl.mmengine.hooks import Hook
    from mm2pl.runner import Runner


class _Point(NamedTuple):
    """A point that runs on the hooks in parts, with Lightning's callbacks in between.

    Attributes:
        name: The point; None if the loop calls it by itself.
        arguments: What the hooks get beside the runner.
        rest: The hooks whose turn comes.
        natives: The callbacks that part them.
        leave: What comes after the last hook.
    """

    name: str | None
    arguments: dict[str, Any]
    rest: Iterator[Hook]
    natives: list[NativeCallback]
    leave: Callable[[], None]


class DividedPoints:
    """Calls points on the hooks in parts, one in front of and one behind each native callback.

    Args:
        runner: The runner whose hooks are called.

    Attributes:
        natives: Lightning's callbacks among the hooks, in order.
    """

    def __init__(self, runner: Runner) -> None:
        self.natives: list[NativeCallback] = []
        self._runner = runner
        self._point: _Point | None = None

    def _pass(self, name: str | None, leave: Callable[[], None], **arguments: Any) -> None:
        """Call a point on the hooks in front of the first native callback, or on all."""
        if self.natives:
            rest = iter(self._runner._hook_collection.hooks)
            self._point = _Point(name, arguments, rest, self.natives, leave)
            self._call_part(self._point, self.natives)
            return
        if name is not None:
            self._runner.call_hook(name, **arguments)
        leave()

    @_lightning.no_end_of_data
    def go_on(self, native: NativeCallback) -> None:
        """Call the point at hand on the hooks behind a native callback."""
        point = self._point
        if point is None or native not in point.natives:
            return
        if native is point.natives[-1]:
            self._call_part(point, [])
            self._point = None
            point.leave()
        else:
            self._call_part(point, point.natives)

    def _call_part(self, point: _Point, until: list[NativeCallback]) -> None:
        if point.name is not None:
            collection = self._runner._hook_collection
            collection.call_until(until, point.rest, point.name, point.arguments)

    @contextmanager
    def _undivided(self) -> Iterator[None]:
        """Call points on all hooks at once, where Lightning does not call its callbacks."""
        natives, self.natives = self.natives, []
        try:
            yield
        finally:
            self.natives = natives


def nothing() -> None:
    """Nothing follows the hooks."""
