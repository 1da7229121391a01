"""``--trainer.devices``: starts the processes that train together, and waits for them."""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from mm2pl.errors import Mm2plError

if TYPE_CHECKING:
    from mm2pl.mmengine.config import Config

_STOPPED = 128


def launch(cfg: Config, args: argparse.Namespace) -> int | None:
    """Start the processes that ``trainer.devices`` asks for, and wait for them.

    Each runs the same command; in these, the launcher is set and nothing is started.

    Args:
        cfg: The config, with the options merged.
        args: The parsed arguments, with ``command_line``, the command as it was given.

    Returns:
        The exit status of the first process that failed, 0 if none did; None if this process is to
        run by itself.

    Raises:
        Mm2plError: They do not find each other.
    """
    wanted = (cfg.get("trainer") or {}).get("devices")
    launcher = cfg.get("launcher") or "none"
    # The config that such a run has saved holds its launcher.
    unlaunched = launcher == "pytorch" and args.launcher is None and "RANK" not in os.environ
    if wanted in (None, "auto", 1, "1") or not (launcher == "none" or unlaunched):
        return None
    if "TORCHELASTIC_RUN_ID" in os.environ:
        _join(cfg)
        return None
    from mm2pl.translate import translate

    translate(cast("Any", cfg))  # what is wrong is said once, not by each process
    count = int(wanted)
    if count == -1:
        import torch

        count = torch.cuda.device_count()
    return _start(count, args.command_line) if count > 1 else None


def _join(cfg: Config) -> None:
    """Let this process, which torch's launcher has started, join the others."""
    import torch

    cfg["launcher"] = "pytorch"
    env = cfg.get("env_cfg") or {}
    backend = (env.get("dist_cfg") or {}).get("backend", "nccl")
    if backend == "nccl" and not torch.cuda.is_available():
        cfg["env_cfg"] = {**env, "dist_cfg": {**(env.get("dist_cfg") or {}), "backend": "gloo"}}


def _start(count: int, command_line: Sequence[str]) -> int:
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.run import parse_args, run

    own = ["--standalone", f"--nproc_per_node={count}", "-m", "mm2pl", *command_line]
    try:
        run(parse_args(own))  # type: ignore[no-untyped-call]
    except ChildFailedError as error:
        status = error.get_first_failure()[1].exitcode
        return status if status > 0 else _STOPPED - status
    except SignalException as stop:
        return _STOPPED + int(stop.sigval)
    except KeyboardInterrupt:
        return _STOPPED + int(signal.SIGINT)
    except (DistError, RendezvousError) as error:
        raise Mm2plError(
            f"the {count} processes cannot be started: {error}",
            key_path="trainer.devices",
            hint="torchrun --nproc_per_node=N -m mm2pl ... --launcher pytorch starts them too,"
            " where MASTER_PORT says",
        ) from error
    return 0
