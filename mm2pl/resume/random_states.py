"""The random generators of a process: what they are at, and how to go back to it."""

from __future__ import annotations

import random
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

States = dict[str, Any]
_NUMPY = "MT19937"  # the only generator behind numpy.random's functions


def take(cuda: bool = True) -> States:
    """Return the states of Python's, NumPy's and torch's generators.

    Args:
        cuda: Those of the GPUs too; worker processes must not touch them.
    """
    version, numbers, gauss = random.getstate()
    keys: Any
    _, keys, position, has_gauss, cached = np.random.get_state()
    states: States = {
        "python": array("I", numbers).tobytes(),
        "python_rest": (version, gauss),
        "numpy": keys.tobytes(),
        "numpy_rest": (int(position), int(has_gauss), float(cached)),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }
    if cuda and torch.cuda.is_available() and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        states["cuda"] = [state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()]
    return states


def give(states: States) -> None:
    """Put the generators back to states of :func:`take`."""
    version, gauss = states["python_rest"]
    numbers = array("I")
    numbers.frombytes(states["python"])
    random.setstate((version, tuple(numbers), gauss))
    keys = np.frombuffer(states["numpy"], dtype=np.uint32)
    np.random.set_state((_NUMPY, keys, *states["numpy_rest"]))
    torch.set_rng_state(_tensor(states["torch"]))
    on_gpus = states.get("cuda", ())
    if len(on_gpus) and torch.cuda.is_available():
        for device, state in enumerate(on_gpus[: torch.cuda.device_count()]):
            torch.cuda.set_rng_state(_tensor(state), device)


@contextmanager
def kept() -> Iterator[None]:
    """Leave the generators at the end as they were."""
    before = take()
    try:
        yield
    finally:
        give(before)


def to_plain(value: Any) -> Any:
    """Return a state with tensors for bytes, and lists for tuples, as a checkpoint may hold it."""
    return _converted(value, bytes, _tensor)


def from_plain(value: Any) -> Any:
    """Undo :func:`to_plain`."""
    return _converted(value, Tensor, lambda state: state.cpu().numpy().tobytes())


def _tensor(state: bytes) -> Tensor:
    return torch.frombuffer(bytearray(state), dtype=torch.uint8)


def _converted(value: Any, kind: type, convert: Callable[[Any], Any]) -> Any:
    if isinstance(value, kind):
        return convert(value)
    if isinstance(value, dict):
        return {key: _converted(one, kind, convert) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_converted(one, kind, convert) for one in value]
    return value
