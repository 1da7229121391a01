"""The registry's errors, and where in the config the thing stands that could not be built."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from mm2pl.errors import ConfigError, ConfigKeyError, ConfigTypeError, Mm2plError
from mm2pl.libraries import NO_OPERATORS, how_to_get


class LookupFailedError(ConfigError, RuntimeError):
    """Importing an object by its dotted name failed (a ``RuntimeError`` too, as in MMEngine)."""


class ImportFailedError(ConfigError, ImportError):
    """Code that registers something cannot be imported."""


class ModuleMissingError(ImportFailedError, ModuleNotFoundError):
    """Code that registers something imports a module that is not installed."""


_MISSING = {
    "mmengine": "call mm2pl.install_as_mmengine() before what imports mmengine",
    "mmcv": "pip install mmcv-lite; for compiled operators, an mmcv built for the installed torch",
    "mmcv._ext": NO_OPERATORS,
    "cv2": "pip install opencv-python-headless",
}


def import_failed(what: str, wanted_for: str, error: ImportError) -> ImportFailedError:
    """Return the error for ``what``, imported for a registry, from what its import raised."""
    missing = isinstance(error, ModuleNotFoundError)
    kind = ModuleMissingError if missing else ImportFailedError
    failed = kind(
        f"{what} cannot be imported for {wanted_for}: {type(error).__name__}: {error}",
        hint=missing_package_hint(error.name) if missing else None,
    )
    failed.name, failed.path = error.name, error.path
    return failed


def missing_package_hint(module: str | None) -> str | None:
    """Return what to do about a module that is not installed."""
    if module is None:
        return None
    known = _MISSING.get(module) or how_to_get(module)
    return known or f"install the package that has {module}"


class AlreadyRegisteredError(ConfigKeyError):
    """A name is registered twice."""

    def __init__(self, name: str, held: Any, registry: str) -> None:
        super().__init__(
            f"{name} is already registered in {registry} at {getattr(held, '__module__', held)}",
            hint="register under another name, or with force=True to replace it",
        )


class BuildError(ConfigError):
    """A config cannot be built. Its key path is completed on the way out.

    Args:
        message: What is wrong.
        key: The key in the config that is being built.
        **kwargs: As in :class:`~mm2pl.errors.Mm2plError`.
    """

    def __init__(self, message: str, *, key: str = "type", **kwargs: Any) -> None:
        super().__init__(message, key_path=key, **kwargs)
        self.key = key


class UnknownTypeError(BuildError, ConfigKeyError):
    """``type`` is missing or names nothing that can be found."""


class WrongTypeError(BuildError, ConfigTypeError):
    """``type`` is nothing to build from, or does not take the arguments."""


@dataclass
class Trail:
    """Where a thing stands whose building failed; travels with the exception.

    Attributes:
        what: The thing, in words; may be empty.
        config: The outermost config in which it has been located so far.
        key: The key in the thing's own config that is at fault.
        owns_key_path: Whether the key path of the exception is ours to set.
        path: The key path of the thing within ``config``.
        is_whole: Whether ``path`` begins at the top of the config, so that nothing goes before it.
        is_running: Whether the run had begun: the thing was built, and failed when it was used.
    """

    what: str
    config: Any
    key: str
    owns_key_path: bool
    path: str = ""
    is_whole: bool = False
    is_running: bool = False

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions cross process borders, configs need not be able to.
        state = (self.key, self.owns_key_path, self.path, self.is_whole, self.is_running)
        return (Trail, (self.what, None, *state))

    @property
    def note(self) -> str:
        place = f"at {self.path}" if self.path else ""
        if not self.what:
            return f"In the config {place}"
        return f"While building {self.what} {place}".strip()


def record(error: Exception, config: Any, what: str) -> None:
    """Remember that building ``config`` raised ``error``, or locate an inner config in it."""
    trail = trail_of(error)
    if trail is None:
        _show(error, _new_trail(error, config, what))
        return
    key = _path_in(config, trail.config)
    if key is not None:
        trail.config = config
        _extend(error, trail, key)


@contextmanager
def at_key(key: str, file: str | None = None, *, whole: bool = False) -> Iterator[None]:
    """Say in the errors of what is built inside that its config stands at ``key`` (in ``file``).

    Args:
        key: The key within the config around it; empty if only ``file`` is to be said.
        file: The config's file.
        whole: The key is one of the config's top level: no outer key goes before it.

    Example:
        >>> with at_key("model", file=cfg.filename):
        ...     MODELS.build(cfg.model)
    """
    try:
        yield
    except Exception as error:
        if key:
            _locate(error, key, whole)
        if isinstance(error, Mm2plError) and error.file is None:
            error.file = file
        raise


def used_at(error: Exception, key: str) -> None:
    """Say in an error of the running model, data or metric that its config stands at ``key``.

    For use in an ``except`` clause: unlike :func:`at_key` it costs nothing in the steps that go
    well.
    """
    if trail_of(error) is None and getattr(error, "key_path", None) is None:
        _locate(error, key, True).is_running = True


def _locate(error: Exception, key: str, whole: bool) -> Trail:
    trail = trail_of(error) or _new_trail(error, None, "")
    trail.config = None
    if not trail.is_whole:
        _extend(error, trail, key)
        trail.is_whole = whole
    return trail


def add_note(error: Exception, note: str) -> None:
    """Add a note to an exception, which Python from 3.11 on shows below it."""
    if note not in _notes(error):
        _notes(error).append(note)


def _notes(error: Exception) -> list[str]:
    # Exception.add_note is new in 3.11; traceback reads this list.
    return cast("list[str]", error.__dict__.setdefault("__notes__", []))


def trail_of(error: BaseException) -> Trail | None:
    """Return where the thing stands that raised ``error``, None if nobody said."""
    return getattr(error, "_mm2pl_trail", None)


def _new_trail(error: Exception, config: Any, what: str) -> Trail:
    """Begin a trail. A key path that the error brings along counts from what is located around it,
    unless it is one in a file.
    """
    key = error.key_path or "" if isinstance(error, Mm2plError) else ""
    owns = isinstance(error, BuildError) or (
        isinstance(error, Mm2plError) and not (key and error.file)
    )
    trail = Trail(what, config, error.key if isinstance(error, BuildError) else key, owns)
    error._mm2pl_trail = trail  # type: ignore[attr-defined]
    return trail


def _extend(error: Exception, trail: Trail, key: str) -> None:
    old = trail.note
    trail.path = _joined(key, trail.path)
    _show(error, trail, old)


def _show(error: Exception, trail: Trail, old: str | None = None) -> None:
    if trail.owns_key_path and isinstance(error, Mm2plError):
        error.key_path = _joined(trail.path, trail.key) or None
    if isinstance(error, BuildError) or not (trail.what or not trail.owns_key_path):
        return  # the message says it all
    _notes(error)[:] = [note for note in _notes(error) if note != old]
    add_note(error, trail.note)


def _joined(*keys: str) -> str:
    return ".".join(key for key in keys if key)


def _path_in(outer: Any, inner: Any) -> str | None:
    """Return where ``inner`` stands in ``outer``: the object itself, else the one of its type."""
    if not isinstance(inner, dict) or outer is inner:
        return None
    places = list(_configs(outer))
    for path, config in places:
        if config is inner:
            return path
    kind = dict.get(inner, "type")
    same = [
        path for path, config in places if kind is not None and dict.get(config, "type") is kind
    ]
    return same[0] if len(same) == 1 else None


def _configs(value: Any, path: str = "") -> Iterator[tuple[str, dict[Any, Any]]]:
    """Yield every dict inside a config with its key path."""
    # dict.items: reading through a ConfigDict would import the lazy objects in it.
    items = dict.items(value) if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        if isinstance(item, dict | list | tuple):
            inner = _joined(path, str(key))
            if isinstance(item, dict):
                yield inner, item
            yield from _configs(item, inner)
