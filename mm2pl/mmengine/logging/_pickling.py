"""A pickle module for ``torch.save``: files that MMEngine can read.

``torch.save(checkpoint, path, pickle_module=_pickling)`` writes what ``mm2pl.mmengine.x`` defines
under the name ``mmengine.x``, whether or not ``mmengine`` can be imported here.
"""

from __future__ import annotations

import pickle
from types import FunctionType
from typing import Any

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
