"""PetrelBackend, which is not supported."""

from mm2pl.support import unsupported

PetrelBackend = unsupported(
    "mmengine.fileio.PetrelBackend",
    "Petrel is a client of SenseTime's own storage",
    "keep the files where fsspec reaches them and name them by URI, such as s3://bucket/file",
)
