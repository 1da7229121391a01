"""Serves ``import mmengine...`` from ``mm2pl.mmengine...``: the same module objects."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from mm2pl.errors import Mm2plError

OURS = "mm2pl.mmengine"
THEIRS = "mmengine"


class _Alias(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds ``mmengine.X`` as the module ``mm2pl.mmengine.X``."""

    def __init__(self) -> None:
        self._specs: dict[str, ModuleSpec | None] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != THEIRS and not fullname.startswith(f"{THEIRS}."):
            return None
        ours = importlib.util.find_spec(_ours(fullname))
        if ours is None:
            return None
        # The import system gives every package a __path__, which a plain module is not to get.
        is_package = ours.submodule_search_locations is not None
        return ModuleSpec(fullname, self, is_package=is_package)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(_ours(spec.name))
        # importlib stamps the alias's spec on what we return; the module keeps its own.
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None
        module.__spec__ = self._specs.pop(module.__spec__.name)


def _ours(name: str) -> str:
    return OURS + name[len(THEIRS) :]


def install_as_mmengine() -> None:
    """Let ``import mmengine`` and everything below it give mm2pl's modules.

    An installed MMEngine is shadowed. Calling it twice does nothing more.

    Raises:
        Mm2plError: The real MMEngine is imported already.
    """
    imported = sys.modules.get(THEIRS)
    if imported is not None and imported is not sys.modules.get(OURS):
        raise Mm2plError(
            "the real mmengine is imported already, so its place cannot be taken",
            hint="call mm2pl.install_as_mmengine() before anything imports mmengine",
        )
    if not any(isinstance(finder, _Alias) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Alias())


def uninstall_as_mmengine() -> None:
    """Undo :func:`install_as_mmengine`."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Alias)]
    for name in [name for name in sys.modules if name == THEIRS or name.startswith(f"{THEIRS}.")]:
        del sys.modules[name]
