"""The old way to files, which ``file_client_args`` in configs still names."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mm2pl.errors import ConfigError, nearest
from mm2pl.mmengine.fileio.backends import (
    HTTPBackend,
    LmdbBackend,
    LocalBackend,
    MemcachedBackend,
    PetrelBackend,
)
from mm2pl.mmengine.fileio.backends.fsspec_backend import FsspecBackend
from mm2pl.mmengine.fileio.backends.registry_utils import (
    Backend,
    Prefixes,
    add_to_table,
    check_backend,
)
from mm2pl.mmengine.utils import is_filepath


def log_warning(message: str) -> None:
    """Log a warning, as MMEngine does where it raises none."""
    # Imported late: config files are read without torch, which logging needs.
    from mm2pl.mmengine.logging import print_log

    print_log(message, logger="current", level=logging.WARNING)


class HardDiskBackend(LocalBackend):
    """Old name of :class:`LocalBackend`."""

    def __init__(self) -> None:
        log_warning(
            '"HardDiskBackend" is the alias of "LocalBackend" and the former will be deprecated '
            "in future."
        )


class FileClient:
    """Deprecated in MMEngine: a backend, chosen by name or by prefix, with its methods.

    Clients made with the same arguments are one object.

    Args:
        backend: A name; goes before ``prefix``. The local disk if neither is given.
        prefix: Prefix of URIs.
        **kwargs: For the backend.

    Attributes:
        client: The backend.
    """

    _backends: dict[str, Any] = {
        "disk": HardDiskBackend,
        "memcached": MemcachedBackend,
        "lmdb": LmdbBackend,
        "petrel": PetrelBackend,
        "http": HTTPBackend,
    }
    _prefix_to_backends: dict[str, Any] = {
        "s3": FsspecBackend,
        "petrel": PetrelBackend,
        "http": HTTPBackend,
        "https": HTTPBackend,
    }
    _instances: dict[str, FileClient] = {}

    client: Any

    def __new__(
        cls, backend: str | None = None, prefix: str | None = None, **kwargs: Any
    ) -> FileClient:
        log_warning(
            '"FileClient" will be deprecated in future. Please use io functions in '
            "https://mmengine.readthedocs.io/en/latest/api/fileio.html#file-io"
        )
        if backend is None and prefix is None:
            backend = "disk"
        made_by = _look_up(cls._prefix_to_backends, "prefix", prefix)
        made_by = _look_up(cls._backends, "Backend", backend) or made_by
        key = ":".join([f"{backend}:{prefix}", *(f"{k}:{v}" for k, v in kwargs.items())])
        known = cls._instances.get(key)
        # A backend that was registered anew with ``force`` makes its clients anew.
        if known is None or type(known.client) is not made_by:
            known = cls._instances[key] = super().__new__(cls)
            known.client = made_by(**kwargs)
        return known

    def __getattr__(self, name: str) -> Any:
        if name == "client":  # asked for while unpickling, before there is one
            raise AttributeError(name)
        return getattr(self.client, name)

    @staticmethod
    def parse_uri_prefix(uri: str | Path) -> str | None:
        """Return the prefix of a URI, ``None`` for a local path."""
        return parse_prefix(uri) or None

    @classmethod
    def infer_client(
        cls, file_client_args: dict[str, Any] | None = None, uri: str | Path | None = None
    ) -> FileClient:
        """Return the client for ``file_client_args``, or else for a URI."""
        if file_client_args is not None:
            return cls(**file_client_args)
        if uri is None:
            raise AssertionError("one of file_client_args and uri is needed")
        return cls(prefix=cls.parse_uri_prefix(uri))

    @classmethod
    def register_backend(
        cls,
        name: str,
        backend: type[Any] | None = None,
        force: bool = False,
        prefixes: Prefixes = None,
    ) -> Callable[[Backend], Backend] | None:
        """Register a backend; without ``backend``, return a decorator that does.

        Arguments and errors are those of :func:`mmengine.fileio.register_backend`, except that a
        name or prefix that is taken raises ``KeyError``.
        """

        def register(backend_cls: Any) -> Any:
            check_backend(name, backend_cls)
            add_to_table(cls._backends, name, backend_cls, force, KeyError)
            add_to_table(cls._prefix_to_backends, prefixes, backend_cls, force, KeyError)
            return backend_cls

        if backend is None:
            return register
        register(backend)
        return None


def _look_up(table: dict[str, Any], what: str, name: str | None) -> Any:
    if name is not None and name not in table:
        raise ConfigError(
            f"{what} {name} is not supported. Currently supported ones are {list(table)}",
            key_path="file_client_args",
            choices=nearest(name, table),
        )
    return None if name is None else table[name]


def parse_prefix(uri: str | Path) -> str:
    """Return what says which storage a URI is in, such as ``s3``; ``""`` for a local path.

    Of ``cluster:s3://...`` (Petrel's form) that is ``s3``, of a chain such as
    ``simplecache::s3://...`` (fsspec's) it is the first.
    """
    if not is_filepath(uri):
        raise AssertionError(f"a path should be a str or Path, but got {type(uri)}")
    prefix, separator, _ = str(uri).partition("://")
    return prefix.split("::")[0].rpartition(":")[2] if separator else ""


def _warn(message: str) -> None:
    warnings.warn(message, DeprecationWarning, stacklevel=4)


def as_backend_args(client_args: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what ``file_client_args`` mean as ``backend_args``, which URIs need no prefix for."""
    if client_args is None:
        return None
    args = {key: value for key, value in client_args.items() if key != "prefix"}
    if args.get("backend") == "disk":
        args["backend"] = "local"
    return args or None


def check_client_args(
    file_client_args: Any, backend_args: Any, tell: Callable[[str], object] = _warn
) -> None:
    """Tell of the old ``file_client_args`` and refuse it beside ``backend_args``."""
    if file_client_args is None:
        return
    tell('"file_client_args" will be deprecated in future. Please use "backend_args" instead')
    if backend_args is not None:
        raise ConfigError(
            '"file_client_args" and "backend_args" cannot be set at the same time.',
            hint="remove file_client_args.",
        )
