"""Whether a name is a known one misspelt, or a new one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mm2pl.errors import nearest

_SHORT = 6  # below, as in Adan and Adam, or Lamb and LARS, another letter makes another name


def misspelt(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names that ``name`` is plainly meant to be, nearest first.

    A name that only adds something (``MyEMAHook``, ``CosineAnnealingWarmupLR``) is a new one.
    """
    names = list(known)
    same = [one for one in names if one.lower() == name.lower()]
    if same:
        return same
    close = [one for one in names if _is_misspelt(name, one)]
    if not close:
        return []
    best = sorted(close, key=lambda one: distance(name.lower(), one.lower()))
    return list(dict.fromkeys([*best, *nearest(name, names)]))[:3]


def _is_misspelt(name: str, known: str) -> bool:
    if sorted(name) == sorted(known) and distance(name, known, 1) == 1:
        return True  # two letters swapped
    if len(known) < _SHORT or abs(len(name) - len(known)) > 4:
        return False
    if known in name.removesuffix("s") and name.removesuffix("s") != known:
        return False
    # Two letters at the beginning make another word, as in SegDataPreProcessor.
    allowed = 2 if len(known) >= 8 and name[:1].lower() == known[0].lower() else 1
    if distance(name.lower(), known.lower(), allowed) <= allowed:
        return True
    ours, theirs = _words(name), _words(known)
    pairs = zip(ours, theirs, strict=False)
    return len(ours) == len(theirs) > 1 and all(_is_form(*pair) for pair in pairs)


def _words(name: str) -> list[str]:
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+|_", name)
    return ["cfg" if word == "config" else word.lower() for word in words]


def _is_form(word: str, other: str) -> bool:
    """Whether two words are forms of one, as ``Train`` and ``Training``."""
    short, long = sorted((word, other), key=len)
    return short == long or (len(short) >= 3 and long.startswith(short))


def distance(a: str, b: str, most: int = 99) -> int:
    """Count insertions, deletions, replacements and swaps of neighbours from ``a`` to ``b``."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(last[j] + 1, row[-1] + 1, last[j - 1] + (x != y))
            if before and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, last = last, row
    return last[-1]
