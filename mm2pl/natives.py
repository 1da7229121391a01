"""Builds Lightning's own callbacks, loggers and profilers from what a config says of them."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, TypeVar

from lightning.pytorch import Callback, callbacks, loggers, profilers
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import Profiler

from mm2pl.errors import ConfigError, ConfigTypeError, MissingPackageError, nearest
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.registry import HOOKS
from mm2pl.mmengine.registry.errors import at_key
from mm2pl.translate.trainer_callbacks import MODULE, refusal

T = TypeVar("T")
_OLD_PACKAGE = "pytorch_lightning."
_PACKAGES = ("lightning.", _OLD_PACKAGE)
_PROFILERS = {
    "simple": profilers.SimpleProfiler,
    "advanced": profilers.AdvancedProfiler,
    "pytorch": profilers.PyTorchProfiler,
}


def build_callbacks(given: Iterable[Any]) -> list[Callback]:
    """Return Lightning's callbacks.

    Args:
        given: Of each an object, the class's name, ``dict(type=..., **arguments)``, or
            ``dict(class_path=..., init_args=...)``.

    Raises:
        ConfigError: There is no such class, it takes no such argument, or it cannot work here.
    """
    built = []
    for index, one in enumerate(given):
        with at_key(f"trainer.callbacks[{index}]"):
            callback = _build(one, callbacks, Callback)
            refuse(callback)
            built.append(callback)
    return built


def build_callback(cfg: Mapping[str, Any]) -> Any:
    """Return what an entry of ``custom_hooks`` describes: a hook or one of Lightning's callbacks.

    Args:
        cfg: ``dict(type=..., **arguments)``, as MMEngine has it.

    Raises:
        ConfigError: There is no such callback, it takes no such argument, or it cannot work here.
        MissingPackageError: It needs a package that is missing.
    """
    named = cfg.get("type")
    if not (isinstance(named, str) and named.startswith(_PACKAGES)):
        _tell_bare_name(named)
        return HOOKS.build(dict(cfg))
    try:
        return _build(
            {key: one for key, one in cfg.items() if key != "_scope_"}, callbacks, Callback
        )
    except ModuleNotFoundError as error:
        raise MissingPackageError(f"{named}: {error}") from error


def _tell_bare_name(named: Any) -> None:
    bare = isinstance(named, str) and "." not in named and HOOKS.get(named) is None
    if bare and named in callbacks.__all__:
        raise ConfigError(
            f"no hook is registered as {named}",
            hint=f"Lightning's goes by its dotted name: type='{MODULE}.{named}'",
        )


def refuse(callback: Callback) -> None:
    """Refuse one of Lightning's callbacks that cannot work here.

    Raises:
        ConfigError: Says why, and what does the same.
    """
    refused = refusal(type(callback))
    if refused is not None:
        name, reason, hint = refused
        raise ConfigError(f"{name} cannot work here: {reason}", hint=hint)


def copied(given: T, cfg: Any) -> T:
    """Return a deep copy that keeps Lightning's objects in the config.

    As with Lightning's Trainer, who gives a callback can look at it after the run.

    Args:
        given: The config, or what was made of it.
        cfg: The config.
    """
    places: list[Any] = []
    if isinstance(cfg, (Mapping, Config)):
        for name in ("trainer", "default_hooks"):
            section = cfg.get(name)
            places += section.values() if isinstance(section, Mapping) else ()
        places.append(cfg.get("custom_hooks"))
    objects: list[Any] = []
    for value in places:
        objects += value if isinstance(value, (list, tuple)) else [value]
    kept = {id(one): one for one in objects if isinstance(one, (Callback, Logger, Profiler))}
    return copy.deepcopy(given, kept)


def build_loggers(given: Iterable[Any], save_dir: str) -> list[Logger]:
    """Return Lightning's loggers; one that is given no ``save_dir`` writes into the run's folder.

    Args:
        given: As for :func:`build_callbacks`.
        save_dir: The run's folder.
    """
    built = []
    for index, one in enumerate(given):
        with at_key(f"trainer.logger[{index}]"):
            built.append(_build(one, loggers, Logger, {"save_dir": save_dir}))
    return built


def build_logger(kind: type, given: Any, save_dir: str | None) -> Logger:
    """Return one logger of a class.

    Args:
        kind: The class.
        given: An object of it, or a config whose ``type`` is the class.
        save_dir: Where it writes, if it is given no ``save_dir`` and takes one.
    """
    if isinstance(given, Mapping):
        given = {**given, "type": kind}
    defaults = {} if save_dir is None else {"save_dir": save_dir}
    return _build(given, loggers, Logger, defaults)  # type: ignore[no-any-return]


def build_profiler(given: Any, folder: str) -> Profiler:
    """Return the profiler.

    Args:
        given: ``simple``, ``advanced``, ``pytorch``, or as for :func:`build_callbacks`.
        folder: Where a profiler of these names writes what does not go into the log.
    """
    with at_key("trainer.profiler"):
        if isinstance(given, str) and given in _PROFILERS:
            writes_files = given == "pytorch"
            kind: Any = _PROFILERS[given]
            given = kind(dirpath=folder) if writes_files else kind()
        return _build(given, profilers, Profiler)  # type: ignore[no-any-return]


def _build(given: Any, module: Any, kind: type, defaults: Mapping[str, Any] | None = None) -> Any:
    """Build what is described, and check that it is of the kind."""
    if isinstance(given, str):
        given = {"type": given}
    if isinstance(given, Mapping):
        described = dict(given.items())
        if "class_path" in described:
            named = described.pop("class_path")
            arguments = dict(described.pop("init_args", None) or {})
            arguments |= described.pop("dict_kwargs", None) or {}
            if described:
                raise ConfigError(
                    f"beside class_path there may be init_args, not {', '.join(described)}"
                )
        else:
            named = described.pop("type", None)
            arguments = described
        cls = _find(named, module)
        given = _call(cls, arguments, defaults or {})
    if not isinstance(given, kind):
        hint = "MMEngine's hooks go into custom_hooks" if kind is Callback else None
        raise ConfigTypeError(
            f"must be a lightning.pytorch {kind.__name__}, got {given!r}", hint=hint
        )
    return given


def _find(named: Any, module: Any) -> Any:
    """Return the class of a short name of Lightning's, a registered name or a dotted path."""
    if not isinstance(named, str):
        if named is None:
            raise ConfigError("there is no type", hint="dict(type='EarlyStopping', ...)")
        return named
    if "." not in named:
        found = getattr(module, named, None) or HOOKS.get(named)
        if found is None:
            raise ConfigError(
                f"{module.__name__} has no {named}, and nothing is registered by that name",
                choices=nearest(named, module.__all__),
                hint="a class of your own: type='package.module.Class', or register it in HOOKS",
            )
        return found
    if named.startswith(_OLD_PACKAGE):
        named = named.replace(_OLD_PACKAGE, "lightning.pytorch.", 1)
    path, _, name = named.rpartition(".")
    try:
        return getattr(import_module(path), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"{named} cannot be imported: {error}",
            choices=nearest(name, getattr(module, "__all__", ())),
        ) from error


def _call(cls: Any, arguments: Mapping[str, Any], defaults: Mapping[str, Any]) -> Any:
    import inspect

    from mm2pl.mmengine.registry.build_functions import refused_arguments

    taken = inspect.signature(cls).parameters
    arguments = {key: value for key, value in defaults.items() if key in taken} | dict(arguments)
    try:
        return cls(**arguments)
    except TypeError as error:
        raise refused_arguments(error, cls, arguments) or error from None
