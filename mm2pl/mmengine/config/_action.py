"""The argparse action for ``--cfg-options key=value ...``."""

from __future__ import annotations

import copy
from argparse import Action, ArgumentError, ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from mm2pl.errors import ConfigAssertionError

_WORDS = {"true": True, "false": False}


class DictAction(Action):
    """Collects ``KEY=VALUE`` arguments in a dict.

    A value is an int, a float, true or false, None, or a string; ``a,b`` and ``[a,b]`` are lists,
    ``(a,b)`` is a tuple, and they nest. Quotes around a value and all spaces are dropped.
    """

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        options = copy.copy(getattr(namespace, self.dest, None) or {})
        for item in values or ():
            key, equals, value = item.partition("=")
            if not equals:
                raise ArgumentError(self, f"expected KEY=VALUE, got {item!r}")
            options[key] = self._parse_iterable(value)
        setattr(namespace, self.dest, options)

    @staticmethod
    def _parse_int_float_bool(val: str) -> Any:
        for number in (int, float):
            try:
                return number(val)
            except ValueError:
                continue
        if val == "None":
            return None
        return _WORDS.get(val.lower(), val)

    @staticmethod
    def _parse_iterable(val: str) -> Any:
        """Parse a value.

        Raises:
            ConfigAssertionError: Brackets do not match.
        """
        val = val.strip("'\"").replace(" ", "")
        kind: type[list[Any]] | type[tuple[Any, ...]] = list
        # Differs: MMEngine never returns from "(a,b),(c,d)" or "f(a,b)".
        whole = "," not in val or len(list(_split(val))) == 1
        if whole and val[:1] + val[-1:] == "()":
            kind, val = tuple, val[1:-1]
        elif whole and val[:1] + val[-1:] == "[]":
            val = val[1:-1]
        elif whole and not val.endswith(","):
            return DictAction._parse_int_float_bool(val)
        return kind(DictAction._parse_iterable(part) for part in _split(val))


def _split(text: str) -> Iterator[str]:
    """Split at the commas that lie in no bracket."""
    if text.count("(") != text.count(")") or text.count("[") != text.count("]"):
        raise ConfigAssertionError(f"Imbalanced brackets exist in {text}")
    round_depth = square_depth = start = 0
    for index, char in enumerate(text):
        round_depth += (char == "(") - (char == ")")
        square_depth += (char == "[") - (char == "]")
        if char == "," and round_depth == square_depth == 0:
            yield text[start:index]
            start = index + 1
    if start < len(text):
        yield text[start:]
