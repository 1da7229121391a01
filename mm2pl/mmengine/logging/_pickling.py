"""Pickles that MMEngine can read, also where the alias is not installed.

With the alias, classes and functions of ``mm2pl.mmengine.x`` say that they are of ``mmengine.x``,
and every pickle module writes that. Without it, ``torch.save(checkpoint, path,
pickle_module=_pickling)`` and :func:`dumps` write, and :func:`load` reads, those names.
"""

from __future__ import annotations

import pickle
from io import BytesIO
from types import FunctionType
from typing import IO, Any

_OURS = "mm2pl.mmengine."


_Base: Any = pickle._Pickler  # the type stubs leave out what a subclass needs


class _SlowPickler(_Base):  # type: ignore[misc]
    """Written in Python, with a place to put other names in."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = getattr(obj, "__module__", None)
        name = str(name or getattr(obj, "__qualname__", ""))
        if not isinstance(module, str) or not module.startswith(_OURS) or "." in name:
            super().save_global(obj, name or None)
            return
        self.write(_opcode(module.removeprefix("mm2pl."), name))
        self.memoize(obj)

    dispatch = {**_Base.dispatch, FunctionType: save_global}


def _opcode(module: str, name: str) -> bytes:
    return pickle.GLOBAL + f"{module}\n{name}\n".encode()


class Pickler(pickle.Pickler):
    """Pickles as :class:`pickle.Pickler` does, with MMEngine's names for what mirrors MMEngine.

    The C pickler has no place to put other names in, but is many times faster: names are replaced
    in what it has written, where it is certain that they are names.
    """

    def __init__(self, file: IO[bytes], protocol: int | None = None, **options: Any) -> None:
        self._file, self._protocol, self._options = file, protocol, options
        self._written = BytesIO()
        self._named: set[tuple[str, str]] = set()
        super().__init__(self._written, protocol, **options)

    def reducer_override(self, obj: Any) -> Any:
        """Note what is going to be named; change nothing."""
        if isinstance(obj, (type, FunctionType)) and str(obj.__module__).startswith(_OURS):
            self._named.add((obj.__module__, obj.__qualname__))
        return NotImplemented

    def dump(self, obj: Any) -> None:
        """Write an object."""
        super().dump(obj)
        data = self._written.getvalue()
        for module, name in self._named:
            if "." in name:
                continue  # a method: its class is named
            if data.count(_opcode(module, name)) != 1:
                # Text that looks like a name, or a protocol with other opcodes.
                slow = _SlowPickler(self._file, self._protocol, **self._options)
                if hasattr(self, "persistent_id"):
                    slow.persistent_id = self.persistent_id
                slow.dump(obj)
                return
            data = data.replace(_opcode(module, name), _opcode(module.removeprefix("mm2pl."), name))
        self._file.write(data)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        return super().find_class(_own_name(module), name)


def _own_name(module: str) -> str:
    return f"mm2pl.{module}" if f"{module}.".startswith("mmengine.") else module


def dumps(value: Any, **options: Any) -> bytes:
    """Pickle a value by MMEngine's names.

    Args:
        value: What to pickle.
        **options: As of :func:`pickle.dumps`.
    """
    data = pickle.dumps(value, **options)
    if _OURS.encode() not in data:
        return data
    buffer = BytesIO()
    Pickler(buffer, **options).dump(value)
    return buffer.getvalue()


def load(file: IO[bytes], **options: Any) -> Any:
    """Return a pickled value; ``mmengine...`` names what ``mm2pl.mmengine...`` defines.

    Args:
        file: An open file.
        **options: As of :func:`pickle.load`.
    """
    return _Unpickler(file, **options).load()
