"""What is asked of data loaders, and how they are opened with other parts than their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch.utils.data import DataLoader


def is_torchs(loader: Any) -> bool:
    """Whether a loader is opened by torch's own code."""
    return isinstance(loader, DataLoader) and type(loader).__iter__ is DataLoader.__iter__


def has_pool(loader: DataLoader[Any]) -> bool:
    """Whether the loader's workers are there already."""
    return loader.persistent_workers and getattr(loader, "_iterator", None) is not None


def length_of(sized: Any) -> int | None:
    """Return the length of a loader or dataset; None if it has none."""
    try:
        return len(sized)
    except (TypeError, NotImplementedError):
        return None


@contextmanager
def opening_with(loader: DataLoader[Any], **parts: Any) -> Iterator[None]:
    """Let a loader that is opened within have other attributes; its iterator keeps them.

    Args:
        loader: The loader; it is left as it was.
        **parts: The attributes.
    """
    attributes = loader.__dict__
    before = {name: attributes[name] for name in parts}
    # Past DataLoader.__setattr__, which forbids it.
    attributes.update(parts)
    try:
        yield
    finally:
        attributes.update(before)
