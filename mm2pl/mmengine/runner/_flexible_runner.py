"""``FlexibleRunner``, where MMEngine has it."""

from mm2pl.flexible_runner import FlexibleRunner

__all__ = ["FlexibleRunner"]
