"""The error for what MMEngine's optim package guards with ``assert``."""

from __future__ import annotations

from mm2pl.errors import ConfigError


class OptimConfigError(ConfigError, AssertionError):
    """A wrong optimizer or schedule setting.

    An ``AssertionError`` too: that is what MMEngine raises here, and user code catches it.
    """
