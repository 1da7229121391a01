"""The process of the command ``mm2pl``, and of ``python -m mm2pl``."""

from __future__ import annotations

import sys
from typing import NoReturn

from mm2pl.cli import main


def run() -> NoReturn:
    """Carry the command out and end the process with its exit status."""
    sys.exit(main())


if __name__ == "__main__":
    run()
