"""``PYTHONPATH``, by which this process hands folders with modules to the ones that it starts."""

from __future__ import annotations

import os

_VARIABLE = "PYTHONPATH"


def add(folder: str) -> None:
    """Put a folder first, unless it is there."""
    folders = _folders()
    if folder not in folders:
        os.environ[_VARIABLE] = os.pathsep.join([folder, *folders])


def remove(folder: str) -> None:
    """Take a folder out."""
    others = [one for one in _folders() if one != folder]
    if others:
        os.environ[_VARIABLE] = os.pathsep.join(others)
    else:
        os.environ.pop(_VARIABLE, None)


def _folders() -> list[str]:
    text = os.environ.get(_VARIABLE)
    return text.split(os.pathsep) if text else []
