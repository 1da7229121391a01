"""MMEngine's hooks as one Lightning callback, and Lightning's callbacks among them."""

from mm2pl.callbacks.collection import HookCollection
from mm2pl.callbacks.hook_callback import HookCallback
from mm2pl.callbacks.native import NativeCallback, arrange

__all__ = ["HookCallback", "HookCollection", "NativeCallback", "arrange"]
