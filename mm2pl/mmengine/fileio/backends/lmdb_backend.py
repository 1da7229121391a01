"""LmdbBackend, which is not supported."""

from mm2pl.support import unsupported

LmdbBackend = unsupported(
    "mmengine.fileio.LmdbBackend",
    "nothing that was counted uses it",
    "keep the files where fsspec reaches them and name them by URI, such as s3://bucket/file",
)
