"""Writes down, in the dicts of a config themselves, where their keys stand.

Beside ``d["lr"]`` stands ``d[marked("lr")]``, a number that :class:`Marks` knows the place of. So
whatever copies and merges the values of a config takes the places along.
"""

from __future__ import annotations

from typing import Any

_MARK = "\ue001"


def marked(key: str) -> str:
    """Return the key beside ``key``; that of ``""`` is for the place of the dict itself."""
    return _MARK + key


class Marks:
    """The places, file and line, of keys."""

    def __init__(self) -> None:
        self._places: list[tuple[str, int]] = []

    def key(self, container: Any, key: Any, filename: str, line: int) -> None:
        """Remember that ``container[key]`` was set there."""
        if isinstance(key, str):
            dict.__setitem__(container, marked(key), len(self._places))
            self._places.append((filename, line))

    def itself(self, container: Any, filename: str, line: int) -> None:
        """Remember that ``container`` begins there."""
        self.key(container, "", filename, line)

    def removed(self, container: Any, key: Any) -> None:
        """Forget the place of a key."""
        if isinstance(container, dict) and isinstance(key, str):
            dict.pop(container, marked(key), None)

    def place(self, container: Any, key: str = "") -> tuple[str, int] | None:
        """Return where a key of a dict stands."""
        number = dict.get(container, marked(key)) if isinstance(container, dict) else None
        if type(number) is int and 0 <= number < len(self._places):
            return self._places[number]
        return None
