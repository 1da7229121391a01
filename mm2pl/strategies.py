"""Lightning's strategy for several processes, with MMEngine's wrapper around the model."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.pytorch.strategies import DDPStrategy

from mm2pl.mmengine.device import get_device, is_cuda_available
from mm2pl.mmengine.dist import get_rank, get_world_size, is_distributed

_LOCAL_RANK = ("LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID")
_NODE_RANK = ("GROUP_RANK", "SLURM_NODEID")
_UNUSED = r"Expected to have finished reduction in the prior iteration"


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


def _own_device() -> torch.device:
    if is_cuda_available():
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device(get_device())
