"""Importing what a registry names: a scope's package, locations, dotted names; and logging it."""

from __future__ import annotations

import logging
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

OWN_PACKAGE = "mm2pl"


def own_name(name: str) -> str:
    """Return the name under which we hold a module or object of ``mmengine``; others unchanged."""
    is_ours = name == "mmengine" or name.startswith("mmengine.")
    return f"{OWN_PACKAGE}.{name}" if is_ours else name


def load(name: str) -> ModuleType:
    """Import a module; one of ``mmengine`` is ours, whether or not the alias is installed."""
    return import_module(own_name(name))


def import_location(name: str) -> None:
    """Import a location of a registry, unless it is a package of MMEngine's that we do not have."""
    ours = own_name(name)
    if ours == name or find_spec(ours) is not None:
        import_module(ours)


def import_scope(scope: str) -> Exception | None:
    """Import ``<scope>.registry``, which adds its registries to the tree; return why it failed.

    Only a missing module or name counts as a failure here, as in MMEngine. Anything else, say a
    version check in the package that fails, is raised.
    """
    try:
        load(f"{scope}.registry")
    except (ImportError, AttributeError) as error:
        return error
    return None


def object_by_name(name: str) -> Any:
    """Return what a dotted name such as ``torch.nn.Linear`` stands for, or None."""
    from mm2pl.mmengine.utils import get_object_from_string

    return get_object_from_string(own_name(name))


def debug(message: str) -> None:
    """Write to the current logger, if there is one."""
    from mm2pl.mmengine.logging import MMLogger

    # Without one there is nobody to tell: a new logger drops this level.
    if MMLogger._instance_dict:
        MMLogger.get_current_instance().debug(message)


def warn(message: str) -> None:
    """Write a warning to the current logger."""
    from mm2pl.mmengine.logging import print_log

    print_log(message, logger="current", level=logging.WARNING)
