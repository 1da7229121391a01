"""Finds the first place where two reports differ, and shows it readably."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def first_difference(ours: Any, theirs: Any) -> str | None:
    """Return a description of the first difference, or None if there is none."""
    for path, mine, other in _differences(ours, theirs, ()):
        place = "".join(f"[{part!r}]" for part in path) or "the whole"
        context = _context(ours, theirs, path)
        return f"{place} differs\n  mm2pl:    {_short(mine)}\n  mmengine: {_short(other)}{context}"
    return None


class _Absent:
    def __repr__(self) -> str:
        return "(absent)"


ABSENT = _Absent()


def _differences(ours: Any, theirs: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, Any, Any]]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        # In MMEngine's order, so that the first difference is the earliest.
        for key in [*theirs, *(key for key in ours if key not in theirs)]:
            mine, other = ours.get(key, ABSENT), theirs.get(key, ABSENT)
            yield from _differences(mine, other, (*path, key))
    elif isinstance(ours, list) and isinstance(theirs, list):
        for index in range(max(len(ours), len(theirs))):
            mine = ours[index] if index < len(ours) else ABSENT
            other = theirs[index] if index < len(theirs) else ABSENT
            yield from _differences(mine, other, (*path, index))
    elif ours != theirs or type(ours) is not type(theirs):
        yield path, ours, theirs


def _context(ours: Any, theirs: Any, path: tuple[Any, ...]) -> str:
    """Return the neighbours of a differing entry if it stands in a list of events or lines."""
    for depth, part in enumerate(path):
        if isinstance(part, int) and depth <= 1:
            return _side_by_side(ours, theirs, part)
        if isinstance(ours, dict) and isinstance(theirs, dict):
            ours, theirs = ours.get(part), theirs.get(part)
    return ""


def _side_by_side(ours: list[Any], theirs: list[Any], index: int) -> str:
    lines = []
    for name, entries in (("mm2pl", ours), ("mmengine", theirs)):
        lines.append(f"\n  around it in {name}:")
        for place in range(max(0, index - 3), min(len(entries), index + 4)):
            mark = ">" if place == index else " "
            lines.append(f"\n  {mark} {place}: {_short(entries[place])}")
    return "".join(lines)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 400 else f"{text[:300]} ... {text[-90:]}"
