"""The MMEngine version whose behaviour is reproduced."""

from mm2pl.mmengine import __version__, version_info

__all__ = ["__version__", "version_info"]
