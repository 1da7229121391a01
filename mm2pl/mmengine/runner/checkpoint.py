"""Loading and saving of weights, under MMEngine's names."""

from __future__ import annotations

import io
import logging
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from torch import nn

from mm2pl import checkpoint as _checkpoint
from mm2pl.errors import CheckpointError, CheckpointNotFoundError
from mm2pl.mmengine.dist import get_dist_info
from mm2pl.mmengine.fileio import get_file_backend
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.model.wrappers import is_model_wrapper
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
_ZOO = "the model zoo's tables of names come with a later release of mm2pl"
_ZOO_HINT = "give the checkpoint's path or https:// address"

get_torchvision_models = unsupported("get_torchvision_models", _ZOO, _ZOO_HINT)
get_external_models = unsupported("get_external_models", _ZOO, _ZOO_HINT)
get_mmcls_models = unsupported("get_mmcls_models", _ZOO, _ZOO_HINT)
get_deprecated_model_names = unsupported("get_deprecated_model_names", _ZOO, _ZOO_HINT)


class _IncompatibleKeys(NamedTuple):
    missing_keys: list[str]
    unexpected_keys: list[str]


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
    _load_part(module, dict(state_dict), "", metadata, (missing, unexpected, wrong))
    # Counters of BatchNorm that old files do not have change nothing.
    missing = [key for key in missing if "num_batches_tracked" not in key]
    if unexpected:
        wrong.append(f"unexpected key in source state_dict: {', '.join(unexpected)}\n")
    if missing:
        wrong.append(f"missing keys in source state_dict: {', '.join(missing)}\n")
    if wrong and get_dist_info()[0] == 0:
        message = "\n".join(["The model and loaded state dict do not match exactly\n", *wrong])
        if strict:
            raise RuntimeError(message)
        print_log(message, logger=logger, level=logging.WARNING)


def _load_part(
    part: nn.Module,
    weights: dict[str, Any],
    prefix: str,
    metadata: Mapping[str, Any],
    problems: tuple[list[str], list[str], list[str]],
) -> None:
    """Load a module and its children; ``problems`` gathers missing, unexpected and wrong names."""
    if is_model_wrapper(part) or _is_tta(part):
        part = part.module  # type: ignore[assignment]
    part._load_from_state_dict(weights, prefix, metadata.get(prefix[:-1], {}), True, *problems)
    for name, child in part._modules.items():
        if child is not None:
            start = f"{prefix}{name}."
            # Not from the whole: the parent may have renamed what its children are to find.
            below = {key: value for key, value in weights.items() if key.startswith(start)}
            _load_part(child, below, start, metadata, problems)
    keys = _IncompatibleKeys(*problems[:2])
    for hook in part._load_state_dict_post_hooks.values():
        hook(part, keys)


def _is_tta(module: nn.Module) -> bool:
    from mm2pl.mmengine.model import BaseTTAModel

    return isinstance(module, BaseTTAModel)


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

        def register(function: _Loader) -> _Loader:
            for prefix in [prefixes] if isinstance(prefixes, str) else prefixes:
                if prefix in cls._schemes and not force:
                    raise KeyError(
                        f"{prefix} is already registered as a loader backend, add `force=True` if"
                        " you want to override it"
                    )
                cls._schemes[prefix] = function
            cls._schemes = dict(sorted(cls._schemes.items(), reverse=True))
            return function

        if loader is None:
            return register
        register(loader)
        return None

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
        filename = str(filename)
        loader = next(one for prefix, one in cls._schemes.items() if re.match(prefix, filename))
        kind = loader.__name__.removeprefix("load_from_")
        print_log(f"Loads checkpoint by {kind} backend from path: {filename}", logger=logger)
        return loader(filename, map_location)


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Load a local file."""
    filename = os.path.expanduser(filename)
    if not os.path.isfile(filename):
        raise CheckpointNotFoundError(f"{filename} can not be found.", hint="check the path")
    return _checkpoint.read(filename, map_location)


def load_from_fileio(filename: str, map_location: Any = None) -> Any:
    """Load a remote file through its file backend."""
    data = get_file_backend(filename).get(filename)
    return _checkpoint.read(io.BytesIO(data), map_location)


def load_from_zoo(filename: str, map_location: Any = None) -> Any:
    """Refuse a model zoo's short name, saying why."""
    return get_external_models()


CheckpointLoader.register_scheme("", load_from_local)
CheckpointLoader.register_scheme(
    [r"https?://", r"(\S+\:)?s3://", "gs://", "memory://"], load_from_fileio
)
CheckpointLoader.register_scheme(
    ["modelzoo://", "torchvision://", "open-mmlab://", "openmmlab://", "mmcls://"], load_from_zoo
)


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
    assert part, f"{prefix} is not in the pretrained model"
    return part


def _load_checkpoint_to_model(
    model: nn.Module,
    checkpoint: Any,
    strict: bool = False,
    logger: Any = None,
    revise_keys: _ReviseKeys = _STRIP_MODULE,
) -> Any:
    weights = checkpoint.get("state_dict", checkpoint)
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
    destination._metadata[prefix[:-1]] = {"version": module._version}
    module._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in module._modules.items():
        if child is not None:
            get_state_dict(child, destination, f"{prefix}{name}.", keep_vars)
    for hook in module._state_dict_hooks.values():
        replaced = hook(module, destination, prefix, {})
        if replaced is not None:
            destination = replaced
    return destination


def save_checkpoint(
    checkpoint: Mapping[str, Any],
    filename: str,
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
        print_log(
            '"file_client_args" will be deprecated in future. Please use "backend_args" instead',
            logger="current",
            level=logging.WARNING,
        )
        if backend_args is not None:
            raise ValueError(
                '"file_client_args" and "backend_args" cannot be set at the same time.'
            )
    _checkpoint.write(checkpoint, filename, backend_args or file_client_args)


def find_latest_checkpoint(path: str) -> str | None:
    """Return the newest checkpoint's path as ``last_checkpoint`` in a folder names it."""
    marker = os.path.join(path, "last_checkpoint")
    if not os.path.exists(marker):
        print_log("Did not find last_checkpoint to be resumed.")
        return None
    with open(marker) as file:
        return file.read().strip()
