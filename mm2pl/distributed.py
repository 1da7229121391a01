"""Several processes: the group that a launcher starts, and the wrapper around the model."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch.distributed as torch_dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mm2pl.errors import CheckpointError, ConfigError, ConfigKeyError, ConfigTypeError
from mm2pl.mmengine.device import get_device
from mm2pl.mmengine.dist import all_gather_object, init_dist, is_distributed
from mm2pl.mmengine.dist._gloo import wait_for_gloo
from mm2pl.mmengine.logging import MMLogger
from mm2pl.mmengine.model import convert_sync_batchnorm
from mm2pl.mmengine.model.wrappers import MMDistributedDataParallel, is_model_wrapper
from mm2pl.mmengine.registry import MODEL_WRAPPERS
from mm2pl.mmengine.registry.errors import at_key

# What a launcher gives to each process, and the command that does.
LAUNCHERS = {
    "pytorch": (("LOCAL_RANK", "RANK", "WORLD_SIZE"), "torchrun --nproc_per_node=2 ..."),
    "slurm": (("SLURM_PROCID", "SLURM_NTASKS", "SLURM_NODELIST"), "srun ..."),
    "mpi": (("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"), "mpirun -np 2 ..."),
}


def check_launcher(launcher: str) -> None:
    """Refuse a launcher that did not start this process.

    Args:
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.

    Raises:
        ConfigError: It did not (a ``KeyError`` too, as in MMEngine).
    """
    if launcher == "none" or is_distributed():
        return
    variables, command = LAUNCHERS[launcher]
    missing = [name for name in variables if name not in os.environ]
    if missing:
        raise ConfigKeyError(
            f"{launcher!r} did not start this process: {', '.join(missing)}"
            f" {'are' if len(missing) > 1 else 'is'} not set",
            key_path="launcher",
            hint=f"start it by `{command}`, or set launcher='none'",
        )


def start_group(launcher: str, dist_cfg: Mapping[str, Any] | None) -> None:
    """Make the default process group of a launched process, unless there is one already.

    Args:
        launcher: What started the process; ``none`` does nothing.
        dist_cfg: Arguments of :func:`~mmengine.dist.init_dist`: ``backend``, ``timeout`` ...

    Raises:
        ConfigError: There is no GPU for NCCL, or an argument is wrong.
    """
    if is_distributed():
        wait_for_gloo()
    if launcher == "none" or is_distributed():
        return
    settings = dict(dist_cfg or {})
    with at_key("dist_cfg"):
        if settings.get("backend", "nccl") == "nccl" and get_device() == "cpu":
            raise ConfigError(
                "the backend nccl needs CUDA, and there is no GPU here",
                key_path="backend",
                hint="env_cfg=dict(dist_cfg=dict(backend='gloo')) trains on CPUs",
            )
        init_dist(launcher, **settings)
    if torch_dist.get_backend() == "nccl":
        atexit.register(_end_group)  # NCCL complains about groups that are left open


def _end_group() -> None:
    if is_distributed():
        torch_dist.destroy_process_group()


@contextmanager
def together(deed: str) -> Iterator[None]:
    """Let an error of one process be one in all, which would wait for it elsewhere.

    Differs: in MMEngine the others wait, until the launcher or a timeout ends them.

    Args:
        deed: What is done here, after "could not".

    Raises:
        CheckpointError: It failed in another process only.
    """
    problem: Exception | None = None
    try:
        yield
    except Exception as error:
        problem = error
    told = None if problem is None else (type(problem).__name__, str(problem))
    told_by_all = all_gather_object(told)
    if problem is not None:
        raise problem
    for rank, other in enumerate(told_by_all):
        if other is not None:
            raise CheckpointError(
                f"process {rank} of {len(told_by_all)} could not {deed}: {': '.join(other)}",
                hint="all processes read the file: it must lie where all machines see it",
            )


def synchronize_norms(model: nn.Module, sync_bn: str | None, section: str = "") -> nn.Module:
    """Return the model with SyncBatchNorm in the place of BatchNorm, if asked for.

    Args:
        model: The model.
        sync_bn: ``torch`` or ``mmcv``: whose SyncBatchNorm; ``None`` leaves the model as it is.
        section: Where the key stands in the config; at its top level by default.

    Raises:
        ConfigError: An unknown ``sync_bn``.
    """
    if sync_bn is None:
        return model
    try:
        with at_key(section):
            return convert_sync_batchnorm(model, sync_bn)
    except ValueError:
        MMLogger.get_current_instance().error(
            f'cfg.sync_bn should be "torch" or "mmcv", but got {sync_bn}'
        )
        raise


def wrap(
    model: nn.Module,
    wrapper_cfg: Mapping[str, Any] | None,
    find_unused_parameters: bool = False,
    key_path: str = "model_wrapper_cfg",
) -> nn.Module:
    """Return the model in the wrapper that averages its gradients over the processes.

    Args:
        model: The model, on its device.
        wrapper_cfg: The wrapper's ``type`` (by default ``MMDistributedDataParallel``) and
            arguments; ``None`` for that type with ``broadcast_buffers=False``.
        find_unused_parameters: Where there is no ``wrapper_cfg``: look for parameters that a loss
            does not depend on.
        key_path: Where the config has it.

    Raises:
        ConfigError: The wrapper cannot be built.
    """
    if wrapper_cfg is None:
        return MMDistributedDataParallel(
            model,
            device_ids=_device_ids(model),
            broadcast_buffers=False,
            find_unused_parameters=find_unused_parameters,
        )
    cfg = {"type": "MMDistributedDataParallel", **wrapper_cfg}
    arguments: dict[str, Any] = {"module": model}
    with at_key(key_path):
        kind = MODEL_WRAPPERS.get(cfg["type"]) if isinstance(cfg["type"], str) else cfg["type"]
        if isinstance(kind, type) and issubclass(kind, DistributedDataParallel):
            arguments["device_ids"] = _device_ids(model)
        return MODEL_WRAPPERS.build(cfg, default_args=arguments)  # type: ignore[no-any-return]


def _device_ids(model: nn.Module) -> list[int] | None:
    """Return the GPU of this process. Differs: none on a CPU, where MMEngine's DDP fails."""
    parameter = next(model.parameters(), None)
    if parameter is None or parameter.device.type == "cpu":
        return None
    return [int(os.environ.get("LOCAL_RANK", parameter.device.index or 0))]


def without_wrapper(model: Any) -> Any:
    """Return the model proper."""
    return model.module if is_model_wrapper(model) else model


def check_wrapped(wrapper_cfg: Any) -> None:
    """Refuse a wrapper's config beside a model that is wrapped already."""
    if wrapper_cfg is not None:
        raise ConfigTypeError(
            "the model is wrapped already, so model_wrapper_cfg must be None",
            key_path="model_wrapper_cfg",
            hint="give the bare model, or leave model_wrapper_cfg out",
        )
