"""States that datasets, transforms and samplers keep for themselves.

What has ``state_dict`` and ``load_state_dict`` is asked; random generators that are attributes are
found. Of the rest, what reading changes can be seen, and is told.
"""

from __future__ import annotations

import copy
import random
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

States = dict[str, Any]

_NO_PARTS = (
    *(type, FunctionType, MethodType, BuiltinFunctionType, ModuleType, partial),
    *(Tensor, np.ndarray, np.generic, torch.Generator, random.Random),
)
_MOST_PARTS = 1000  # in one list: a longer one holds samples


class Keeper(NamedTuple):
    """Something that can tell its state and be put back to it.

    Attributes:
        name: Its class, and the attribute if it is one.
        get: Returns the state.
        put: Puts it back.
    """

    name: str
    get: Callable[[], Any]
    put: Callable[[Any], Any]


def tells_state(part: Any) -> bool:
    """Whether an object has ``state_dict`` and ``load_state_dict`` of its own."""
    kind = type(part)
    if isinstance(part, nn.Module) and kind.state_dict is nn.Module.state_dict:
        return False  # its weights
    return all(callable(getattr(kind, name, None)) for name in ("state_dict", "load_state_dict"))


def keepers(**roots: Any) -> dict[str, Keeper]:
    """Return what can tell its state, by its path, in and below some objects.

    Args:
        **roots: The objects; what was found below one is not looked for below the next.
    """
    found: dict[str, Keeper] = {}
    for path, part, _ in _walk(roots):
        name = type(part).__name__
        if tells_state(part):
            found[path] = Keeper(name, part.state_dict, part.load_state_dict)
        for attribute, value in _attributes(part):
            accessors = _generator(value)
            if accessors is not None:
                found[f"{path}.{attribute}"] = Keeper(f"{name}.{attribute}", *accessors)
    return found


def _walk(roots: dict[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """Go through the objects that make up others, each once; say if one above tells its state."""
    seen: set[int] = set()
    for root_path, root in roots.items():
        todo = deque([(root_path, root, False)])
        while todo:
            path, part, told = todo.popleft()
            if id(part) in seen:
                continue
            seen.add(id(part))
            yield path, part, told
            told = told or tells_state(part)
            for name, value in _attributes(part):
                todo += ((where, one, told) for where, one in _parts(f"{path}.{name}", value))


def _attributes(part: Any) -> list[tuple[str, Any]]:
    return list(getattr(part, "__dict__", {}).items())


def _parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Return an attribute if it is a transform or dataset or the like, or those that it holds."""
    if isinstance(value, (list, tuple)):
        if len(value) <= _MOST_PARTS:
            for index, one in enumerate(value):
                if not isinstance(one, dict):
                    yield from _parts(f"{path}.{index}", one)
    elif isinstance(value, dict):
        if len(value) <= _MOST_PARTS:
            for key, one in value.items():
                if not isinstance(one, dict):
                    yield from _parts(f"{path}.{key}", one)
    elif hasattr(value, "__dict__") and not isinstance(value, _NO_PARTS):
        kind = type(value)
        if (
            callable(value)
            or hasattr(kind, "__getitem__")
            or hasattr(kind, "__iter__")
            or tells_state(value)
        ):
            yield path, value


def _generator(value: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]] | None:
    """Return how to get and to put back the state of a random generator, if it is one."""
    if isinstance(value, torch.Generator):
        return value.get_state, value.set_state
    if isinstance(value, np.random.RandomState):
        return partial(value.get_state, legacy=False), value.set_state
    if isinstance(value, np.random.Generator):
        bits: Any = value.bit_generator
        return lambda: bits.state, partial(setattr, bits, "state")
    if isinstance(value, random.Random) and not isinstance(value, random.SystemRandom):
        return value.getstate, lambda state: value.setstate(_tuples(state))
    return None


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, (list, tuple)) else value


def take(found: dict[str, Keeper], reasons: set[str]) -> States:
    """Return copies of the states of what has one and can tell it in plain values.

    Args:
        found: From :func:`keepers`.
        reasons: Is added to: why a state is left out.
    """
    states: States = {}
    for path, keeper in found.items():
        try:
            states[path] = keeper.get()
        # It is a method of the user's class; saving must go on.
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            reasons.add(f"{keeper.name} fails to tell its state ({what})")
    return _copied(only_plain(states, {path: found[path].name for path in states}, reasons))  # type: ignore[no-any-return]


def _copied(value: Any) -> Any:
    """Return a copy of a plain state, which nothing changes; tensors without their graph."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, dict):
        return type(value)((key, _copied(one)) for key, one in value.items())
    if isinstance(value, (list, tuple, set)):
        return type(value)(map(_copied, value))
    return copy.copy(value)


def only_plain(states: States, names: dict[str, str], reasons: set[str]) -> States:
    """Return the states that a checkpoint may hold and that are not empty.

    Args:
        states: The states, by path.
        names: What to call them.
        reasons: Is added to: why a state is left out.
    """
    plain: States = {}
    for path, state in states.items():
        wrong = not_plain(state)
        if wrong is not None:
            reasons.add(
                f"the state of {names.get(path, path)} cannot be stored: {wrong}, not a plain"
                " value, tensor or array"
            )
        elif not _is_empty(state):
            plain[path] = state
    return plain


def _is_empty(state: Any) -> bool:
    return state is None or (isinstance(state, dict) and not state)


def give(found: dict[str, Keeper], states: States) -> list[str]:
    """Put states back; return the paths of those that nobody is there for."""
    for path, keeper in found.items():
        if path in states:
            keeper.put(copy.deepcopy(states[path]))
    return [path for path in states if path not in found]


_PLAIN = (type(None), bool, int, float, complex, str, bytes, Tensor, np.bool_)


def not_plain(value: Any, path: str = "it") -> str | None:
    """Say what in a value cannot stand in a checkpoint that is read without running code."""
    kind = type(value)
    if kind in _PLAIN or (isinstance(value, np.number) and kind.__module__ == "numpy"):
        return None
    if kind is np.ndarray and value.dtype.kind in "biufcU":
        return None
    if kind in (dict, OrderedDict):
        parts: Any = value.items()
        keys = (not_plain(key, f"{path}'s key") for key in value)
        found = next(filter(None, keys), None)
        if found is not None:
            return found
    elif kind in (list, tuple, set):
        parts = enumerate(value)
    else:
        return f"{path} is a {kind.__module__}.{kind.__qualname__}"
    return next(filter(None, (not_plain(one, f"{path}[{key!r}]") for key, one in parts)), None)


def on_cpu(value: Any) -> Any:
    """Return a state with its tensors on the CPU, wherever the checkpoint was read to."""
    if isinstance(value, Tensor):
        return value.cpu()
    if isinstance(value, dict):
        return type(value)((key, on_cpu(one)) for key, one in value.items())
    if type(value) in (list, tuple):
        return type(value)(map(on_cpu, value))
    return value


_KEEPS = (
    "{0} keeps {1} of its own, which is not in the checkpoint; give {0} state_dict and"
    " load_state_dict"
)


class Watch:
    """Finds what reading changes in parts that cannot tell their state.

    Seen are lists, deques, dictionaries, arrays and tensors that are changed as they are. What is
    new for each sample is its scratch, and what changes once was loaded late. Dictionaries that
    grow are caches of what would be read again.

    Args:
        dataset: The dataset.
    """

    _MOST_BATCHES = 8
    _MOST_BYTES = 8_000_000

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._left = self._MOST_BATCHES
        self._before: dict[str, tuple[tuple[str, str], Any, Any]] | None = None
        self._changes: Counter[str] = Counter()

    def begin(self) -> None:
        """Look before a batch is read."""
        self._before = self._look() if self._left else None

    def end(self) -> tuple[str, ...]:
        """Look after it; return what to say of what was changed a second time."""
        if self._before is None:
            return ()
        before, self._before = self._before, None
        self._left -= 1
        changed = {
            path: name for path, (name, value, was) in before.items() if _differs(value, was)
        }
        self._changes.update(changed.keys())
        return tuple(
            {_KEEPS.format(*name) for path, name in changed.items() if self._changes[path] == 2}
        )

    def _look(self) -> dict[str, tuple[tuple[str, str], Any, Any]]:
        return {
            f"{path}.{attribute}": ((type(part).__name__, attribute), value, _noted(value))
            for path, part, told in _walk({"dataset": self._dataset})
            if not told and not tells_state(part)
            for attribute, value in _attributes(part)
            if isinstance(value, (list, deque, dict))
            or (_is_strided(value) and value.nbytes <= self._MOST_BYTES)
        }


def _is_strided(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.layout is torch.strided
    return isinstance(value, np.ndarray)


def _noted(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes()
    if isinstance(value, np.ndarray):
        return value.tobytes()
    return dict(value) if isinstance(value, dict) else list(value)


def _differs(value: Any, was: Any) -> bool:
    """Whether a value is not what was noted of it."""
    if isinstance(was, bytes):
        return bool(_noted(value) != was)
    if isinstance(was, dict):
        return any(value[key] is not one for key, one in was.items() if key in value)
    return len(value) != len(was) or any(a is not b for a, b in zip(value, was, strict=True))
