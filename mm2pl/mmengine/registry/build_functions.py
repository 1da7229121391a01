"""Functions that build an object from a config: the ``build_func`` of registries."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from mm2pl.errors import ConfigTypeAssertionError, Mm2plError, nearest
from mm2pl.mmengine.config import Config, ConfigDict
from mm2pl.mmengine.registry._imports import debug
from mm2pl.mmengine.registry._unknown import unknown_type
from mm2pl.mmengine.registry.errors import (
    BuildError,
    UnknownTypeError,
    WrongTypeError,
    record,
)
from mm2pl.mmengine.registry.registry import Registry
from mm2pl.mmengine.utils import ManagerMixin, digit_version

if TYPE_CHECKING:
    from torch import nn

    from mm2pl.mmengine.runner import Runner

AnyConfig: TypeAlias = dict[str, Any] | ConfigDict | Config


def build_from_cfg(
    cfg: AnyConfig, registry: Registry, default_args: AnyConfig | None = None
) -> Any:
    """Build an object of a class, or call a function, that a config names.

    Differs: what the constructor raises carries a note that says what was being built; arguments
    that the constructor does not take are named with the nearest ones that it does.

    Args:
        cfg: ``type`` (a registered name, a dotted name, a class or another callable), optionally
            ``_scope_`` (build with this default scope), and the arguments.
        registry: Where a name is looked up.
        default_args: Arguments, or a ``type``, where ``cfg`` has none.

    Raises:
        TypeError: An argument, or ``type``, is of the wrong type, or the constructor does not take
            these arguments.
        KeyError: There is no ``type``, or it is not found; says where it was looked for, the
            nearest names, and what failed to import.
    """
    _check_config(cfg)
    if "type" not in cfg and (default_args is None or "type" not in default_args):
        raise _no_type(cfg)
    _check_registry(registry)
    if not isinstance(default_args, dict | ConfigDict | Config | None):
        raise ConfigTypeAssertionError(
            "default_args should be a dict, ConfigDict, Config or None, "
            f"but got {type(default_args)}"
        )
    args = _arguments(cfg, default_args)
    scope = args.pop("_scope_", None)
    with (
        registry.switch_scope_and_registry(scope) as current,
        _building(cfg, _raw_type(args), current),
    ):
        return _construct(_target(args.pop("type"), current), args)


def build_runner_from_cfg(cfg: AnyConfig, registry: Registry) -> Runner:
    """Build a runner with ``from_cfg`` of the class that ``runner_type`` names, ``Runner`` if none.

    Args:
        cfg: The whole config.
        registry: Where the name is looked up.

    Raises:
        TypeError: ``cfg``, ``registry`` or ``runner_type`` is of the wrong type (for the first two
            also an ``AssertionError``).
        KeyError: There is no such runner.
    """
    _check_config(cfg)
    _check_registry(registry)
    args = cfg.copy()
    with registry.switch_scope_and_registry(args.pop("_scope_", None)) as current:
        kind = args.get("runner_type", "Runner")
        with _building(cfg, kind, current):
            runner_class = _target(kind, current, is_target=inspect.isclass, key="runner_type")
            runner = cast("Runner", runner_class.from_cfg(args))
        _log_built(runner_class)
        return runner


def build_model_from_cfg(
    cfg: AnyConfig | list[AnyConfig], registry: Registry, default_args: AnyConfig | None = None
) -> nn.Module:
    """Build a module, or from a list a :class:`mmengine.model.Sequential` of modules.

    Args:
        cfg: A config as for :func:`build_from_cfg`, or a list of them.
        registry: Where names are looked up.
        default_args: Arguments where a config has none.
    """
    if not isinstance(cfg, list):
        return cast("nn.Module", build_from_cfg(cfg, registry, default_args))
    from mm2pl.mmengine.model import Sequential

    return Sequential(*[build_from_cfg(part, registry, default_args) for part in cfg])


def build_optimizer_from_cfg(
    cfg: AnyConfig, registry: Registry, default_args: AnyConfig | None = None
) -> Any:
    """Build an optimizer by :func:`build_from_cfg`; says which of two is meant by ``Adafactor``."""
    if "type" in cfg and cfg["type"] == "Adafactor":
        import torch

        if digit_version(torch.__version__) >= digit_version("2.5.0"):
            from mm2pl.mmengine.logging import print_log

            print_log("the torch version of Adafactor is registered as TorchAdafactor")
    return build_from_cfg(cfg, registry, default_args)


def build_scheduler_from_cfg(
    cfg: AnyConfig, registry: Registry, default_args: AnyConfig | None = None
) -> Any:
    """Build a parameter scheduler.

    Args:
        cfg: A config as for :func:`build_from_cfg`. With ``convert_to_iter_based=True`` the
            scheduler is given in epochs and counts iterations.
        registry: Where a name is looked up.
        default_args: Arguments where ``cfg`` has none; holds the ``optimizer``, and for the
            conversion ``epoch_length`` in iterations.

    Raises:
        TypeError: ``cfg``, ``registry`` or ``type`` is of the wrong type.
        AssertionError: ``cfg`` or ``registry`` is of the wrong type, or the conversion lacks
            ``epoch_length`` or has ``by_epoch=False``.
        KeyError: There is no such scheduler.
    """
    _check_config(cfg)
    _check_registry(registry)
    args = _arguments(cfg, default_args)
    with registry.switch_scope_and_registry(args.pop("_scope_", None)) as current:
        if not args.pop("convert_to_iter_based", False):
            args.pop("epoch_length", None)
            return build_from_cfg(args, current)
        if "type" not in args:
            raise _no_type(cfg)
        with _building(cfg, _raw_type(args), current):
            kind = args.pop("type")
            if "epoch_length" not in args or not args.get("by_epoch", True):
                raise ScheduleConversionError(
                    "Only epoch-based parameter scheduler can be converted to iter-based, and "
                    "`epoch_length` should be set",
                    key="convert_to_iter_based",
                )
            return _target(kind, current, is_target=inspect.isclass).build_iter_from_epoch(**args)


class ScheduleConversionError(BuildError, AssertionError):
    """A scheduler cannot count iterations (an ``AssertionError`` too, as in MMEngine)."""


def _check_config(cfg: object) -> None:
    if not isinstance(cfg, dict | ConfigDict | Config):
        raise ConfigTypeAssertionError(
            f"cfg should be a dict, ConfigDict or Config, but got {type(cfg)}"
        )


def _check_registry(registry: object) -> None:
    if not isinstance(registry, Registry):
        raise ConfigTypeAssertionError(
            f"registry must be a mmengine.Registry object, but got {type(registry)}"
        )


def _no_type(cfg: AnyConfig) -> UnknownTypeError:
    keys = [str(key) for key in cfg]
    text = repr(cfg)
    error = UnknownTypeError(
        '`cfg` or `default_args` must contain the key "type", '
        f"but got {text if len(text) < 200 else text[:200] + '...'}",
        choices=[f"{key} -> type" for key in nearest("type", keys, 1)],
    )
    record(error, cfg, "an object without a type")
    return error


def _arguments(cfg: AnyConfig, default_args: AnyConfig | None) -> Any:
    plain = cfg._cfg_dict if isinstance(cfg, Config) else cfg
    args = plain.copy()
    for name, value in ({} if default_args is None else default_args).items():
        args.setdefault(name, value)
    return args


def _raw_type(args: dict[str, Any]) -> Any:
    """Return the type as it is written: reading it from a ConfigDict would import a lazy one."""
    return dict.get(args, "type")


def _target(
    kind: Any,
    registry: Registry,
    is_target: Callable[[Any], bool] = callable,
    key: str = "type",
) -> Any:
    """Return what to call for a ``type``: a registered name, a lazy object, a class or function."""
    from mm2pl.mmengine.config.lazy import LazyAttr, LazyObject

    target = kind
    if isinstance(kind, str):
        target = registry.get(kind)
        if target is None:
            raise unknown_type(kind, registry, key_name=key)
        if not callable(target):
            raise WrongTypeError(f"`{kind}` is nothing to build from: {target!r}", key=key)
        return target
    if isinstance(kind, LazyObject | LazyAttr):
        target = kind.build()
    if not is_target(target):
        raise WrongTypeError(f"type must be a str or valid type, but got {type(target)}", key=key)
    return target


def _construct(target: Any, args: Any) -> Any:
    # A ManagerMixin is reached globally by its name; a second build gives the same instance.
    is_managed = inspect.isclass(target) and issubclass(target, ManagerMixin)
    make = target.get_instance if is_managed else target
    try:
        built = make(**args)
    except TypeError as error:
        refused = refused_arguments(error, target, args)
        if refused is None:
            raise
        raise refused from error
    _log_built(target)
    return built


def refused_arguments(error: TypeError, target: Any, args: Any) -> WrongTypeError | None:
    """Return a better error if it is the call of ``target`` that does not take ``args``, else None.

    Args:
        error: What the call raised.
        target: The class or function.
        args: The arguments by name.
    """
    if isinstance(error, Mm2plError):
        return None
    names = _parameters(target)
    if names is None:
        return None
    unknown = [str(name) for name in args if name not in names]
    refused = _UNEXPECTED.search(str(error))
    # A class may hand what it does not know to its base, which refuses it in its stead.
    if refused and refused.group(1) in unknown:
        unknown = [refused.group(1)]
    elif _takes(target, args):
        return None
    if not unknown:
        return WrongTypeError(str(error), key="")
    return WrongTypeError(
        str(error),
        key=unknown[0],
        choices=nearest(unknown[0], names),
        hint=f"{_name(target)} takes {', '.join(names) or 'no arguments'}",
    )


_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")


def _takes(target: Any, args: Any) -> bool:
    try:
        inspect.signature(target).bind(**args)
    except TypeError:
        return False
    return True


def _parameters(target: Any) -> list[str] | None:
    """Return the names that a call takes, those that a class hands on to its bases included."""
    try:
        found = _named(inspect.signature(target))
        for kind in inspect.getmro(target) if inspect.isclass(target) else ():
            if "__init__" not in vars(kind):
                continue
            signature = inspect.signature(vars(kind)["__init__"])
            found += [name for name in _named(signature) if name not in ("self", *found)]
            if not any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values()):
                break
    except (TypeError, ValueError):  # some classes written in C have no signature
        return None
    return found


def _named(signature: inspect.Signature) -> list[str]:
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [name for name, one in signature.parameters.items() if one.kind not in variable]


@contextmanager
def _building(cfg: AnyConfig, kind: Any, registry: Registry) -> Iterator[None]:
    """Say in an exception what was being built, and where its config stands in this one."""
    try:
        yield
    except Exception as error:
        plain = cfg._cfg_dict if isinstance(cfg, Config) else cfg
        what = kind if isinstance(kind, str) else _name(kind)
        record(error, plain, f"`{what}` of the {registry.scope}::{registry.name} registry")
        if isinstance(error, Mm2plError) and isinstance(cfg, Config):
            error.file = error.file or cfg.filename
        raise


def _name(target: Any) -> str:
    return str(getattr(target, "__name__", target))


def _log_built(target: Any) -> None:
    debug(
        f"An `{_name(target)}` instance is built from registry, and its implementation can be "
        f"found in {getattr(target, '__module__', None)}"
    )
