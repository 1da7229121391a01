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


def is_first() -> bool:
    """Whether this is the only process, or the first of several that were launched."""
    return os.environ.get("RANK", "0") == "0"


def colours(stream: TextIO) -> bool:
    """Whether a stream is a terminal that shows colours, and they are wanted (no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown")
    return stream.isatty() and not plain


def table(title: str, values: Mapping[str, Any]) -> str:
    """Return values one below the other under a title: a rich table for a terminal, else text."""
    if sys.stdout.isatty() and os.environ.get("TERM") not in (None, "dumb", "unknown"):
        return _rich_table(title, values)
    width = max(map(len, values), default=0) + 1
    lines = [f"  {f'{name}:':<{width}} {value}" for name, value in values.items()]
    return "\n".join([f"{title}:", *lines])


def _rich_table(title: str, values: Mapping[str, Any]) -> str:
    from rich.box import ROUNDED
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title, "value", box=ROUNDED)
    for name, value in values.items():
        drawn.add_row(Text(name), Text(str(value), style="bold"))
    console = Console()  # knows NO_COLOR
    with console.capture() as captured:
        console.print(drawn)
    return captured.get().rstrip("\n")


def print_last(text: str) -> None:
    """Print the last lines; a reader that has gone away is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The interpreter flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
