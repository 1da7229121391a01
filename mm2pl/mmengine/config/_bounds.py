"""Arithmetic on the values of a config that a few characters cannot make use up the machine."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

MOST_VALUES = 200_000
MOST_DEPTH = 100
_MOST_BITS = 4096
_NUMBERS = (int, float, bool, complex)
_SEQUENCES = (str, list, tuple)
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}


class Unbounded(Exception):
    """An operation that is none on numbers, strings and lists, or whose result is too large."""


def operated(sign: str, left: Any, right: Any) -> Any:
    """Return ``left sign right``.

    Raises:
        Unbounded: It is not known to be harmless.
        Exception: What Python raises.
    """
    if type(left) in _NUMBERS and type(right) in _NUMBERS:
        if _bits(sign, left, right) > _MOST_BITS:
            raise Unbounded(f"a number too large ({sign})")
        return _OPERATORS[sign](left, right)
    if sign == "*" and type(left) is int and type(right) in _SEQUENCES:
        left, right = right, left
    if sign == "*" and type(left) in _SEQUENCES and type(right) is int:
        size = len(left) * right
    elif sign == "+" and type(left) is type(right) and type(left) in _SEQUENCES:
        size = len(left) + len(right)
    else:
        raise Unbounded(f"{type(left).__name__} {sign} {type(right).__name__}")
    if size > MOST_VALUES:
        raise Unbounded(f"a {type(left).__name__} of {size} elements")
    return _OPERATORS[sign](left, right)


def _bits(sign: str, left: Any, right: Any) -> int:
    """Return about how many bits the result has; floats never have more."""
    if not (isinstance(left, int) and isinstance(right, int)):
        return 0
    if sign == "**":
        return left.bit_length() * max(right, 0)
    return left.bit_length() + right.bit_length()


def too_large(value: Any) -> str | None:
    """Say what is wrong with a value that would be without end, or too large, once copied."""
    sizes: dict[int, tuple[int, int]] = {}
    open_: set[int] = set()
    stack = [value]
    while stack:
        one = stack[-1]
        if id(one) in sizes or not isinstance(one, (dict, list, tuple)):
            stack.pop()
            continue
        inner = [part for part in _parts(one) if isinstance(part, (dict, list, tuple))]
        if id(one) not in open_:
            open_.add(id(one))
            if any(id(part) in open_ and id(part) not in sizes for part in inner):
                return "a value that contains itself"
            stack.extend(inner)
            continue
        stack.pop()
        known = [sizes[id(part)] for part in inner]
        size = len(one) + sum(size for size, _ in known)
        depth = 1 + max((depth for _, depth in known), default=0)
        if size > MOST_VALUES:
            return f"a value that unfolds to {size} values"
        if depth > MOST_DEPTH:
            return f"a value nested deeper than {MOST_DEPTH}"
        sizes[id(one)] = size, depth
    return None


def _parts(container: Any) -> Iterable[Any]:
    return dict.values(container) if isinstance(container, dict) else container
