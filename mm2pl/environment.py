"""The process around a run: worker start method, open files, seeds, and the log's first lines."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from mm2pl.distributed import start_group
from mm2pl.mmengine.dist import broadcast
from mm2pl.mmengine.logging import MMLogger
from mm2pl.mmengine.utils.dl_utils import collect_env, set_multi_processing

_RULE = "-" * 60


class ProcessFacts:
    """What a runner and a strategy know of their process from the start."""

    _work_dir: str
    _log_dir: str
    _experiment_name: str
    _launcher: str
    _distributed: bool
    _seed: int
    _rank: int
    _world_size: int
    _timestamp: str

    @property
    def work_dir(self) -> str:
        """Where checkpoints lie."""
        return self._work_dir

    @property
    def log_dir(self) -> str:
        """Where this run's logs lie: ``work_dir/<timestamp>``."""
        return self._log_dir

    @property
    def experiment_name(self) -> str:
        """The experiment's name with the timestamp."""
        return self._experiment_name

    @property
    def launcher(self) -> str:
        """What launched the processes."""
        return self._launcher

    @property
    def distributed(self) -> bool:
        """Whether there was a launcher."""
        return self._distributed

    @property
    def seed(self) -> int:
        """The seed in use."""
        return self._seed

    @property
    def rank(self) -> int:
        """This process's rank."""
        return self._rank

    @property
    def world_size(self) -> int:
        """Number of processes."""
        return self._world_size

    @property
    def timestamp(self) -> str:
        """When the run began, as ``%Y%m%d_%H%M%S``, the same on all ranks."""
        return self._timestamp


def set_up_process(
    env: Mapping[str, Any],
    launcher: str = "none",
    start: Callable[[str, Mapping[str, Any] | None], None] = start_group,
) -> None:
    """Apply ``env_cfg`` to this process.

    Args:
        env: ``cudnn_benchmark``, ``mp_cfg`` (start method and OpenCV threads) and
            ``resource_limit`` (open files, default 4096), ``dist_cfg`` (backend of the group).
        launcher: What started this process and the others of its group.
        start: Makes the group, from the launcher and ``dist_cfg``.
    """
    if env.get("cudnn_benchmark"):
        torch.backends.cudnn.benchmark = True
    set_multi_processing(**(env.get("mp_cfg") or {}), distributed=launcher != "none")
    start(launcher, env.get("dist_cfg"))
    if platform.system() != "Windows":
        _raise_open_files(env.get("resource_limit", 4096))


def _raise_open_files(limit: int) -> None:
    # Many worker processes share tensors through file descriptors (pytorch issue 973).
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(limit, soft)
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def make_timestamp() -> str:
    """Return the run's timestamp, the same on all ranks."""
    now = torch.tensor(time.time(), dtype=torch.float64)
    broadcast(now)
    return time.strftime("%Y%m%d_%H%M%S", time.localtime(now.item()))


def unused_name(name: str) -> str:
    """Return the name, with a number if a run of this process has taken it.

    Differs: MMEngine's second run within a second goes on with the first one's log, message hub
    and visualizer.
    """
    number, unused = 1, name
    while MMLogger.check_instance_created(unused):
        number += 1
        unused = f"{name}_{number}"
    return unused


def describe(env: Mapping[str, Any], runtime: Mapping[str, Any]) -> str:
    """Return the block that opens a log: the system's and the run's settings.

    Args:
        env: ``env_cfg`` with the randomness settings.
        runtime: Further lines.
    """

    def lines(values: Mapping[str, Any]) -> str:
        return "".join(f"\n    {key}: {value}" for key, value in values.items())

    return (
        f"\n{_RULE}\nSystem environment:{lines(collect_env())}\n"
        f"\nRuntime environment:{lines({**env, **runtime})}\n{_RULE}\n"
    )


def take_up_seed(seed: int | None, randomness: dict[str, Any], logger: logging.Logger) -> bool:
    """Put a checkpoint's seed into the ``randomness`` settings; return whether it is another one.

    Args:
        seed: The checkpoint's seed, if it has one.
        randomness: The settings, whose ``seed`` is replaced.
        logger: Is told of a seed that differs from the settings'.
    """
    current = randomness.get("seed")
    if seed is None or seed == current:
        return False
    if current is not None:
        logger.warning(
            f'The value of random seed in the checkpoint "{seed}" is different from the value'
            f' in `randomness` config "{current}"'
        )
    randomness["seed"] = seed
    return True
