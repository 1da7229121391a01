"""What the command line says of an error: one message for a person, and the exit status."""

from __future__ import annotations

import copy
import os
import re
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mm2pl.errors import ConfigErrors, Mm2plError, with_causes
from mm2pl.libraries import NO_OPERATORS, how_to_get
from mm2pl.mmengine.registry.errors import Trail, trail_of
from mm2pl.version_gates import failed_gate

if TYPE_CHECKING:
    from mm2pl.mmengine.config._positions import Positions

FAILED, USAGE = 1, 2
# What an error's text says of the installation, and what to do.
_ADVICE = (
    (
        re.compile(r"operator torchvision::\w+ does not exist|torchvision.*undefined symbol"),
        "the compiled part of torchvision does not fit the installed torch (a CUDA build beside a"
        " CPU build?); install both from one index: pip install torch torchvision --index-url"
        " https://download.pytorch.org/whl/cpu (or /cu...)",
    ),
    (re.compile(r"No module named 'mmcv\._ext'"), NO_OPERATORS),
    (
        re.compile(r"EADDRINUSE|[Aa]ddress already in use"),
        "something else listens on the port through which the processes find each other; choose"
        " another one: torchrun --standalone, or MASTER_PORT",
    ),
    (
        re.compile(r"mmcv.*(undefined symbol|cannot open shared object|DLL load failed)"),
        "mmcv was compiled for another torch; install one that was built for the installed torch",
    ),
)

# What a wrong value in a config makes constructors raise.
_WRONG_VALUE = (
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    AssertionError,
    FileNotFoundError,
)
_IN_WORKER = re.compile(r"Caught (?:\w+) in (.+?)\.?\nOriginal Traceback \(.*\):\n", re.DOTALL)
_FRAME = re.compile(r'^  File "(.+)", line (\d+), in (.+)\n(?:    (.*))?', re.MULTILINE)
_PACKAGES = Path(sysconfig.get_path("purelib"))
_OTHERS = (
    Path(__file__).parent,
    *(_PACKAGES / name for name in ("torch", "lightning", "numpy")),
)


def exit_status(error: BaseException) -> int:
    """Return 2 for what the config or the call did wrong, 1 for what failed while running."""
    if isinstance(error, Mm2plError):
        return error.exit_status
    if failed_gate(error) is not None:
        return USAGE
    trail = trail_of(error)
    building = trail is not None and not trail.is_running
    return USAGE if building and isinstance(error, _WRONG_VALUE) else FAILED


def describe(error: BaseException, file: str, positions: Positions | None = None) -> str:
    """Return what went wrong, where in the config and where in the code, and what to do.

    Args:
        error: The error.
        file: The config's file, for errors that do not know it.
        positions: Tells in which file and line the key stands that is at fault.
    """
    gate = failed_gate(error)
    if gate is not None:
        return str(gate)
    text, frames = _of_worker(_located(error, file, positions))
    trail = trail_of(error)
    if not isinstance(error, Mm2plError):
        path = trail.path if trail else ""
        where = ", ".join(filter(None, (_place_of(path, file, positions) or file, path)))
        text = f"{where}: {text}"
        place = _place(frames or traceback.extract_tb(error.__traceback__))
        text += f"\n  raised at {place}" if place else ""
    hints = [f"Hint: {hint}" for hint in installation_hints(error) if hint not in text]
    return "\n".join([text, *_notes(error, trail), *hints])


def _located(error: BaseException, file: str, positions: Positions | None) -> BaseException:
    """Return an error of the config with the line of its key, if it has none yet."""
    if positions is None or not isinstance(error, Mm2plError):
        return error
    if isinstance(error, ConfigErrors):
        one_by_one = [_located(one, file, positions) for one in error.problems]
        return ConfigErrors([one for one in one_by_one if isinstance(one, Mm2plError)])
    place = _place_of(error.key_path, file, positions) if error.file in (None, file) else None
    if place is None:
        return error
    located = copy.copy(error)
    located.file = place
    return located


def _place_of(key_path: str | None, file: str, positions: Positions | None) -> str | None:
    """Return where a key was set, as a message says it."""
    found = positions.find(key_path) if positions and key_path else None
    if found is None:
        return None
    if found.line is None:
        return f"{file} (set by {found.file})"
    if os.path.abspath(file) == found.file:
        return f"{file}:{found.line}"
    return f"{found} (a base of {file})"


def advice(error: BaseException) -> list[str]:
    """Return what to say below the traceback of a script: what is known about its error."""
    gate = failed_gate(error)
    if gate is not None:
        return [str(gate)]
    return [f"Hint: {hint}" for hint in installation_hints(error) if hint not in str(error)]


def installation_hints(error: BaseException) -> list[str]:
    """Return what to install, where an error or its cause comes from what is installed."""
    hints: list[str] = []
    for one in with_causes(error):
        hints += [hint for pattern, hint in _ADVICE if pattern.search(str(one))]
        if isinstance(one, ModuleNotFoundError) and one.name:
            hints.append(how_to_get(one.name.partition(".")[0]) or "")
    return list(dict.fromkeys(filter(None, hints)))


def _notes(error: BaseException, trail: Trail | None) -> list[str]:
    """Return the error's notes, less that of a place which the message names already."""
    named = trail.note if trail is not None and not trail.what else None
    return [f"  {note}" for note in getattr(error, "__notes__", []) if note != named]


def _of_worker(error: BaseException) -> tuple[str, list[traceback.FrameSummary]]:
    """Return the error's text; of a data worker's, the worker's own error and its frames."""
    text = str(error) if isinstance(error, Mm2plError) else traceback_line(error)
    found = _IN_WORKER.search(text)
    if found is None:
        return text, []
    lines = text[found.end() :].splitlines()
    end = max((i for i, line in enumerate(lines) if line.startswith("  ")), default=-1) + 1
    frames = [
        traceback.FrameSummary(name, int(line), function, line=code)
        for name, line, function, code in _FRAME.findall("\n".join(lines[:end]))
    ]
    own = "\n".join(lines[end:]).strip()
    return f"{own} (in {found.group(1)})", frames


def traceback_line(error: BaseException) -> str:
    """Return the error as the last line of a traceback says it."""
    name, text = type(error).__name__, str(error)
    return f"{name}: {text}" if text else name


def _place(frames: Iterable[traceback.FrameSummary]) -> str | None:
    """Return the innermost line of the user's own code, else the innermost one."""
    every = [frame for frame in frames if not frame.filename.startswith("<")]
    own = [frame for frame in every if not _is_others(Path(frame.filename))]
    if not every:
        return None
    frame = (own or every)[-1]
    line = f": {frame.line.strip()}" if frame.line else ""
    return f"{frame.filename}:{frame.lineno} in {frame.name}{line}"


def _is_others(path: Path) -> bool:
    """Whether a file is the standard library's, torch's, Lightning's, NumPy's or ours."""
    if any(path.is_relative_to(folder) for folder in _OTHERS):
        return True
    standard = Path(sysconfig.get_path("stdlib"))
    return path.is_relative_to(standard) and "site-packages" not in path.parts
