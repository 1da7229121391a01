"""MMEngine's hooks as one Lightning callback."""

from mm2pl.callbacks.collection import HookCollection
from mm2pl.callbacks.hook_callback import HookCallback

__all__ = ["HookCallback", "HookCollection"]
