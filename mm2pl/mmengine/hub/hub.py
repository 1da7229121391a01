"""Configs and models of installed libraries, by their names."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from torch import nn

from mm2pl.errors import ConfigAssertionError
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.config.utils import (
    _get_cfg_metainfo,
    _get_external_cfg_base_path,
    _get_package_and_cfg_path,
    package_folder,
)
from mm2pl.mmengine.registry import MODELS, DefaultScope
from mm2pl.mmengine.runner.checkpoint import load_checkpoint


def get_config(cfg_path: str, pretrained: bool = False) -> Config:
    """Return a config that came with a library.

    Differs: a library that is missing is an error; MMEngine installs it.

    Args:
        cfg_path: As ``mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py``.
        pretrained: Whether to put the address of the trained weights into ``cfg.model_path``.

    Raises:
        ImportError: The library is not installed.
        FileNotFoundError: It has no such config.
        AssertionError: ``pretrained``, and its metafile names no weights.
    """
    package, name = _get_package_and_cfg_path(cfg_path)
    folder = package_folder(package)
    try:
        meta = _get_cfg_metainfo(folder, name)
    except KeyError:  # no metafile names the configs that others build on
        return Config.fromfile(_get_external_cfg_base_path(folder, name))
    cfg = Config.fromfile(os.path.join(folder, ".mim", meta["Config"]))
    if pretrained:
        if "Weights" not in meta:
            raise ConfigAssertionError(
                f"the metafile of {cfg_path} names no Weights",
                hint="take the config without pretrained=True, and load weights of your own.",
            )
        cfg.model_path = meta["Weights"]
    return cfg


def get_model(cfg_path: str, pretrained: bool = False, **kwargs: Any) -> nn.Module:
    """Build the model of a config that came with a library.

    Args:
        cfg_path: As for :func:`get_config`.
        pretrained: Whether to load the trained weights.
        **kwargs: Default arguments of the model.

    Raises:
        AttributeError: ``pretrained``, and no metafile names the config.
    """
    package = cfg_path.split("::")[0]
    with DefaultScope.overwrite_default_scope(package):
        cfg = get_config(cfg_path, pretrained)
        if "data_preprocessor" in cfg:
            cfg.model.data_preprocessor = cfg.data_preprocessor
        import_module(f"{package}.utils").register_all_modules()
        model: Any = MODELS.build(cfg.model, default_args=kwargs)
        if pretrained:
            load_checkpoint(model, cfg.model_path)
            model._is_init = True  # or a run would initialise the weights anew
    return model  # type: ignore[no-any-return]
