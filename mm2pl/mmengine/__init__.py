"""MMEngine's public surface, under its own module names: ``mmengine.X`` is ``mm2pl.mmengine.X``.

Nothing is imported here until it is asked for, so that reading a config needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mm2pl.mmengine.version import __version__ as __version__
from mm2pl.mmengine.version import version_info as version_info

# Where MMEngine re-exports names at its top level from, cheapest first.
_REEXPORTED = ("config", "registry", "utils", "fileio", "logging")
_SUBMODULES = frozenset(
    [
        "analysis",
        "config",
        "dataset",
        "device",
        "dist",
        "evaluator",
        "fileio",
        "hooks",
        "hub",
        "infer",
        "logging",
        "model",
        "optim",
        "registry",
        "runner",
        "structures",
        "testing",
        "utils",
        "version",
        "visualization",
    ]
)


def __dir__() -> list[str]:
    return sorted({*globals(), *_public()})


def _public() -> list[str]:
    modules = [import_module(f"{__name__}.{submodule}") for submodule in _REEXPORTED]
    names = {name for module in modules for name in module.__all__}
    return sorted({*names, *_REEXPORTED, "version", "version_info"})


def __getattr__(name: str) -> Any:
    if name == "__all__":  # for `from mmengine import *`
        return _public()
    if name == "Runner":  # as in MMEngine's first releases; not listed, as it needs torch
        return import_module(f"{__name__}.runner").Runner
    if name in _SUBMODULES:
        return import_module(f"{__name__}.{name}")
    if not name.startswith("__"):
        for submodule in _REEXPORTED:
            module = import_module(f"{__name__}.{submodule}")
            if name in module.__all__:
                value = globals()[name] = getattr(module, name)
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
