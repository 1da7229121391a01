"""Serves ``import mmengine...`` from ``mm2pl.mmengine...``: the same module objects.

Three things together, all of which the undo takes back (docs/alias.md says what each is for):

- a finder at the head of ``sys.meta_path``, for this process;
- the folder ``_served`` on ``sys.path`` and ``PYTHONPATH``, for the processes started from it;
- ``mmengine...`` in the ``__module__`` of what ``mm2pl.mmengine`` defines, for pickles.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from mm2pl import child_path
from mm2pl.errors import Mm2plError
from mm2pl.support import refuse_missing_module

OURS = "mm2pl.mmengine"
THEIRS = "mmengine"
SERVED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_served")

_lock = threading.RLock()


def install_as_mmengine() -> None:
    """Let ``import mmengine`` and everything below it give mm2pl's modules.

    So it is in this process, in its workers however they are started, and in the Python processes
    that it starts. An installed MMEngine is shadowed. Calling it twice does nothing more.

    Raises:
        Mm2plError: The real MMEngine is imported already.
    """
    ours = importlib.import_module(OURS)
    with _lock:
        imported = sys.modules.get(THEIRS)
        if imported is not None and imported is not ours:
            where = getattr(imported, "__file__", None) or "no file"
            raise Mm2plError(
                f"the real mmengine is imported already (from {where}), so its place cannot be"
                " taken",
                hint="call mm2pl.install_as_mmengine() first thing in the program, before anything"
                " imports mmengine or a library that does",
            )
        if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
            sys.meta_path.insert(0, _Finder())
            for module in _loaded():
                _adopt(module)
        _serve_to_children()


def uninstall_as_mmengine() -> None:
    """Undo :func:`install_as_mmengine`, also where a parent process called it."""
    with _lock:
        sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, _Finder)]
        sys.path[:] = [entry for entry in sys.path if entry != SERVED]
        child_path.remove(SERVED)
        for name in [name for name in sys.modules if _is_below(name, THEIRS)]:
            del sys.modules[name]
        for module in _loaded():
            _rename(module, THEIRS, OURS)


# --------------------------------------------------------------------------- this process


class _Finder(MetaPathFinder):
    """Finds ``mmengine.X`` as ``mm2pl.mmengine.X``, and adopts the latter when it is loaded."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if _is_below(fullname, THEIRS):
            return _alias_spec(fullname)
        if not _is_below(fullname, OURS):
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                spec.loader = _AdoptingLoader(spec.loader)  # type: ignore[assignment]
                return spec
        return None


def _alias_spec(fullname: str) -> ModuleSpec | None:
    ours = importlib.util.find_spec(_our_name(fullname))
    if ours is None:
        refuse_missing_module(fullname)
        return None
    spec = ModuleSpec(fullname, _AliasLoader(), origin=ours.origin)
    spec.submodule_search_locations = ours.submodule_search_locations
    spec.has_location = ours.has_location
    return spec


class _AliasLoader(Loader):
    """Loads ``mmengine.X`` by importing ``mm2pl.mmengine.X``."""

    def exec_module(self, module: ModuleType) -> None:
        # importlib stamps its spec on the empty module that it made, and then hands out what
        # stands under the name. Ours keeps its own spec, also while other threads import.
        name = module.__name__
        # Whoever imports this name while ours is being loaded gets ours, as far as it is.
        del sys.modules[name]
        _adopt(importlib.import_module(_our_name(name)))


class _AdoptingLoader:
    """Loads one of our modules as its own loader does, and gives it MMEngine's name too."""

    def __init__(self, own: Any) -> None:
        self._own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(self._own, name)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._own
        self._own.exec_module(module)
        _adopt(module)


def _adopt(module: ModuleType) -> None:
    """Let a module of ours be known by MMEngine's name, and what it defines say that name."""
    sys.modules[_their_name(module.__name__)] = module
    _rename(module, OURS, THEIRS)


def _rename(holder: ModuleType | type, old: str, new: str) -> None:
    """Replace a package's name in the ``__module__`` of classes and functions, nested ones too."""
    for value in list(vars(holder).values()):
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        if isinstance(value, (type, FunctionType)) and _is_below(str(value.__module__), old):
            line = vars(value).get("__firstlineno__")
            value.__module__ = new + value.__module__[len(old) :]
            if line is not None:  # Python 3.13 drops it, and with it what inspect.getsource needs
                value.__firstlineno__ = line  # type: ignore[union-attr]
            if isinstance(value, type):
                _rename(value, old, new)


def _loaded() -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if _is_below(name, OURS)]


def _is_below(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def _our_name(name: str) -> str:
    return OURS + name[len(THEIRS) :]


def _their_name(name: str) -> str:
    return THEIRS + name[len(OURS) :]


# --------------------------------------------------------------------------- other processes


def _serve_to_children() -> None:
    """Put the folder with the stand-in first, for ``spawn`` and for processes of all kinds."""
    # Programs look up their script's folder in sys.path[0]. It stays there unless it holds an
    # mmengine itself, which spawned workers would import in our place.
    first = Path(sys.path[0] if sys.path else "")
    has_own = (first / THEIRS / "__init__.py").exists() or (first / f"{THEIRS}.py").exists()
    if SERVED not in sys.path[: 1 if has_own else 2]:
        sys.path[:] = [entry for entry in sys.path if entry != SERVED]
        sys.path.insert(0 if has_own else 1, SERVED)
    child_path.add(SERVED)
