"""What the command line prints: colours only on a terminal, plain aligned text elsewhere."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from typing import Any, TextIO

_COLOURS = {"error": "31;1", "warning": "33", "note": "36", "Hint": "32", "Did you mean": "32"}
_COLOURED = re.compile(rf"^({'|'.join(_COLOURS)})(?=:)", re.MULTILINE)


def say(text: str) -> None:
    """Print a message of ours; standard output is for results."""
    if colours(sys.stderr):
        text = _COLOURED.sub(lambda found: f"\033[{_COLOURS[found[1]]}m{found[1]}\033[0m", text)
    print(f"mm2pl: {text}", file=sys.stderr, flush=True)


def colours(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, and they are wanted (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown")
    return stream.isatty() and not plain


def table(values: Mapping[str, Any]) -> list[str]:
    """Return a line for each value, the values one below the other."""
    width = max(map(len, values), default=0) + 1
    return [f"  {f'{name}:':<{width}} {value}" for name, value in values.items()]


def print_last(text: str) -> None:
    """Print the last lines; a reader that has gone away is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The interpreter flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
