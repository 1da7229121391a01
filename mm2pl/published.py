"""Published weights in safetensors files, which hold tensors and text, nothing that could run."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import IO, Any

import numpy as np
import torch

from mm2pl.errors import (
    BrokenCheckpointError,
    CheckpointError,
    MissingPackageError,
)

SUFFIX = ".safetensors"
_LENGTH = 8  # bytes before the header, which say how long that is
_TORCH_BEGINS = (b"PK\x03\x04", b"\x80")  # an archive, or a pickle
_ARRAYS = "biuf"  # kinds of NumPy's numbers
_OURS = "mm2pl"  # the entry that says what JSON could not


def is_one(source: str | os.PathLike[str] | IO[bytes], name: str) -> bool:
    """Whether to read a file as safetensors: by its content, and by its name if that is neither."""
    with peeking(source) as file:
        place = file.tell()
        head = file.read(_LENGTH + 1)
        size = file.seek(0, os.SEEK_END) - place
    if head.startswith(_TORCH_BEGINS):
        return False
    fits = int.from_bytes(head[:_LENGTH], "little") <= size - _LENGTH
    return name.endswith(SUFFIX) or (head[_LENGTH:] == b"{" and fits)


def read(
    source: str | os.PathLike[str] | IO[bytes], map_location: Any, name: str
) -> dict[str, Any]:
    """Return ``state_dict`` and ``meta`` of a safetensors file.

    Args:
        source: A local path, or an open binary file.
        map_location: As in :func:`torch.load`.
        name: What errors call it.

    Raises:
        CheckpointError: The file is broken, or the device is missing.
        MissingPackageError: The package ``safetensors`` is missing.
    """
    package = _package(name)
    try:
        if isinstance(source, (str, os.PathLike)):
            loaded = package.load_file(source)
        else:
            with peeking(source) as file:
                loaded = package.load(file.read())
        meta, versions = _decoded(_metadata(source))
    except (MemoryError, OSError):
        raise
    # The package has an error of its own; a stranger's metadata may be anything.
    except Exception as error:
        why = str(error).rpartition("deserializing")[2].removeprefix(" header").removeprefix(": ")
        raise BrokenCheckpointError(
            f"{name} is not a safetensors file, or is broken: {why}",
            hint="was it copied as a whole?",
        ) from error
    weights = OrderedDict(loaded)
    try:
        for key, weight in weights.items():
            weights[key] = _moved(weight, map_location)
    except (RuntimeError, AssertionError) as error:
        raise CheckpointError(
            f"{name} cannot be put on {map_location}: {error}", hint="give map_location='cpu'"
        ) from error
    weights._metadata = versions  # type: ignore[attr-defined]
    return {"meta": meta, "state_dict": weights}


def pack(weights: Mapping[str, Any], meta: Mapping[str, Any], name: str) -> tuple[bytes, list[str]]:
    """Return weights as the content of a safetensors file, and notes on what it cannot hold.

    Args:
        weights: The tensors by name.
        meta: Becomes text: strings as they are, and JSON.
        name: What errors call the file.

    Raises:
        CheckpointError: There is a tensor of a kind that the format has not.
        MissingPackageError: The package ``safetensors`` is missing.
    """
    package = _package(name)
    notes: list[str] = []
    tensors: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    twice = 0
    for key, value in weights.items():
        if not isinstance(value, torch.Tensor):
            notes.append(f"{key} is left out: it is a {type(value).__name__}, not a tensor")
            continue
        if value.layout != torch.strided or value.is_quantized:
            raise CheckpointError(f"{name} cannot hold {key}, a {value.layout} {value.dtype}")
        tensor = value.detach().cpu().contiguous()
        # The format refuses shared memory, and a name must not be missing for other readers.
        shared = tensor.numel() and tensor.untyped_storage().data_ptr() in seen
        seen.add(tensor.untyped_storage().data_ptr())
        twice += bool(shared)
        tensors[key] = tensor.clone() if shared else tensor
    if twice:
        notes.append(f"weights that share memory are written one by one: {twice}")
    metadata, left_out = _encoded(meta, getattr(weights, "_metadata", {}))
    notes += left_out
    try:
        return package.save(tensors, metadata), notes
    except KeyError as error:  # of its table of dtypes
        raise CheckpointError(f"{name} cannot hold tensors of {error.args[0]}") from error


def _package(name: str) -> ModuleType:
    try:
        import safetensors.torch
    except ImportError as error:
        raise MissingPackageError(
            f"{name} needs the package safetensors, which cannot be imported: {error}",
            hint="pip install 'mm2pl[safetensors]'",
        ) from error
    return safetensors.torch


@contextmanager
def peeking(source: str | os.PathLike[str] | IO[bytes]) -> Iterator[IO[bytes]]:
    """Give a file to read from; one that was open already is left where it was."""
    if isinstance(source, (str, os.PathLike)):
        with open(source, "rb") as file:
            yield file
    else:
        place = source.tell()
        yield source
        source.seek(place)


def _moved(weight: torch.Tensor, map_location: Any) -> torch.Tensor:
    """Put a tensor where ``torch.load`` would put one that was saved from the CPU."""
    if isinstance(map_location, Mapping):
        map_location = map_location.get("cpu")
    elif callable(map_location):
        storage = map_location(weight.untyped_storage(), "cpu")
        map_location = None if storage is None else storage.device
    return weight if map_location is None else weight.to(map_location)


# --------------------------------------------------------------------------- metadata


def _metadata(source: str | os.PathLike[str] | IO[bytes]) -> dict[str, str]:
    with peeking(source) as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        found = json.loads(file.read(length)).get("__metadata__")
    return found or {}


def _encoded(
    meta: Mapping[str, Any], versions: Mapping[str, Any]
) -> tuple[dict[str, str], list[str]]:
    """Return a file's text entries for ``meta``, and notes on what is not among them."""
    entries: dict[str, str] = {}
    notes: list[str] = []
    kinds: list[Any] = []
    as_json = []
    for key, value in meta.items():
        if isinstance(value, str):
            entries[str(key)] = value
            continue
        of_this: list[Any] = []
        try:
            entries[str(key)] = json.dumps(_plain(value, [str(key)], of_this), ensure_ascii=False)
        except _NotPlainError as error:
            notes.append(f"meta.{key} is left out: it holds a {error}")
            continue
        kinds += of_this
        as_json.append(str(key))
    modules = {key: value.get("version") for key, value in versions.items()}
    ours = json.dumps({"json": as_json, "kinds": kinds, "versions": modules})
    return {**entries, "format": "pt", _OURS: ours}, notes


def _decoded(entries: dict[str, str]) -> tuple[dict[str, Any], Any]:
    """Return ``meta``, and the metadata of the state dict, as they were."""
    ours = json.loads(entries.get(_OURS, "{}"))
    meta: dict[str, Any] = {k: v for k, v in entries.items() if k not in ("format", _OURS)}
    for key in ours.get("json", ()):
        meta[key] = json.loads(meta[key])
    # Those within others come after them.
    for path, kind in reversed(ours.get("kinds", ())):
        holder: Any = meta
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = _restored(holder[path[-1]], kind)
    versions = ours.get("versions", {})
    return meta, OrderedDict((name, {"version": number}) for name, number in versions.items())


class _NotPlainError(TypeError):
    """A value that has no form as text."""


def _plain(value: Any, path: list[Any], kinds: list[Any]) -> Any:
    """Return what JSON has for a value; ``kinds`` gathers what it was, with its path."""
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, np.generic):
        return _plain(value.item(), path, kinds)
    if isinstance(value, Mapping):
        if all(type(key) is str for key in value):
            return {key: _plain(inner, [*path, key], kinds) for key, inner in value.items()}
        kinds.append([path, "items"])
        value = [list(pair) for pair in value.items()]
    elif isinstance(value, tuple):
        kinds.append([path, "tuple"])
    elif isinstance(value, np.ndarray) and value.dtype.kind in _ARRAYS:
        kinds.append([path, str(value.dtype)])
        return value.tolist()
    elif not isinstance(value, list):
        raise _NotPlainError(type(value).__name__)
    return [_plain(inner, [*path, number], kinds) for number, inner in enumerate(value)]


def _restored(value: Any, kind: str) -> Any:
    if kind == "tuple":
        return tuple(value)
    if kind == "items":
        return dict(value)
    if np.dtype(kind).kind not in _ARRAYS:
        raise ValueError(f"arrays of {kind} are not written")
    return np.asarray(value, dtype=kind)
