"""``Runner``, where MMEngine has it."""

from mm2pl.runner import Runner

__all__ = ["Runner"]
