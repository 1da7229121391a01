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


# The C pickler refuses a name that it cannot import, and has no hook that comes before.
class Pickler(_Base):  # type: ignore[misc]
    """Pickles as :class:`pickle.Pickler` does, with MMEngine's names for what mirrors MMEngine."""

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module = getattr(obj, "__module__", None)
        name = str(name or getattr(obj, "__qualname__", ""))
        if not isinstance(module, str) or not module.startswith(_OURS) or "." in name:
            super().save_global(obj, name or None)
            return
        self.write(pickle.GLOBAL + f"{module.removeprefix('mm2pl.')}\n{name}\n".encode())
        self.memoize(obj)

    dispatch = {**_Base.dispatch, FunctionType: save_global}


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
    # By the pickler above, which is written in Python and many times slower.
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
