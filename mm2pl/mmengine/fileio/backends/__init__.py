"""Storage backends and their registry."""

from mm2pl.mmengine.fileio.backends.base import BaseStorageBackend
from mm2pl.mmengine.fileio.backends.fsspec_backend import FsspecBackend
from mm2pl.mmengine.fileio.backends.http_backend import HTTPBackend
from mm2pl.mmengine.fileio.backends.lmdb_backend import LmdbBackend
from mm2pl.mmengine.fileio.backends.local_backend import LocalBackend
from mm2pl.mmengine.fileio.backends.memcached_backend import MemcachedBackend
from mm2pl.mmengine.fileio.backends.petrel_backend import PetrelBackend
from mm2pl.mmengine.fileio.backends.registry_utils import (
    backends,
    prefix_to_backends,
    register_backend,
)

__all__ = [
    "BaseStorageBackend",
    "FsspecBackend",
    "HTTPBackend",
    "LmdbBackend",
    "LocalBackend",
    "MemcachedBackend",
    "PetrelBackend",
    "backends",
    "prefix_to_backends",
    "register_backend",
]
