"""Ranks, process groups and their devices; how distributed runs start."""

from __future__ import annotations

import datetime
import functools
import os
import subprocess
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
import torch.distributed as torch_dist
import torch.multiprocessing as mp
from torch import Tensor
from torch.distributed import ProcessGroup

from mm2pl.mmengine.device import (
    is_cuda_available,
    is_mlu_available,
    is_musa_available,
    is_npu_available,
)
from mm2pl.mmengine.dist._gloo import wait_for_gloo
from mm2pl.support import MARKERS, unsupported

P = ParamSpec("P")
R = TypeVar("R")

# The default group and the local one made within it: a later default group makes it void.
_local_group: tuple[ProcessGroup, ProcessGroup] | None = None

_COLOSSALAI = "mmengine.dist.init_dist(init_backend='colossalai')"
unsupported(
    _COLOSSALAI,
    "ColossalAI's launcher is not wrapped",
    "use init_backend='torch', or a Lightning strategy such as 'fsdp' or 'deepspeed'",
)


def is_distributed() -> bool:
    """Tell whether a default process group exists."""
    return torch_dist.is_available() and torch_dist.is_initialized()


def get_default_group() -> ProcessGroup | None:
    """Return the default process group; raise ``ValueError`` if there is none."""
    if not is_distributed():
        raise ValueError(
            "Default process group has not been initialized, please make sure to call init_dist."
        )
    return torch_dist.group.WORLD


def init_local_group(node_rank: int, num_gpus_per_node: int) -> None:
    """Make the group of the processes on this machine; every process calls this.

    Args:
        node_rank: Number of this machine.
        num_gpus_per_node: Number of processes on each machine.
    """
    global _local_group
    default = get_default_group()
    if default is None or (_local_group is not None and _local_group[0] is default):
        raise AssertionError("the local process group exists already")
    first = node_rank * num_gpus_per_node
    _local_group = (default, torch_dist.new_group(list(range(first, first + num_gpus_per_node))))


def get_local_group() -> ProcessGroup | None:
    """Return the group of the processes on this machine, ``None`` if not distributed.

    Raises:
        RuntimeError: ``init_local_group`` has not been called.
    """
    if not is_distributed():
        return None
    if _local_group is None or _local_group[0] is not get_default_group():
        raise RuntimeError(
            "Local process group is not created, please use `init_local_group` to setup local "
            "process group."
        )
    return _local_group[1]


def get_local_size() -> int:
    """Return the number of processes on this machine, 1 if not distributed."""
    return get_world_size(get_local_group())


def get_local_rank() -> int:
    """Return this process's rank on its machine, 0 if not distributed."""
    return get_rank(get_local_group())


def get_backend(group: ProcessGroup | None = None) -> str | None:
    """Return a group's backend in lower case, ``None`` if not distributed."""
    return torch_dist.get_backend(group) if is_distributed() else None


def get_world_size(group: ProcessGroup | None = None) -> int:
    """Return the number of processes in a group, 1 if not distributed."""
    return torch_dist.get_world_size(group) if is_distributed() else 1


def get_rank(group: ProcessGroup | None = None) -> int:
    """Return this process's rank in a group, 0 if not distributed."""
    return torch_dist.get_rank(group) if is_distributed() else 0


def get_dist_info(group: ProcessGroup | None = None) -> tuple[int, int]:
    """Return this process's rank in a group and the group's size, (0, 1) if not distributed."""
    return get_rank(group), get_world_size(group)


def is_main_process(group: ProcessGroup | None = None) -> bool:
    """Tell whether this process is a group's rank 0."""
    return get_rank(group) == 0


def master_only(func: Callable[P, R]) -> Callable[P, R | None]:
    """Decorate a function to run in the main process alone and return ``None`` elsewhere."""

    @functools.wraps(func)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R | None:
        return func(*args, **kwargs) if is_main_process() else None

    return wrapper


def barrier(group: ProcessGroup | None = None) -> None:
    """Wait until all processes of a group are here."""
    if is_distributed():
        torch_dist.barrier(group)


# Which environment variable tells which launcher, first match first.
_LAUNCHER_VARIABLES = {
    "WORLD_SIZE": "pytorch",
    "SLURM_NTASKS": "slurm",
    "OMPI_COMM_WORLD_LOCAL_RANK": "mpi",
}


def infer_launcher() -> str:
    """Return what launched this process, by its environment: pytorch, slurm, mpi or none."""
    found = (name for variable, name in _LAUNCHER_VARIABLES.items() if variable in os.environ)
    return next(found, "none")


def init_dist(
    launcher: str, backend: str = "nccl", init_backend: str = "torch", **kwargs: Any
) -> None:
    """Make the default process group.

    Args:
        launcher: ``"pytorch"``, ``"mpi"`` or ``"slurm"``.
        backend: Such as ``"nccl"`` or ``"gloo"``; on an NPU, MLU or MUSA device its own is used.
        init_backend: ``"torch"`` or ``"deepspeed"``.
        **kwargs: For ``init_process_group``; ``timeout`` is in seconds; ``port`` for slurm.

    Raises:
        ValueError: An unknown launcher or ``init_backend``.
        TypeError: ``timeout`` is not a number.

    Differs: works without CUDA too (with ``backend="gloo"``); the process waits at its exit until
    gloo's threads are at rest, which else abort it now and then.
    """
    if (timeout := kwargs.get("timeout")) is not None:
        try:
            kwargs["timeout"] = datetime.timedelta(seconds=timeout)
        except TypeError as error:
            raise TypeError(
                f"timeout is a number of seconds, but got {timeout!r} of {type(timeout)}; write "
                "dist_cfg=dict(backend='nccl', timeout=1800)"
            ) from error
    if launcher not in _LAUNCHERS:
        raise ValueError(f"Invalid launcher type: {launcher}")
    if mp.get_start_method(allow_none=True) is None:
        mp.set_start_method("spawn")
    local_rank = _LAUNCHERS[launcher](kwargs)
    wait_for_gloo()
    _init_process_group(backend, init_backend, local_rank, kwargs)


def _prepare_pytorch(kwargs: dict[str, Any]) -> int:
    return int(os.environ["LOCAL_RANK"])


def _prepare_mpi(kwargs: dict[str, Any]) -> int:
    environ = os.environ
    environ.setdefault("MASTER_PORT", "29500")
    if "MASTER_ADDR" not in environ:
        raise KeyError("The environment variable MASTER_ADDR is not set")
    environ["WORLD_SIZE"] = environ["OMPI_COMM_WORLD_SIZE"]
    environ["RANK"] = environ["OMPI_COMM_WORLD_RANK"]
    return int(environ["OMPI_COMM_WORLD_LOCAL_RANK"])


def _prepare_slurm(kwargs: dict[str, Any]) -> int:
    environ = os.environ
    rank = int(environ["SLURM_PROCID"])
    local_rank = environ.get("SLURM_LOCALID", rank % max(1, torch.cuda.device_count()))
    if (port := kwargs.pop("port", None)) is not None:
        environ["MASTER_PORT"] = str(port)
    environ.setdefault("MASTER_PORT", "29500")
    if "MASTER_ADDR" not in environ:
        hosts = subprocess.run(
            ["scontrol", "show", "hostname", environ["SLURM_NODELIST"]],
            check=True,
            capture_output=True,
            text=True,
        )
        environ["MASTER_ADDR"] = hosts.stdout.split()[0]
    environ["WORLD_SIZE"] = environ["SLURM_NTASKS"]
    environ["LOCAL_RANK"] = str(local_rank)
    environ["RANK"] = str(rank)
    return int(local_rank)


_LAUNCHERS: dict[str, Callable[[dict[str, Any]], int]] = {
    "pytorch": _prepare_pytorch,
    "mpi": _prepare_mpi,
    "slurm": _prepare_slurm,
}

# Devices with a backend of their own, in MMEngine's order of preference.
_OWN_BACKENDS = (
    ("mlu", "cncl", is_mlu_available),
    ("npu", "hccl", is_npu_available),
    ("musa", "mccl", is_musa_available),
)


def _init_process_group(
    backend: str, init_backend: str, local_rank: int, kwargs: dict[str, Any]
) -> None:
    if init_backend == "colossalai":
        raise MARKERS[_COLOSSALAI].error()
    if init_backend not in ("torch", "deepspeed"):
        raise ValueError(
            f'supported "init_backend" is "torch" or "deepspeed", but got {init_backend}'
        )
    if backend == "smddp":
        import_module("smdistributed.dataparallel.torch.torch_smddp")
    for device, own_backend, available in _OWN_BACKENDS:
        if available():
            getattr(torch, device).set_device(local_rank)
            torch_dist.init_process_group(backend=own_backend, **kwargs)
            return
    if is_cuda_available():
        torch.cuda.set_device(local_rank)
    if init_backend == "deepspeed":
        import_module("deepspeed").init_distributed(dist_backend=backend, **kwargs)
    else:
        torch_dist.init_process_group(backend=backend, **kwargs)


_BACKEND_DEVICES = {
    "nccl": "cuda",
    "smddp": "cuda",
    "hccl": "npu",
    "cncl": "mlu",
    "mccl": "musa",
}


def get_comm_device(group: ProcessGroup | None = None) -> torch.device:
    """Return the device that a group's messages must be on; CPU for gloo and mpi."""
    device = _BACKEND_DEVICES.get(get_backend(group) or "")
    if device is None:
        return torch.device("cpu")
    return torch.device(device, getattr(torch, device).current_device())


def get_data_device(data: Tensor | Mapping[Any, Any] | Iterable[Any]) -> torch.device:
    """Return the device of a tensor, or that of all tensors in nested sequences and dicts.

    Raises:
        ValueError: There are several devices, or no tensors.
        TypeError: There is something else than tensors.
    """
    if isinstance(data, Tensor):
        return data.device
    if isinstance(data, str) or not isinstance(data, Iterable):
        raise TypeError(f"data should be a Tensor, sequence of tensor or dict, but got {data}")
    found: torch.device | None = None
    for item in data.values() if isinstance(data, Mapping) else data:
        device = get_data_device(item)
        if found is not None and device != found:
            raise ValueError(
                f"device type in data should be consistent, but got {device} and {found}"
            )
        found = device
    if found is None:
        raise ValueError("data should not be empty.")
    return found


def cast_data_device(data: Any, device: torch.device, out: Any = None) -> Any:
    """Move a tensor, or all tensors in nested sequences and dicts, to a device.

    Args:
        data: What to move; containers keep their type.
        device: Where to.
        out: If given, of the same structure: its tensors receive the values in place.

    Raises:
        TypeError: There is something else than tensors, or ``out`` has another type.
        ValueError: ``data`` is empty, or ``out`` has another length.
    """
    if out is not None:
        if type(data) is not type(out):
            raise TypeError(
                "out should be the same type with data, but got data is "
                f"{type(data)} and out is {type(out)}"
            )
        if isinstance(out, set):
            raise TypeError("out should not be a set")
    if isinstance(data, Tensor):
        moved = data if data.device == device else data.to(device)
        if out is not None:
            out.copy_(moved)
        return moved
    if isinstance(data, (str, np.ndarray)) or not isinstance(data, Iterable):
        raise TypeError(f"data should be a Tensor, list of tensor or dict, but got {data}")
    return _cast_container(data, device, out)


def _cast_container(data: Any, device: torch.device, out: Any) -> Any:
    result: Any
    if isinstance(data, Mapping):
        if out is not None and len(data) != len(out):
            raise ValueError(
                f"length of data and out should be same, but got {len(data)} and {len(out)}"
            )
        result = {
            key: cast_data_device(value, device, None if out is None else out[key])
            for key, value in data.items()
        }
    elif out is None:
        result = [cast_data_device(value, device) for value in data]
    else:
        # MMEngine ignores what one of two sequences has more.
        result = [cast_data_device(v, device, o) for v, o in zip(data, out, strict=False)]
    if not result:
        raise ValueError("data should not be empty")
    kind: Any = type(data)
    return kind(result)
