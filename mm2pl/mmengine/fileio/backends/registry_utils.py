"""The registry of storage backends."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from mm2pl.errors import ConfigKeyError, nearest
from mm2pl.mmengine.fileio.backends.base import BaseStorageBackend
from mm2pl.mmengine.fileio.backends.fsspec_backend import FsspecBackend
from mm2pl.mmengine.fileio.backends.http_backend import HTTPBackend
from mm2pl.mmengine.fileio.backends.lmdb_backend import LmdbBackend
from mm2pl.mmengine.fileio.backends.local_backend import LocalBackend
from mm2pl.mmengine.fileio.backends.memcached_backend import MemcachedBackend
from mm2pl.mmengine.fileio.backends.petrel_backend import PetrelBackend

Backend = TypeVar("Backend", bound=type[BaseStorageBackend])
Prefixes = str | list[str] | tuple[str, ...] | None

backends: dict[str, Any] = {
    "local": LocalBackend,
    "memcached": MemcachedBackend,
    "lmdb": LmdbBackend,
    "petrel": PetrelBackend,
    "http": HTTPBackend,
    "fsspec": FsspecBackend,
}
# Prefixes that are not here are looked for in fsspec.
prefix_to_backends: dict[str, Any] = {
    "": LocalBackend,
    "petrel": PetrelBackend,
    "s3": FsspecBackend,
    "http": HTTPBackend,
    "https": HTTPBackend,
}


def check_backend(name: Any, backend: Any) -> None:
    """Raise ``TypeError`` unless these are a name and a class of backends."""
    if not isinstance(name, str):
        raise TypeError(f"the backend name should be a string, but got {type(name)}")
    if not inspect.isclass(backend):
        raise TypeError(f"backend should be a class, but got {type(backend)}")
    if not issubclass(backend, BaseStorageBackend):
        raise TypeError(f"backend {backend} is not a subclass of BaseStorageBackend")


def add_to_table(
    table: dict[str, Any], names: Prefixes, backend: Any, force: bool, error: type[Exception]
) -> None:
    """Enter a backend under some names; raise ``error`` if one is taken, unless ``force``."""
    if names is not None and not isinstance(names, (str, list, tuple)):
        raise AssertionError(f"prefixes should be a str, list or tuple, but got {type(names)}")
    for name in [names] if isinstance(names, str) else names or ():
        if name in table and not force:
            raise error(
                f'{name} is already registered as a storage backend, add "force=True" if you '
                "want to override it"
            )
        table[name] = backend


def register_backend(
    name: str,
    backend: type[BaseStorageBackend] | None = None,
    force: bool = False,
    prefixes: Prefixes = None,
) -> Callable[[Backend], Backend] | None:
    """Register a storage backend; without ``backend``, return a decorator that does.

    Args:
        name: What ``backend_args=dict(backend=...)`` names it by.
        backend: The class.
        force: Whether it may replace another.
        prefixes: Prefixes of URIs that it is for.

    Raises:
        TypeError: Not a name, or not a class of backends.
        ValueError: The name or a prefix is taken.
    """

    def register(cls: Any) -> Any:
        check_backend(name, cls)
        add_to_table(backends, name, cls, force, ValueError)
        add_to_table(prefix_to_backends, prefixes, cls, force, ValueError)
        return cls

    if backend is None:
        return register
    register(backend)
    return None


def find_backend(name: str) -> Any:
    """Return the backend registered under a name."""
    if name not in backends:
        raise ConfigKeyError(
            f"there is no storage backend {name!r}",
            key_path="backend_args.backend",
            choices=nearest(name, backends),
            hint=f"registered are: {', '.join(backends)}.",
        )
    return backends[name]


def find_backend_by_prefix(prefix: str) -> Any:
    """Return the backend for URIs with a prefix, such as ``s3``."""
    if prefix in prefix_to_backends:
        return prefix_to_backends[prefix]
    import fsspec

    known = fsspec.available_protocols()
    if prefix not in known:
        raise ConfigKeyError(
            f"there is no storage backend for {prefix}://",
            choices=nearest(prefix, [*prefix_to_backends, *known]),
            hint="add one with mmengine.fileio.register_backend(..., prefixes=...).",
        )
    return FsspecBackend
