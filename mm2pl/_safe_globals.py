"""Let ``torch.load(weights_only=True)`` read objects under given names, on torch 2.4 and 2.5 too.

From 2.6 on torch takes pairs of an object and its name in the file. Before it knows an object by
its own name alone, so a stand-in that bears the file's name is registered in its place. Checked on
torch 2.4.0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from packaging.version import Version

_TORCH_TAKES_PAIRS = Version(torch.__version__) >= Version("2.6")


class _StandIn:
    """Bears the name that a file has for an object, equals it, and is called or made in its stead.

    Args:
        served: The class or function.
        path: Its dotted name in the file.
    """

    def __init__(self, served: Any, path: str) -> None:
        self._served = served
        self.__module__, _, self.__name__ = path.rpartition(".")
        self.__qualname__ = self.__name__
        # What pickles call to make an object without its constructor.
        self.__new__ = lambda _, *args: served.__new__(served, *args)  # type: ignore[method-assign]

    def __call__(self, *args: Any) -> Any:
        # A class that the file hands over as an argument arrives as a stand-in as well.
        return self._served(*(arg._served if isinstance(arg, _StandIn) else arg for arg in args))

    def __eq__(self, other: object) -> bool:
        # torch asks whether the type of an object that it fills is one of those registered.
        return other is self or other is self._served

    def __hash__(self) -> int:
        return hash((self.__module__, self.__name__))


def allowing(objects: Iterable[Any]) -> AbstractContextManager[Any]:
    """Return a context in which ``torch.load`` may read ``objects``.

    Args:
        objects: Classes and functions, or pairs of one and its name in the file.
    """
    if _TORCH_TAKES_PAIRS:
        return torch.serialization.safe_globals(list(objects))
    return _registered([_StandIn(*one) if isinstance(one, tuple) else one for one in objects])


@contextmanager
def _registered(objects: list[Any]) -> Iterator[None]:
    before = list(torch.serialization.get_safe_globals())
    torch.serialization.add_safe_globals(objects)
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)
