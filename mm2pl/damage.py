"""Whether the parts of a checkpoint are what they are in any, so that a run can take them up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, NamedTuple

from torch import Tensor, cuda

from mm2pl.errors import CheckpointError, Mm2plError
from mm2pl.mmengine.logging import MessageHub

START = "use load_from without resume to start from these weights"
_LOOK = "is it a checkpoint that was changed by hand?"
# What a value leads to that is not of the kind that was meant.
_MISTAKES = (AttributeError, AssertionError, LookupError, RuntimeError, TypeError, ValueError)
_MISSING = object()


class _Kind(NamedTuple):
    """What is meant at a place.

    Attributes:
        words: For people.
        fits: Whether a value is so.
        needed: Whether it must be there, if what it stands in is.
    """

    words: str
    fits: Callable[[Any], bool]
    needed: bool = False


def _number(value: Any, end: float = float("inf")) -> bool:
    return isinstance(value, Integral) and 0 <= int(value) < end


def _of_parameters(value: Any) -> bool:
    # Beside the states of parameters, by number, there may be others.
    return isinstance(value, Mapping) and all(
        isinstance(one, Mapping) for key, one in value.items() if isinstance(key, int)
    )


_DICT = _Kind("a dict", lambda value: isinstance(value, Mapping))
_LIST = _Kind("a list", lambda value: isinstance(value, (list, tuple)))
_COUNT = _Kind("a number from 0 on", _number)
_PART_OF_HUB = _DICT._replace(needed=True)
_OPTIMIZER = {
    "param_groups": _LIST,
    "param_groups[]": _DICT,
    "param_groups[].params": _LIST._replace(needed=True),
    "param_groups[].lr": _Kind("a number", lambda value: isinstance(value, (Real, Tensor))),
    "state": _Kind("a dict of dicts", _of_parameters),
}
_SCHEDULE = {
    key: _Kind("a whole number", lambda value: isinstance(value, Integral))
    for key in ("_global_step", "last_step")
}
# By dotted paths, in which * stands for any key and [] for any entry of a list.
_KINDS: dict[str, _Kind] = {
    "meta": _DICT,
    "meta.epoch": _COUNT._replace(needed=True),
    "meta.iter": _COUNT._replace(needed=True),
    "meta.seed": _Kind(
        "a number from 0 to 2**32 - 1", lambda value: value is None or _number(value, 2**32)
    ),
    "message_hub": _Kind("a dict", lambda value: isinstance(value, (dict, MessageHub))),
    "message_hub.log_scalars": _PART_OF_HUB,
    "message_hub.runtime_info": _PART_OF_HUB,
    "message_hub.resumed_keys": _PART_OF_HUB,
    "optimizer": _DICT,
    **{f"optimizer.{key}": kind for key, kind in _OPTIMIZER.items()},
    **{f"optimizer.*.{key}": kind for key, kind in _OPTIMIZER.items()},
    "param_schedulers": _Kind(
        "a list, or a dict of lists",
        lambda value: value is None or isinstance(value, (Mapping, list, tuple)),
    ),
    "param_schedulers[]": _DICT,
    **{f"param_schedulers[].{key}": kind for key, kind in _SCHEDULE.items()},
    "param_schedulers.*": _LIST,
    "param_schedulers.*[]": _DICT,
    **{f"param_schedulers.*[].{key}": kind for key, kind in _SCHEDULE.items()},
    "callbacks": _DICT,
    "global_step": _COUNT,
}


def refuse_no_weights(loaded: Any, name: str, key: str = "state_dict") -> None:
    """Refuse what cannot hold weights, before hooks look at it.

    Args:
        loaded: The content of a file.
        name: What errors call it.
        key: Where weights stand, if not in ``loaded`` itself.

    Raises:
        CheckpointError: It names the file, and what stands in the weights' place.
    """
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{name} holds a {type(loaded).__name__}, not weights", hint=_LOOK)
    weights = loaded.get(key, {})
    if not isinstance(weights, Mapping) or not all(isinstance(one, str) for one in weights):
        raise CheckpointError(
            f"{name} cannot be loaded: its {key} is {_said(weights)}, not tensors by their names",
            hint=_LOOK,
        )


def refuse(loaded: Mapping[str, Any], name: str) -> None:
    """Refuse to go on from a checkpoint with parts that are of other kinds than in any.

    Raises:
        CheckpointError: It names the file, the part, what that is, and what it should be.
    """
    for path, kind in _KINDS.items():
        for where, value in _found(loaded, re.findall(r"\[\]|[^.\[]+", path)):
            absent = value is _MISSING
            if kind.needed if absent else not kind.fits(value):
                found = "missing" if absent else f"{_said(value)}, not {kind.words}"
                raise CheckpointError(
                    f"{name} cannot be resumed: its {where} is {found}", hint=START
                )


def _found(value: Any, path: list[str], where: str = "") -> Iterator[tuple[str, Any]]:
    """Go through what stands at a path; what is missing at its end counts."""
    if not path:
        yield where, value
    elif path[0] == "[]":
        for index, one in enumerate(value if isinstance(value, (list, tuple)) else ()):
            yield from _found(one, path[1:], f"{where}[{index}]")
    elif isinstance(value, Mapping):
        last = len(path) == 1
        for key in value if path[0] == "*" else [path[0]]:
            if last or key in value:
                dotted = f"{where}.{key}" if where else str(key)
                yield from _found(value.get(key, _MISSING), path[1:], dotted)


def _said(value: Any) -> str:
    short = value is None or isinstance(value, (bool, int, float))
    return str(value) if short else f"a {type(value).__name__}"


@contextmanager
def taking_up(name: str, part: str, deed: str = "resumed") -> Iterator[None]:
    """Let what a damaged part of a checkpoint leads to be an error that names it.

    Args:
        name: The file.
        part: What of it is taken up within.
        deed: What is done with the file.
    """
    try:
        yield
    except (CheckpointError, cuda.OutOfMemoryError):
        raise
    except _MISTAKES as error:
        why = f"{type(error).__name__}: {error}"
        if isinstance(error, Mm2plError):
            why = error.message
        raise CheckpointError(
            f"{name} cannot be {deed}: its {part} is not as it is in a checkpoint ({why})",
            hint=START if deed == "resumed" else _LOOK,
        ) from error


@contextmanager
def of_file(name: str) -> Iterator[None]:
    """Let errors about a checkpoint name its file."""
    try:
        yield
    except CheckpointError as error:
        if error.file is None and name not in error.message:
            error.file = name
        raise
