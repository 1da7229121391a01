"""MemcachedBackend, which is not supported."""

from mm2pl.support import unsupported

MemcachedBackend = unsupported(
    "mmengine.fileio.MemcachedBackend",
    "its client library is SenseTime's own",
    "keep the files where fsspec reaches them and name them by URI, such as s3://bucket/file",
)
