"""What to say about a ``type`` that no registry knows: where it was looked for, and why in vain."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mm2pl.errors import nearest
from mm2pl.mmengine.config.utils import MODULE2PACKAGE
from mm2pl.mmengine.registry._imports import import_scope, own_name
from mm2pl.mmengine.registry.default_scope import DefaultScope
from mm2pl.mmengine.registry.errors import UnknownTypeError, missing_package_hint

if TYPE_CHECKING:
    from mm2pl.mmengine.registry.registry import Registry

_MOST = 5


def unknown_type(key: str, registry: Registry, *, key_name: str = "type") -> UnknownTypeError:
    """Return the error for a name that ``registry`` does not find; the cause, if known, is chained.

    Args:
        key: The name, with or without a scope.
        registry: Where it was looked for.
        key_name: The key of the config that holds the name.
    """
    message = f"{key} is not in the {registry.scope}::{registry.name} registry."
    cause = None
    for scope in _scopes(key, registry):
        cause = _failure(scope)
        if cause is not None:
            message += f" {scope}.registry cannot be imported: {type(cause).__name__}: {cause}."
            break
    choices = _choices(key, registry)
    dotted = _dotted_problem(key) if cause is None else None
    if dotted is not None:
        message += f" {dotted[0]}"
        choices = choices or dotted[1]
    error = UnknownTypeError(
        message, key=key_name, choices=choices, hint=_hint(key, registry, cause)
    )
    error.__cause__ = cause
    return error


def _scopes(key: str, registry: Registry) -> list[str]:
    """Return the scopes that should have been searched but are not in the tree."""
    current = DefaultScope.get_current_instance()
    wanted = [registry.split_scope_key(key)[0], current.scope_name if current else None]
    root = registry.root
    return [scope for scope in wanted if scope and root._search_child(scope) is None]


def _failure(scope: str) -> Exception | None:
    """Return why the package of a scope cannot be imported, None if it just has no registries."""
    try:
        error = import_scope(scope)
    except Exception as other:
        return other
    if isinstance(error, ModuleNotFoundError) and error.name == f"{scope}.registry":
        return None
    if isinstance(error, ModuleNotFoundError) and error.name == scope:
        # `type='torc.nn.Linear'` is better explained as a dotted name.
        return error if scope in MODULE2PACKAGE or _is_current(scope) else None
    return error


def _is_current(scope: str) -> bool:
    current = DefaultScope.get_current_instance()
    return current is not None and current.scope_name == scope


def _choices(key: str, registry: Registry) -> list[str]:
    """Return the nearest registered names; the same name under another scope comes first."""
    wanted_scope, wanted = registry.split_scope_key(key)
    own = list(registry._chain())
    named: dict[str, list[str]] = {}
    for other in [*own, *_tree(registry.root)]:
        for name in other.module_dict:
            label = name if other in own and not wanted_scope else f"{other.scope}.{name}"
            if label not in named.setdefault(name, []):
                named[name].append(label)
    same = named.get(wanted, [])
    close = [label for name in nearest(wanted, named, _MOST) for label in named[name]]
    scopes = [*(other.scope for other in _tree(registry.root)), *MODULE2PACKAGE]
    if wanted_scope and wanted_scope not in scopes:
        close += [f"{scope}.{wanted}" for scope in nearest(wanted_scope, scopes)]
    return [label for label in dict.fromkeys(same + close) if label != key][:_MOST]


def _tree(registry: Registry) -> Iterator[Registry]:
    yield registry
    for child in registry.children.values():
        yield from _tree(child)


def _dotted_problem(key: str) -> tuple[str, list[str]] | None:
    """Return what is wrong with a dotted name, with the nearest right ones."""
    if "." not in key:
        return None
    parts = key.split(".")
    for count in range(len(parts) - 1, 0, -1):
        module_name = ".".join(parts[:count])
        try:
            module = import_module(own_name(module_name))
        except ImportError as error:
            if not isinstance(error, ModuleNotFoundError) or not module_name.startswith(
                str(error.name)
            ):
                return f"{module_name} cannot be imported: {type(error).__name__}: {error}.", []
            continue
        close = nearest(parts[count], (name for name in dir(module) if name[0] != "_"))
        return (
            f"The module {module_name} has no {parts[count]!r}.",
            [f"{module_name}.{name}" for name in close],
        )
    return f"There is no package {parts[0]!r}.", []


def _hint(key: str, registry: Registry, cause: Exception | None) -> str | None:
    _, name = registry.split_scope_key(key)
    if isinstance(cause, ModuleNotFoundError) and cause.name is not None:
        return missing_package_hint(cause.name)
    kinds = [root.name for root in _other_roots(registry) if _holds(root, name)]
    if kinds:
        return f"`{name}` is in the {' and the '.join(kinds)} registry; is it under the right key?"
    return (
        "the module that registers it must be imported, for instance with "
        "custom_imports = dict(imports=['my_package.my_module'])"
    )


def _other_roots(registry: Registry) -> list[Registry]:
    from mm2pl.mmengine.registry import root

    roots: list[Any] = [value for value in vars(root).values() if isinstance(value, type(registry))]
    return [other for other in roots if other is not registry.root]


def _holds(root: Registry, name: str) -> bool:
    return any(name in registry.module_dict for registry in _tree(root))
