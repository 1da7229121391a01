"""Loading and saving of weights, under MMEngine's names."""

from __future__ import annotations

import io
import logging
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import _IncompatibleKeys  # noqa: F401  MMEngine has it here

from mm2pl import checkpoint as _checkpoint
from mm2pl.background_writing import finish_all
from mm2pl.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    ConfigAssertionError,
    ConfigKeyError,
    Mm2plError,
    nearest,
)
from mm2pl.mmengine.dist import barrier, get_dist_info
from mm2pl.mmengine.fileio import FileClient, get_file_backend
from mm2pl.mmengine.fileio.file_client import check_client_args, log_warning
from mm2pl.mmengine.logging import _pickling, print_log
from mm2pl.mmengine.model.wrappers import is_model_wrapper
from mm2pl.mmengine.runner._model_zoo import (  # noqa: F401  MMEngine has all of them here
    DEFAULT_CACHE_DIR,
    ENV_MMENGINE_HOME,
    ENV_XDG_CACHE_HOME,
    _get_mmengine_home,
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)
from mm2pl.mmengine.runner._weights import load_part, with_table
from mm2pl.mmengine.utils import deprecated_function
from mm2pl.mmengine.utils.dl_utils import load_url
from mm2pl.support import unsupported

__all__ = [
    "CheckpointLoader",
    "find_latest_checkpoint",
    "get_deprecated_model_names",
    "get_external_models",
    "get_mmcls_models",
    "get_state_dict",
    "get_torchvision_models",
    "load_checkpoint",
    "load_state_dict",
    "save_checkpoint",
    "weights_to_cpu",
]

_Loader = Callable[..., Any]
_ReviseKeys = Sequence[tuple[str, str]]
_STRIP_MODULE: _ReviseKeys = ((r"^module\.", ""),)


def load_state_dict(
    module: nn.Module,
    state_dict: Mapping[str, Any],
    strict: bool = False,
    logger: logging.Logger | str | None = None,
) -> None:
    """Load weights and say what does not fit; shapes that differ are skipped unless ``strict``.

    Args:
        module: Takes the weights.
        state_dict: The weights by name.
        strict: Raise if anything is missing, left over or of another shape.
        logger: Where the mismatches are logged.

    Raises:
        RuntimeError: ``strict`` and something does not fit.
    """
    metadata = getattr(state_dict, "_metadata", None) or {}
    missing: list[str] = []
    unexpected: list[str] = []
    wrong: list[str] = []
    weights = OrderedDict(state_dict)
    weights._metadata = metadata  # type: ignore[attr-defined]  # as torch hands it to a module
    load_part(module, weights, "", metadata, (missing, unexpected, wrong))
    # Counters of BatchNorm that old files do not have change nothing.
    missing = [key for key in missing if "num_batches_tracked" not in key]
    if unexpected:
        wrong.append(f"unexpected key in source state_dict: {', '.join(unexpected)}\n")
    if missing:
        wrong.append(f"missing keys in source state_dict: {', '.join(missing)}\n")
    wrong = with_table(wrong)
    if wrong and get_dist_info()[0] == 0:
        message = "\n".join(["The model and loaded state dict do not match exactly\n", *wrong])
        if strict:
            raise RuntimeError(message)
        print_log(message, logger=logger, level=logging.WARNING)


class CheckpointLoader:
    """Finds the loader for a path by its prefix; longer prefixes come first."""

    _schemes: dict[str, _Loader] = {}

    @classmethod
    def register_scheme(
        cls, prefixes: str | Sequence[str], loader: _Loader | None = None, force: bool = False
    ) -> Any:
        """Register a loader for prefixes (regular expressions), directly or as a decorator.

        Raises:
            KeyError: A prefix is taken and ``force`` is False.
        """
        if loader is not None:
            return cls._register_scheme(prefixes, loader, force)

        def register(function: _Loader) -> _Loader:
            cls._register_scheme(prefixes, function, force)
            return function

        return register

    @classmethod
    def _register_scheme(
        cls, prefixes: str | Sequence[str], loader: _Loader, force: bool = False
    ) -> None:
        if not isinstance(prefixes, (str, list, tuple)):
            raise ConfigAssertionError(f"prefixes are a str, list or tuple, not {prefixes!r}")
        for prefix in [prefixes] if isinstance(prefixes, str) else prefixes:
            if prefix in cls._schemes and not force:
                raise KeyError(
                    f"{prefix} is already registered as a loader backend, add `force=True` if"
                    " you want to override it"
                )
            cls._schemes[prefix] = loader
        cls._schemes = dict(sorted(cls._schemes.items(), reverse=True))

    @classmethod
    def _get_checkpoint_loader(cls, path: str) -> _Loader:
        return next(loader for prefix, loader in cls._schemes.items() if re.match(prefix, path))

    @classmethod
    def load_checkpoint(
        cls, filename: str, map_location: Any = None, logger: Any = "current"
    ) -> Any:
        """Load a checkpoint by the loader that its prefix names.

        Args:
            filename: A path or URI.
            map_location: As in :func:`torch.load`.
            logger: Where it is said.
        """
        filename = os.fspath(filename)
        loader = cls._get_checkpoint_loader(filename)
        kind = getattr(loader, "__name__", repr(loader)).removeprefix("load_from_")
        print_log(f"Loads checkpoint by {kind} backend from path: {filename}", logger=logger)
        finish_all()
        return loader(filename, map_location)


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Load a local file."""
    filename = os.path.expanduser(filename)
    if os.path.isdir(filename):
        raise CheckpointNotFoundError(
            f"{filename} can not be loaded: it is a folder", hint="name a checkpoint in it"
        )
    if not os.path.isfile(filename):
        raise CheckpointNotFoundError(f"{filename} can not be found.", hint="check the path")
    return _checkpoint.read(filename, map_location)


def load_from_fileio(filename: str, map_location: Any = None) -> Any:
    """Load a remote file through its file backend. Only mm2pl has this."""
    try:
        backend = get_file_backend(filename)
    except KeyError as error:
        prefix = filename.partition("://")[0]
        known = [one.removesuffix("://") for one in CheckpointLoader._schemes]
        raise CheckpointNotFoundError(
            f"{filename} cannot be loaded: no loader or storage is called {prefix}://",
            choices=[f"{one}://" for one in nearest(prefix, known)],
            hint="add one with CheckpointLoader.register_scheme",
        ) from error
    return _checkpoint.read(_fetched(backend, filename), map_location, filename)


def _fetched(storage: Any, filename: str) -> io.BytesIO:
    try:
        return io.BytesIO(storage.get(filename))
    except FileNotFoundError as error:
        raise CheckpointNotFoundError(
            f"{filename} does not exist", hint="check the path"
        ) from error
    except Mm2plError:
        raise
    # The clients of storages have errors of their own.
    except Exception as error:
        raise CheckpointError(f"{filename} cannot be read: {error}") from error


def load_from_ceph(filename: str, map_location: Any = None, backend: str | None = None) -> Any:
    """Load a file from S3.

    Differs: through fsspec (the package s3fs); MMEngine uses SenseTime's client.

    Args:
        filename: The URI.
        map_location: As in :func:`torch.load`.
        backend: The file backend, if another than that of the prefix.
    """
    storage = get_file_backend(filename, backend_args={"backend": backend} if backend else None)
    return _checkpoint.read(_fetched(storage, filename), map_location, filename)


load_from_pavi = unsupported(
    "mmengine.runner.checkpoint.load_from_pavi",
    "PAVI is SenseTime's own storage",
    "download the file and give its path",
)


def load_from_http(
    filename: str,
    map_location: Any = None,
    model_dir: str | None = None,
    progress: bool = os.isatty(0),
) -> Any:
    """Load a file from the web, which is kept for later; rank 0 downloads it for all.

    Args:
        filename: The URL.
        map_location: As in :func:`torch.load`.
        model_dir: Where the file is kept, see :func:`load_url`.
        progress: Whether to show a progress bar.
    """
    rank = get_dist_info()[0]
    loaded = None
    try:
        if rank == 0:
            loaded = load_url(filename, model_dir, map_location, progress)
    finally:
        barrier()  # also where rank 0 failed, or the others would wait for it
    return load_url(filename, model_dir, map_location, progress) if rank else loaded


def load_from_torchvision(filename: str, map_location: Any = None) -> Any:
    """Load weights of torchvision by their name."""
    if filename.startswith("modelzoo://"):
        print_log(
            'The URL scheme of "modelzoo://" is deprecated, please use "torchvision://" instead',
            logger="current",
            level=logging.WARNING,
        )
    return load_from_http(_address(filename, get_torchvision_models()), map_location)


def load_from_openmmlab(filename: str, map_location: Any = None) -> Any:
    """Load weights of OpenMMLab's model zoo, or of one's own, by their name."""
    scheme, _, name = filename.partition("://")
    renamed = get_deprecated_model_names().get(name)
    if renamed is not None:
        print_log(
            f"{filename} is deprecated in favor of {scheme}://{renamed}",
            logger="current",
            level=logging.WARNING,
        )
    address = _address(f"{scheme}://{renamed or name}", get_external_models())
    if address.startswith(("http://", "https://")):
        return load_from_http(address, map_location)
    return load_from_local(os.path.join(_get_mmengine_home(), address), map_location)


def load_from_mmcls(filename: str, map_location: Any = None) -> Any:
    """Load the backbone of a model of MMClassification by its name."""
    address = _address(filename, get_mmcls_models())
    return _process_mmcls_checkpoint(load_from_http(address, map_location))


def _address(filename: str, models: Mapping[str, str | None]) -> str:
    scheme, _, name = filename.partition("://")
    if name not in models:
        raise ConfigKeyError(
            f"there is no model called {name!r} in {scheme}://", choices=nearest(name, models)
        )
    address = models[name]
    if address is None:
        raise CheckpointError(
            f"no weights are published for {filename}", choices=nearest(name, set(models) - {name})
        )
    return address


def _process_mmcls_checkpoint(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checkpoint with the backbone's weights alone, under the backbone's own names."""
    weights = checkpoint.get("state_dict", checkpoint)
    start = "backbone."
    backbone = {k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)}
    return {"state_dict": OrderedDict(backbone)}


_LOADERS: dict[_Loader, Sequence[str]] = {
    load_from_local: [""],
    # gs://, memory:// and the rest of what fsspec knows. Sorted backwards, this pattern comes
    # after those of all others but the local one.
    load_from_fileio: [r"(?:\w\S+)://"],
    load_from_ceph: [r"(\S+\:)?s3://", r"(\S+\:)?petrel://"],
    load_from_pavi: ["pavi://"],
    load_from_http: ["http://", "https://"],
    load_from_torchvision: ["modelzoo://", "torchvision://"],
    load_from_openmmlab: ["open-mmlab://", "openmmlab://"],
    load_from_mmcls: ["mmcls://"],
}
for _loader, _prefixes in _LOADERS.items():
    CheckpointLoader.register_scheme(_prefixes, _loader)


def _load_checkpoint(filename: str, map_location: Any = None, logger: Any = None) -> Any:
    return CheckpointLoader.load_checkpoint(filename, map_location, logger)


def _load_checkpoint_with_prefix(
    prefix: str, filename: str, map_location: Any = None
) -> dict[str, Any]:
    """Load the part of the weights whose names begin with ``prefix``, and strip it."""
    checkpoint = _load_checkpoint(filename, map_location=map_location)
    weights = checkpoint.get("state_dict", checkpoint)
    prefix = prefix if prefix.endswith(".") else f"{prefix}."
    part = {key[len(prefix) :]: value for key, value in weights.items() if key.startswith(prefix)}
    if not part:
        first = dict.fromkeys(key.partition(".")[0] for key in weights)
        raise ConfigAssertionError(
            f"{prefix} is not in the pretrained model {filename}, which has {', '.join(first)}",
            choices=nearest(prefix[:-1], first),
        )
    return part


def _load_checkpoint_to_model(
    model: nn.Module,
    checkpoint: Any,
    strict: bool = False,
    logger: Any = None,
    revise_keys: _ReviseKeys = _STRIP_MODULE,
) -> Any:
    weights = checkpoint.get("state_dict", checkpoint)
    if not isinstance(weights, Mapping) or not all(isinstance(key, str) for key in weights):
        raise CheckpointError("the checkpoint's weights are not tensors by their names")
    metadata = getattr(weights, "_metadata", OrderedDict())
    for pattern, replacement in revise_keys:
        weights = {re.sub(pattern, replacement, key): value for key, value in weights.items()}
    renamed: Any = OrderedDict(weights)
    renamed._metadata = metadata
    load_state_dict(model, renamed, strict, logger)
    return checkpoint


def load_checkpoint(
    model: nn.Module,
    filename: str,
    map_location: Any = None,
    strict: bool = False,
    logger: Any = None,
    revise_keys: _ReviseKeys = _STRIP_MODULE,
) -> Any:
    """Load weights from a path or URI into a model.

    Args:
        model: Takes the weights.
        filename: Where the checkpoint lies.
        map_location: As in :func:`torch.load`.
        strict: Raise where names or shapes differ.
        logger: Where mismatches are logged.
        revise_keys: ``(pattern, replacement)`` pairs applied to the names.

    Returns:
        The checkpoint.
    """
    checkpoint = _load_checkpoint(filename, map_location, logger)
    if not isinstance(checkpoint, dict):
        raise CheckpointError(f"No state_dict found in checkpoint file {filename}")
    return _load_checkpoint_to_model(model, checkpoint, strict, logger, revise_keys)


def weights_to_cpu(state_dict: Any) -> Any:
    """Return the weights on the CPU, with torch's metadata."""
    weights = _checkpoint.to_cpu(state_dict)
    weights._metadata = getattr(state_dict, "_metadata", OrderedDict())
    return weights


@deprecated_function(
    since="0.3.0",
    removed_in="0.5.0",
    instructions="use `nn.Module._save_to_state_dict`",
)
def _save_to_state_dict(
    module: nn.Module, destination: dict[str, Any], prefix: str, keep_vars: bool
) -> None:
    """Put a module's own weights into ``destination``."""
    nn.Module._save_to_state_dict(module, destination, prefix, keep_vars)


def get_state_dict(
    module: nn.Module, destination: Any = None, prefix: str = "", keep_vars: bool = False
) -> Any:
    """Return a module's weights, looking through model wrappers on any level.

    Args:
        module: The module.
        destination: The dict to fill.
        prefix: Put before each name.
        keep_vars: Whether to keep the tensors' graph.
    """
    if is_model_wrapper(module):
        module = module.module  # type: ignore[assignment]
    if destination is None:
        destination = OrderedDict()
        destination._metadata = OrderedDict()
    destination._metadata[prefix[:-1]] = metadata = {"version": module._version}
    module._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in module._modules.items():
        if child is not None:
            get_state_dict(child, destination, f"{prefix}{name}.", keep_vars)
    for hook in module._state_dict_hooks.values():
        replaced = hook(module, destination, prefix, metadata)
        if replaced is not None:
            destination = replaced
    return destination


def save_checkpoint(
    checkpoint: Mapping[str, Any],
    filename: str | Path,
    file_client_args: Any = None,
    backend_args: Any = None,
) -> None:
    """Write a checkpoint to a path or URI.

    Args:
        checkpoint: What to write.
        filename: Where to.
        file_client_args: Deprecated name of ``backend_args``.
        backend_args: Arguments of the file backend.
    """
    if file_client_args is not None:
        check_client_args(file_client_args, backend_args, log_warning)
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer, pickle_module=_pickling)
        FileClient.infer_client(file_client_args, filename).put(buffer.getvalue(), filename)
        return
    _checkpoint.write(checkpoint, str(filename), backend_args)


def find_latest_checkpoint(path: str) -> str | None:
    """Return the newest checkpoint's path as ``last_checkpoint`` in a folder names it."""
    finish_all()
    marker = os.path.join(path, "last_checkpoint")
    if not os.path.exists(marker):
        print_log("Did not find last_checkpoint to be resumed.")
        return None
    with open(marker, errors="replace") as file:
        return file.read().strip()
