"""Says which of the names on standard input ``mmengine`` has; runs in a process of its own."""

from __future__ import annotations

import importlib
import json
import sys
import warnings
from typing import Any


def resolve(name: str) -> str:
    """Return "" if a dotted name leads to something, "marker", or what is wrong."""
    parts = name.split(".")
    value: Any = importlib.import_module(parts[0])
    for place, part in enumerate(parts[1:], 1):
        try:
            value = getattr(value, part)
        except AttributeError:
            try:
                value = importlib.import_module(".".join(parts[: place + 1]))
            except ImportError as error:
                marked = getattr(error, "__marker__", None) is not None
                return "marker" if marked else f"{type(error).__name__}: {error}"
        except NotImplementedError:
            return "marker"
        if getattr(value, "__marker__", None) is not None:
            return "marker"
    return ""


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    if sys.argv[1:] == ["--ours"]:
        import mm2pl

        mm2pl.install_as_mmengine()
    print(json.dumps({name: resolve(name) for name in sys.stdin.read().split()}))
