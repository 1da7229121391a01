"""What a checkpoint holds, and how it is read without running code from it."""

from __future__ import annotations

import argparse
import codecs
import io
import logging
import os
import pickle
import re
import tarfile
import time
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import torch
from packaging.version import Version

from mm2pl import contents, damage, durable, published
from mm2pl._safe_globals import allowing
from mm2pl.errors import (
    BrokenCheckpointError,
    CheckpointError,
    CheckpointNotFoundError,
    MissingPackageError,
    Mm2plError,
    with_causes,
)
from mm2pl.mmengine import __version__ as mmengine_version
from mm2pl.mmengine.config import ConfigDict
from mm2pl.mmengine.fileio import LocalBackend, get_file_backend
from mm2pl.mmengine.logging import HistoryBuffer, _pickling, print_log
from mm2pl.mmengine.utils import apply_to

if TYPE_CHECKING:
    from mm2pl.runner import Runner

MapLocation = str | torch.device | Callable[..., Any] | dict[str, str] | None


class _OneCycle:
    """Stands for MMEngine's 1cycle schedule, whose state names one of these two functions."""

    @staticmethod
    def _annealing_cos() -> None:
        """Only the name is read."""

    @staticmethod
    def _annealing_linear() -> None:
        """Only the name is read."""


_METHODS_IN_FILES = {
    HistoryBuffer: ("min", "max", "mean", "current"),
    _OneCycle: ("_annealing_cos", "_annealing_linear"),
}


def _method_in_file(owner: Any, name: str) -> Any:
    """Stand in for ``getattr`` in MMEngine's files, which use it for these methods alone."""
    if isinstance(owner, type) and name in _METHODS_IN_FILES.get(owner, ()):
        return getattr(owner, name)
    raise pickle.UnpicklingError(f"getattr({owner!r}, {name!r}) is not allowed in a checkpoint")


def _allowed_globals() -> list[Any]:
    # NumPy 2 moved the module; files of either name it.
    names = ("numpy.core.multiarray", "numpy._core.multiarray")
    arrays = import_module(names[np.lib.NumpyVersion(np.__version__) >= "2.0.0"])
    kinds = [np.float64, np.float32, np.int64, np.int32, np.bool_, np.uint8, np.float16, np.int16]
    allowed: list[Any] = [
        (HistoryBuffer, "mmengine.logging.history_buffer.HistoryBuffer"),
        (ConfigDict, "mmengine.config.config.ConfigDict"),
        argparse.Namespace,  # hyperparameters in Lightning's files
        (_OneCycle, "mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler"),
        (_method_in_file, "builtins.getattr"),
        codecs.encode,  # of the bytes in arrays; torch allows these three itself from 2.5 on
        bytearray,
        complex,
        bytes,  # of empty arrays
        set,
        np.ndarray,
        np.dtype,
        *{type(np.dtype(kind)) for kind in (*kinds, np.str_, np.uint16, np.uint32, np.uint64)},
        *{type(np.dtype(kind)) for kind in (np.int8, np.complex64, np.complex128)},
    ]
    for name in names:
        allowed += [(getattr(arrays, it), f"{name}.{it}") for it in ("_reconstruct", "scalar")]
    return allowed


def allow_for_torch_load() -> None:
    """Let any ``torch.load`` of this process read what MMEngine's checkpoints hold, and no more.

    From 2.6 on torch refuses it; before, it refuses nothing.
    """
    if Version(torch.__version__) >= Version("2.6"):
        torch.serialization.add_safe_globals(_allowed_globals())


@contextmanager
def trusting(path: str | os.PathLike[str]) -> Iterator[None]:
    """Let one checkpoint run code when it is read within, as pickles do; a warning says so.

    Args:
        path: The file's path or URI, as it is given where it is loaded.
    """
    key = _key(path)
    _TRUSTED.append(key)
    try:
        yield
    finally:
        _TRUSTED.remove(key)


_TRUSTED: list[str] = []


def _key(path: str | os.PathLike[str]) -> str:
    text = os.fspath(path)
    return text if "://" in text else os.path.realpath(os.path.expanduser(text))


def read(
    source: str | os.PathLike[str] | IO[bytes],
    map_location: MapLocation = None,
    name: str | None = None,
) -> Any:
    """Read a checkpoint of torch's or a safetensors file, without running code from it.

    Args:
        source: A local path, or an open binary file.
        map_location: As in :func:`torch.load`.
        name: What errors call it, if that is not the path.

    Raises:
        CheckpointError: The file is missing, broken, or holds objects that are not allowed.
    """
    path = source if isinstance(source, (str, os.PathLike)) else None
    name = name or (str(path) if path else "the checkpoint")
    if path is not None and not Path(path).is_file():
        what = "is a folder, not a checkpoint" if Path(path).is_dir() else "does not exist"
        in_parts = Path(path, "meta.pt").is_file()  # of Lightning's FSDP and model parallel runs
        join = f"python -m lightning.pytorch.utilities.consolidate_checkpoint {name} makes one file"
        raise CheckpointNotFoundError(f"{name} {what}", hint=join if in_parts else "check the path")
    try:
        if published.is_one(source, name):
            return published.read(source, map_location, name)
        _check_sums(source)
        _refuse_script(source, name)
        if _key(name) in _TRUSTED:
            print_log(
                f"{name} is read with weights_only=False: it may run any code",
                logger="current",
                level=logging.WARNING,
            )
            return _torch_load(source, map_location, weights_only=False)
        _refuse_tar(source, name)
        with allowing(_allowed_globals()):
            return _torch_load(source, map_location, weights_only=True)
    except (MemoryError, torch.cuda.OutOfMemoryError, CheckpointError, MissingPackageError):
        raise
    # A damaged file makes the unpickler fail in any way.
    except Exception as error:
        raise _unreadable(name, error) from error


def _torch_load(
    source: str | os.PathLike[str] | IO[bytes], map_location: MapLocation, weights_only: bool
) -> Any:
    # By its name torch 2.13 takes a file for safetensors, whatever it is.
    named_so = isinstance(source, (str, os.PathLike)) and str(source).endswith(published.SUFFIX)
    with open(source, "rb") if named_so else nullcontext(source) as file:  # type: ignore[arg-type]
        return torch.load(file, map_location=map_location, weights_only=weights_only)


def _refuse_script(source: str | os.PathLike[str] | IO[bytes], name: str) -> None:
    # torch warns of such files in any case.
    with published.peeking(source) as file:
        names = zipfile.ZipFile(file).namelist() if zipfile.is_zipfile(file) else []
    if any(re.fullmatch("[^/]+/constants.pkl", one) for one in names):
        raise CheckpointError(
            f"{name} is a TorchScript program, not a checkpoint",
            hint="torch.jit.load(path).state_dict() has its weights",
        )


def _refuse_tar(source: str | os.PathLike[str] | IO[bytes], name: str) -> None:
    # torch before 2.6 runs code from such files in spite of weights_only (CVE-2025-32434).
    with published.peeking(source) as file:
        try:
            with tarfile.open(fileobj=file, mode="r:") as archive:
                members = archive.getnames()
        except tarfile.TarError:
            members = []
    if members:
        raise CheckpointError(
            f"{name} is a .tar file of torch before 0.1.10, which could run code",
            hint=_how_to_trust(name),
        )


def _how_to_trust(name: str) -> str:
    return (
        f"if you trust its author: --unsafe-load {name}, or in Python `with"
        f" mm2pl.checkpoint.trusting({name!r}):` around what loads it"
    )


def _unreadable(name: str, error: Exception) -> CheckpointError:
    """Return what to say of a file that torch could not read."""
    text = str(error)
    wanted = sorted(set(re.findall(r"GLOBAL ([\w.]+)(?= was not| whose)", text)))
    if "is not allowed in a checkpoint" in text:
        wanted = ["builtins.getattr"]
    if isinstance(error, pickle.UnpicklingError) and wanted:
        return CheckpointError(
            f"{name} holds objects that could run code: {', '.join(wanted)}",
            hint=_how_to_trust(name),
        )
    if "Attempting to deserialize object on" in text:
        return CheckpointError(
            f"{name} was saved on a device that this machine has not",
            hint="give map_location='cpu'",
        )
    if isinstance(error, (pickle.UnpicklingError, LookupError, TypeError, AssertionError)):
        return BrokenCheckpointError(
            f"{name} is not a checkpoint, or is broken", hint="was it copied as a whole?"
        )
    # torch goes on with advice over several sentences.
    return BrokenCheckpointError(f"{name} cannot be read: {text.split('. ')[0] or 'it is empty'}")


def _check_sums(source: str | os.PathLike[str] | IO[bytes]) -> None:
    """Compare a file's content with the sums in it, which torch writes and does not look at."""
    has_sums = getattr(torch.serialization, "get_crc32_options", lambda: True)()  # torch 2.6
    if not isinstance(source, (str, os.PathLike)):
        return
    if not zipfile.is_zipfile(source):
        with open(source, "rb") as file:
            if file.read(4) == b"PK\3\4":  # as such archives begin
                raise RuntimeError("its end is missing")
        return
    if not has_sums:
        return
    with zipfile.ZipFile(source) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise RuntimeError(f"its part {damaged} is damaged")


def refuse_stranger(loaded: Mapping[str, Any], model: torch.nn.Module, name: str) -> None:
    """Refuse a checkpoint that has none of the model's weights.

    Differs: MMEngine only warns, and goes on with the model as it was.
    """
    if any(map(may_rename, model.modules())):
        return
    weights = loaded.get("state_dict", loaded)
    own = [key.removeprefix("module.") for key in model.state_dict()]
    if own and not {str(key).removeprefix("module.") for key in weights} & set(own):
        found = ", ".join(map(str, list(weights)[:3])) or "nothing"
        raise CheckpointError(
            f"{name} has none of the model's weights; it holds {found}"
            f"{' ...' if len(weights) > 3 else ''}, the model has {', '.join(own[:3])} ...",
            hint=_how_to_rename(name, list(map(str, weights)), own),
        )


def _how_to_rename(path: str, names: list[str], own: list[str]) -> str:
    """Say which prefix, taken off or put on, makes the names of a file those of a model."""
    starts = {"strip": {one.partition(".")[0] for one in names}}
    starts["add"] = {one.partition(".")[0] for one in own}
    for way, (given, wanted) in {"strip": (names, own), "add": (own, names)}.items():
        for start in sorted(f"{one}." for one in starts[way]):
            if {one[len(start) :] for one in given if one.startswith(start)} & set(wanted):
                return f"mm2pl convert {path} NEW.pth --{way}-prefix {start}"
    return "is it a checkpoint of this model?"


def may_rename(part: torch.nn.Module) -> bool:
    """Whether a module has code of its own that may rename weights as they are loaded."""
    own = not type(part)._load_from_state_dict.__module__.startswith("torch.")
    return own or bool(part._load_state_dict_pre_hooks)


def refuse_partial(loaded: Mapping[str, Any], name: str, needs_optimizer: bool) -> None:
    """Refuse to go on from what does not hold a run.

    Differs: MMEngine resumes without a word what holds no optimizer, such as its best checkpoints,
    with a new one.
    """
    version = loaded.get(contents.LIGHTNING)
    if version is not None and "meta" not in loaded:
        raise CheckpointError(
            f"{name} is of Lightning {version}: its run cannot be resumed here", hint=damage.START
        )
    if contents.kind(loaded) == "mmcv":
        raise CheckpointError(
            f"{name} is of OpenMMLab 1.x: its run cannot be resumed here", hint=damage.START
        )
    absent = [key for key in ("meta", "message_hub") if key not in loaded]
    if absent:
        raise CheckpointError(
            f"{name} holds weights only, there is nothing to resume: no {' and no '.join(absent)}",
            hint=damage.START,
        )
    damage.refuse(loaded, name)
    if needs_optimizer and "optimizer" not in loaded:
        raise CheckpointError(
            f"{name} holds no optimizer, so its run cannot go on as it was",
            hint=f"{damage.START}; resume=dict(exact=False) goes on with a new one, as MMEngine"
            " does",
        )


def write(checkpoint: Mapping[str, Any], path: str, backend_args: Any = None) -> None:
    """Write a checkpoint to a path or URI; a local file is complete or absent.

    Args:
        checkpoint: What to write.
        path: Where to; folders are made.
        backend_args: Arguments of the file backend.

    Raises:
        CheckpointError: There is no space, or no permission; an older file stays as it was.
    """
    (_TAKES.get() or write_now)(checkpoint, path, backend_args)


def write_now(checkpoint: Mapping[str, Any], path: str, backend_args: Any = None) -> None:
    """Write a checkpoint as :func:`write` does, whoever takes charge of it there."""
    write_by(lambda file: torch.save(checkpoint, file, pickle_module=_pickling), path, backend_args)


_Take = Callable[[Mapping[str, Any], str, Any], None]
_TAKES: ContextVar[_Take | None] = ContextVar("mm2pl_takes_checkpoints", default=None)


@contextmanager
def handing_to(take: _Take) -> Iterator[None]:
    """Let ``take`` have what :func:`write` is given within, in this thread, instead."""
    token = _TAKES.set(take)
    try:
        yield
    finally:
        _TAKES.reset(token)


def write_by(save: Callable[[IO[bytes]], Any], path: str, backend_args: Any = None) -> None:
    """Write a file by the rules of :func:`write`; ``save`` puts its content into an open file."""
    if "://" in path or backend_args is not None:
        backend = get_file_backend(path, backend_args=backend_args)
        if not isinstance(backend, LocalBackend):
            buffer = io.BytesIO()
            save(buffer)
            try:
                backend.put(buffer.getvalue(), path)
            except Mm2plError:
                raise
            # The clients of storages have errors of their own.
            except Exception as error:
                raise CheckpointError(f"{path} cannot be written: {error}") from error
            return
    try:
        with durable.replacing(os.path.expanduser(path)) as file:
            save(file)
    except (OSError, RuntimeError) as error:
        # torch says that its writer failed; what the file said stands behind that.
        why = next((one for one in with_causes(error) if isinstance(one, OSError)), error)
        raise CheckpointError(
            f"{path} cannot be written: {getattr(why, 'strerror', None) or why}",
            hint="check free space, quota and permissions; older checkpoints are as they were",
        ) from error


def to_cpu(state: Any) -> Any:
    """Return a state with all tensors on the CPU."""
    return apply_to(state, lambda value: hasattr(value, "cpu"), lambda value: value.cpu())


def weights_of(model: torch.nn.Module) -> OrderedDict[str, Any]:
    """Return a model's weights on the CPU, with torch's metadata."""
    state = model.state_dict()
    weights = to_cpu(state)
    weights._metadata = getattr(state, "_metadata", OrderedDict())
    return weights  # type: ignore[no-any-return]


def collect(
    runner: Runner,
    *,
    meta: dict[str, Any],
    save_optimizer: bool = True,
    save_param_scheduler: bool = True,
) -> dict[str, Any]:
    """Gather what a checkpoint of this run holds, in MMEngine's layout.

    Args:
        runner: The run.
        meta: Goes into ``meta``, beside config, seed, names, time and version.
        save_optimizer: Whether to put in the optimizers' state.
        save_param_scheduler: Whether to put in the schedulers' state.
    """
    meta.update(
        cfg=runner.cfg.pretty_text,
        seed=runner.seed,
        experiment_name=runner.experiment_name,
        time=time.strftime("%Y%m%d_%H%M%S", time.localtime()),
        mmengine_version=mmengine_version,
    )
    metainfo = getattr(runner.train_dataloader.dataset, "metainfo", None)
    if metainfo is not None:
        meta.update(dataset_meta=metainfo)
    checkpoint = {
        "meta": meta,
        "state_dict": weights_of(runner.bare_model),
        "message_hub": to_cpu(runner.message_hub.state_dict()),
    }
    if save_optimizer:
        checkpoint["optimizer"] = to_cpu(runner.optim_wrapper.state_dict())
    if save_param_scheduler and runner.param_schedulers is None:
        runner.logger.warning(
            "`save_param_scheduler` is True but `self.param_schedulers` is None, so skip saving"
            " parameter schedulers"
        )
    elif save_param_scheduler:
        checkpoint["param_schedulers"] = scheduler_states(runner.param_schedulers)
        if runner._schedules_per_update:
            meta["schedule_per_update"] = True
    return checkpoint


def scheduler_states(schedulers: Any) -> Any:
    """Return the states of schedulers in a list, or in a dict of lists."""
    if isinstance(schedulers, dict):
        return {name: scheduler_states(one) for name, one in schedulers.items()}
    return [scheduler.state_dict() for scheduler in schedulers]


def load_scheduler_states(schedulers: Any, states: Any) -> None:
    """Give schedulers in a list, or in a dict of lists, their states back."""
    if isinstance(schedulers, dict):
        for name, one in schedulers.items():
            load_scheduler_states(one, states[name])
    else:
        for scheduler, state in zip(schedulers, states, strict=False):
            scheduler.load_state_dict(state)
