"""Marks for what is unsupported or becomes something else.

Errors, checks and the matrix read them, and so say the same thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from mm2pl.errors import UnsupportedError, UnsupportedModuleError
from mm2pl.plan import Status

Kind = TypeVar("Kind", bound=type[Any])


@dataclass(frozen=True)
class Marker:
    """One thing of MMEngine's that mm2pl does not do, and why."""

    name: str
    reason: str
    hint: str | None = None

    def error(self, key_path: str | None = None) -> UnsupportedError:
        return UnsupportedError(
            f"{self.name} is not supported: {self.reason}", key_path=key_path, hint=self.hint
        )


MARKERS: dict[str, Marker] = {}

# Modules of MMEngine without a counterpart; a test compares them with MMEngine's own.
MISSING_MODULES = {
    marker.name: marker
    for marker in [
        Marker(
            "mmengine._strategy.utils",
            "makes a model without memory for ColossalAI",
            "`with trainer.init_module(empty_init=True)` is Lightning's own",
        ),
        Marker(
            "mmengine.testing._internal",
            "starts several processes for MMEngine's own distributed tests",
            "torch.testing._internal.common_distributed, which it was made from, does the same",
        ),
    ]
}


def refuse_missing_module(name: str) -> None:
    """Raise :class:`UnsupportedModuleError` if ``name`` is a marked module, or below one."""
    for missing, marker in MISSING_MODULES.items():
        if name == missing or name.startswith(f"{missing}."):
            error = UnsupportedModuleError(
                f"module {name} is not supported: {marker.reason}", hint=marker.hint
            )
            error.name = name
            error.__marker__ = marker  # type: ignore[attr-defined]
            raise error


def unsupported(name: str, reason: str, hint: str | None = None) -> type[Any]:
    """Mark ``name`` and return a class in its place that raises when it is used.

    The name can be imported, used in annotations and ``isinstance``, and subclassed, as libraries
    do when they are imported; making an instance, also of a subclass, or using one of its class
    attributes raises :class:`UnsupportedError`.
    """
    marker = MARKERS[name] = Marker(name, reason, hint)

    class _Meta(type):
        def __getattr__(cls, attribute: str) -> NoReturn:
            if attribute.startswith("__"):
                raise AttributeError(attribute)
            raise marker.error()

    def _refuse(cls: type, *args: object, **kwargs: object) -> NoReturn:
        raise marker.error()

    return _Meta(
        name.rsplit(".", 1)[-1],
        (),
        {"__doc__": str(marker.error()), "__new__": _refuse, "__marker__": marker},
    )


@dataclass(frozen=True)
class Counterpart:
    """What a class that configs may name is here.

    Attributes:
        status: ``TRANSLATED`` if results are MMEngine's, ``APPROXIMATED`` if they are close.
        text: What it becomes.
    """

    status: Status
    text: str


def becomes(status: Status, text: str) -> Callable[[Kind], Kind]:
    """Mark a class as something else than MMEngine's; read it with :func:`counterpart`."""

    def mark(kind: Kind) -> Kind:
        kind.__counterpart__ = Counterpart(status, text)
        return kind

    return mark


def counterpart(kind: Any) -> Counterpart | None:
    """Return the mark of a class itself: a subclass of the user's has none."""
    found: Counterpart | None = getattr(kind, "__dict__", {}).get("__counterpart__")
    return found
