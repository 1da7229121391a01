"""What the command line prints."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Print a message of ours; standard output is for results."""
    print(f"mm2pl: {text}", file=sys.stderr, flush=True)


def print_last(text: str) -> None:
    """Print the last lines; a reader that has gone away is no error."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        # The interpreter flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
