"""Configs and models of installed libraries, by their names."""

from mm2pl.mmengine.hub.hub import get_config, get_model

__all__ = ["get_config", "get_model"]
