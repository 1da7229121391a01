"""Config files in MMEngine's formats. Importing this needs neither torch nor numpy."""

from __future__ import annotations

from mm2pl.mmengine.config.config import Config, ConfigDict, DictAction, read_base

__all__ = ["Config", "ConfigDict", "DictAction", "read_base"]
