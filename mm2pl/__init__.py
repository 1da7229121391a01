"""mm2pl runs OpenMMLab (MMEngine) configs on PyTorch Lightning."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mm2pl.alias import install_as_mmengine, uninstall_as_mmengine

# Not later: whoever imports the package mm2pl.translate first would put it in the function's place.
from mm2pl.translate import translate

if TYPE_CHECKING:
    from mm2pl.runner import Runner
    from mm2pl.trainer import build

__version__ = "0.1.0"
__all__ = [
    "Runner",
    "__version__",
    "build",
    "install_as_mmengine",
    "translate",
    "uninstall_as_mmengine",
]

# Imported when asked for: reading a config needs neither torch nor Lightning.
_LAZY = {"Runner": "mm2pl.runner", "build": "mm2pl.trainer"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
