"""Several processes: the group that a launcher starts, and DDP by MMEngine's wrappers."""

from __future__ import annotations

import atexit
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as torch_dist
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mm2pl.errors import ConfigError, ConfigKeyError, ConfigTypeError
from mm2pl.mmengine.device import get_device, is_cuda_available
from mm2pl.mmengine.dist import get_rank, get_world_size, init_dist, is_distributed
from mm2pl.mmengine.logging import MMLogger
from mm2pl.mmengine.model import convert_sync_batchnorm
from mm2pl.mmengine.model.wrappers import MMDistributedDataParallel, is_model_wrapper
from mm2pl.mmengine.registry import MODEL_WRAPPERS
from mm2pl.mmengine.registry.errors import at_key

# What a launcher gives to each process, and the command that does.
_LAUNCHERS = {
    "pytorch": (("LOCAL_RANK", "RANK", "WORLD_SIZE"), "torchrun --nproc_per_node=2 ..."),
    "slurm": (("SLURM_PROCID", "SLURM_NTASKS", "SLURM_NODELIST"), "srun ..."),
    "mpi": (("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK"), "mpirun -np 2 ..."),
}
_LOCAL_RANK = ("LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID")
_NODE_RANK = ("GROUP_RANK", "SLURM_NODEID")


def check_launcher(launcher: str) -> None:
    """Refuse a launcher that did not start this process.

    Args:
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.

    Raises:
        ConfigError: It did not (a ``KeyError`` too, as in MMEngine).
    """
    if launcher == "none" or is_distributed():
        return
    variables, command = _LAUNCHERS[launcher]
    missing = [name for name in variables if name not in os.environ]
    if missing:
        raise ConfigKeyError(
            f"{launcher!r} did not start this process: {', '.join(missing)} is not set",
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


def wrap(
    model: nn.Module,
    wrapper_cfg: Mapping[str, Any] | None,
    find_unused_parameters: bool = False,
    sync_bn: str | None = None,
) -> nn.Module:
    """Return the model in the wrapper that averages its gradients over the processes.

    Args:
        model: The model, on its device.
        wrapper_cfg: The wrapper's ``type`` (by default ``MMDistributedDataParallel``) and
            arguments; ``None`` for that type with ``broadcast_buffers=False``.
        find_unused_parameters: Where there is no ``wrapper_cfg``: look for parameters that a loss
            does not depend on.
        sync_bn: ``torch`` or ``mmcv``: whose SyncBatchNorm replaces BatchNorm.

    Raises:
        ConfigError: An unknown ``sync_bn``, or a wrapper that cannot be built.
    """
    if sync_bn is not None:
        try:
            with at_key("sync_bn", whole=True):
                model = convert_sync_batchnorm(model, sync_bn)
        except ValueError:
            MMLogger.get_current_instance().error(
                f'cfg.sync_bn should be "torch" or "mmcv", but got {sync_bn}'
            )
            raise
    if wrapper_cfg is None:
        return MMDistributedDataParallel(
            model,
            device_ids=_device_ids(model),
            broadcast_buffers=False,
            find_unused_parameters=find_unused_parameters,
        )
    cfg = {"type": "MMDistributedDataParallel", **wrapper_cfg}
    arguments: dict[str, Any] = {"module": model}
    with at_key("model_wrapper_cfg"):
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


class LaunchedEnvironment(ClusterEnvironment):
    """The processes of the default group, to Lightning: whoever launched them."""

    @property
    def creates_processes_externally(self) -> bool:
        """The launcher has started them."""
        return True

    @property
    def main_address(self) -> str:
        """Where rank 0 listens."""
        return os.environ.get("MASTER_ADDR", "127.0.0.1")

    @property
    def main_port(self) -> int:
        """The port at which rank 0 listens."""
        return int(os.environ.get("MASTER_PORT", "29500"))

    @staticmethod
    def detect() -> bool:
        """Whether there is a group."""
        return is_distributed()

    def world_size(self) -> int:
        """Number of processes."""
        return get_world_size()

    def set_world_size(self, size: int) -> None:
        """Nothing to set: the group knows."""

    def global_rank(self) -> int:
        """This process's rank."""
        return get_rank()

    def set_global_rank(self, rank: int) -> None:
        """Nothing to set: the group knows."""

    def local_rank(self) -> int:
        """This process's rank on its machine."""
        return _first_number(_LOCAL_RANK, get_rank())

    def node_rank(self) -> int:
        """The machine's rank."""
        return _first_number(_NODE_RANK, 0)


def _first_number(variables: tuple[str, ...], default: int) -> int:
    return next((int(os.environ[name]) for name in variables if name in os.environ), default)


class WrappedModelStrategy(DDPStrategy):
    """Lightning's DDP for a model that brings its own wrapper.

    MMEngine wraps the model when the runner is built, hooks read ``runner.model.module`` from then
    on, and a library's own wrapper may train in its own way; so the module that Lightning sees is
    not wrapped once more.
    """

    def __init__(self) -> None:
        super().__init__(
            parallel_devices=[_own_device()], cluster_environment=LaunchedEnvironment()
        )

    @property
    def root_device(self) -> torch.device:
        """The device of this process."""
        assert self.parallel_devices
        return self.parallel_devices[0]

    @property
    def distributed_sampler_kwargs(self) -> dict[str, Any]:
        """How many shares of the data there are, and which is this process's."""
        return {"num_replicas": self.world_size, "rank": self.global_rank}

    def setup_distributed(self) -> None:
        """Take the group as it is."""
        self.set_world_ranks()

    def configure_ddp(self) -> None:
        """Leave the model in the wrapper that it has."""

    @contextmanager
    def block_backward_sync(self) -> Iterator[None]:
        """Let gradients accumulate in each process by itself."""
        with self.lightning_module.model.no_sync():  # type: ignore[union-attr, operator]
            yield

    def on_exception(self, exception: BaseException) -> None:
        """Say of DDP's best-known error which key of the config ends it."""
        if not exception.args or not re.match(_UNUSED, str(exception.args[0])):
            return
        hint = "Hint: set find_unused_parameters=True in the config (or in model_wrapper_cfg)"
        exception.args = (f"{exception.args[0]}\n{hint}", *exception.args[1:])


_UNUSED = r"Expected to have finished reduction in the prior iteration"


def _own_device() -> torch.device:
    if is_cuda_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device(get_device())
