"""Where configs of other packages lie; names that libraries import from here."""

from __future__ import annotations

import os
import re
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

from mm2pl.errors import ConfigAssertionError, ConfigKeyError, nearest
from mm2pl.libraries import how_to_get
from mm2pl.mmengine.config._errors import (
    ConfigImportError,
    ConfigParsingError,
    missing_file,
)

__all__ = ["MODULE2PACKAGE", "PKG2PROJECT", "ConfigParsingError", "package_folder"]

# The distribution that brings each module.
MODULE2PACKAGE = {
    "mmcls": "mmcls",
    "mmdet": "mmdet",
    "mmdet3d": "mmdet3d",
    "mmseg": "mmsegmentation",
    "mmaction": "mmaction2",
    "mmtrack": "mmtrack",
    "mmpose": "mmpose",
    "mmedit": "mmedit",
    "mmocr": "mmocr",
    "mmgen": "mmgen",
    "mmfewshot": "mmfewshot",
    "mmrazor": "mmrazor",
    "mmflow": "mmflow",
    "mmhuman3d": "mmhuman3d",
    "mmrotate": "mmrotate",
    "mmselfsup": "mmselfsup",
    "mmyolo": "mmyolo",
    "mmpretrain": "mmpretrain",
    "mmagic": "mmagic",
}
PKG2PROJECT = MODULE2PACKAGE


def package_folder(package: str) -> str:
    """Return the folder of an installed or importable package, without importing it.

    Args:
        package: The name of the module or of the distribution.

    Raises:
        ConfigImportError: There is no such package.
    """
    module = next((m for m, name in MODULE2PACKAGE.items() if name == package), package)
    folders = _folders(_spec(module))
    if not folders:
        raise ConfigImportError(
            f"{package} is not installed",
            hint=how_to_get(module)
            or f"please install {package}, or put the folder above {module}/ on PYTHONPATH.",
        )
    # A namespace package has several folders; the one with configs is meant.
    return next((f for f in folders if os.path.isdir(os.path.join(f, ".mim"))), folders[0])


def _spec(module: str) -> ModuleSpec | None:
    try:
        return find_spec(module)
    except (ValueError, ImportError):  # a module in sys.modules may lack a spec
        return None


def _folders(spec: ModuleSpec | None) -> list[str]:
    return list(spec.submodule_search_locations or ()) if spec else []


def _get_package_and_cfg_path(cfg_path: str) -> tuple[str, str]:
    """Split ``mmseg::x/y.py`` into the distribution and the path of the config.

    Raises:
        ConfigParsingError: It has another form.
        ConfigAssertionError: The package is none of OpenMMLab's.
    """
    if cfg_path.count("::") != 1 or re.match(r"\w+::\w+/\w*", cfg_path) is None:
        raise ConfigParsingError(
            f"{cfg_path!r} does not name a config of a package",
            hint="write package::folder/config.py, "
            "e.g. mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py.",
        )
    module, path = cfg_path.split("::")
    if module not in MODULE2PACKAGE:
        raise ConfigAssertionError(
            f"mmengine does not support to load {module} config",
            choices=nearest(module, MODULE2PACKAGE),
        )
    return MODULE2PACKAGE[module], path


def _get_external_cfg_base_path(package_path: str, cfg_name: str) -> str:
    """Return the path of a config that came with a package.

    Raises:
        ConfigFileNotFoundError: The package has no such config.
    """
    path = os.path.join(package_path, ".mim", "configs", cfg_name)
    if not os.path.isfile(path):
        raise missing_file(path)
    return path


def _get_cfg_metainfo(package_path: str, cfg_path: str) -> dict[str, Any]:
    """Return what the first metafile that names a config says about it.

    Raises:
        ConfigKeyError: No metafile names it.
    """
    folder = os.path.join(package_path, ".mim")
    names: list[str] = []
    for meta in _yaml(os.path.join(folder, "model-index.yml"))["Import"]:
        for model in _yaml(os.path.join(folder, meta)).get("Models", ()):
            name = model.get("Config", "").partition("/")[-1]
            if name == cfg_path:
                return dict(model)
            names.append(name)
    raise ConfigKeyError(
        f"no metafile of {package_path} names {cfg_path}", choices=nearest(cfg_path, names)
    )


def _yaml(path: str) -> Any:
    from mm2pl.mmengine.config._load import read, yaml_data

    return yaml_data(read(path), path)
