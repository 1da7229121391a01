"""Lists of what is registered, and setting the default scope."""

from __future__ import annotations

import datetime
import os.path
from importlib import import_module
from typing import Any

from mm2pl.mmengine.registry._imports import OWN_PACKAGE, warn
from mm2pl.mmengine.registry.default_scope import DefaultScope
from mm2pl.mmengine.registry.registry import Registry

_REGISTERING = ("dataset", "evaluator", "hooks", "model", "optim", "runner", "visualization")


def traverse_registry_tree(registry: Registry, verbose: bool = True) -> list[dict[str, Any]]:
    """List what the registries of a whole tree hold, from its root, depth first.

    Args:
        registry: Any registry of the tree.
        verbose: Whether to log the number of each.

    Returns:
        For each registry ``num_modules``, ``scope``, and the registered names by the folder of the
        code (``mmengine/model``).
    """
    found: list[dict[str, Any]] = []

    def visit(node: Registry) -> None:
        modules = node.module_dict
        info: dict[str, Any] = {"num_modules": len(modules), "scope": node.scope}
        for name, registered in modules.items():
            info.setdefault(_folder(registered), []).append(name)
        if verbose:
            _log(f"Find {len(modules)} modules in {node.scope}'s '{node.name}' registry ")
        found.append(info)
        for child in node.children.values():
            visit(child)

    visit(registry.root)
    return found


def _folder(registered: Any) -> str:
    parts = getattr(registered, "__module__", type(registered).__module__).split(".")[:-1]
    if parts[:2] == [OWN_PACKAGE, "mmengine"]:
        parts = parts[1:]
    return "/".join(parts)


def count_registered_modules(save_path: str | None = None, verbose: bool = True) -> dict[str, Any]:
    """List what all root registries and their children hold.

    Args:
        save_path: A folder to write ``modules_statistic_results.json`` to.
        verbose: Whether to log the numbers.

    Returns:
        ``scan_date``, and under ``registries`` the lists of :func:`traverse_registry_tree`.
    """
    from mm2pl.mmengine.registry import root

    for package in _REGISTERING:
        import_module(f"{OWN_PACKAGE}.mmengine.{package}")
    registries = {
        name: traverse_registry_tree(value, verbose)
        for name, value in sorted(vars(root).items())
        if isinstance(value, Registry)
    }
    now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")
    result: dict[str, Any] = {"scan_date": now, "registries": registries}
    if verbose:
        _log(f"Finish registry analysis, got: {result}")
    if save_path is not None:
        from mm2pl.mmengine.fileio import dump

        json_path = os.path.join(save_path, "modules_statistic_results.json")
        dump(result, json_path, indent=2)
        _log(f"Result has been saved to {json_path}")
    return result


def _log(message: str) -> None:
    from mm2pl.mmengine.logging import print_log

    print_log(message, logger="current")


def init_default_scope(scope: str) -> None:
    """Make ``scope`` the current default scope, with a warning if another one is replaced."""
    current = DefaultScope.get_current_instance()
    if current is None or not DefaultScope.check_instance_created(scope):
        DefaultScope.get_instance(scope, scope_name=scope)
    elif current.scope_name != scope:
        warn(
            f'The current default scope "{current.scope_name}" is not "{scope}", '
            f'`init_default_scope` will force set the current default scope to "{scope}".'
        )
        # The plain name is taken by an older instance.
        DefaultScope.get_instance(f"{scope}-{datetime.datetime.now()}", scope_name=scope)
