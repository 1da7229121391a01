"""The Trainer of a run, and the door for Lightning code: ``trainer, module, data = build(cfg)``."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger

from mm2pl._lightning import NEVER, NullProfiler, skip_empty_results
from mm2pl._lightning_loops import use_lean_loops
from mm2pl.alias import install_as_mmengine
from mm2pl.checkpoint_io import MMCheckpointIO
from mm2pl.driving import Driver, driver_of
from mm2pl.errors import ConfigError
from mm2pl.loggers import feed
from mm2pl.mmengine.device import is_cuda_available
from mm2pl.mmengine.dist import is_distributed
from mm2pl.natives import build_callbacks, build_loggers, build_profiler
from mm2pl.plan import OptimPlan, Plan, RuntimePlan
from mm2pl.strategies import WrappedModelStrategy

if TYPE_CHECKING:
    from mm2pl.data import RunnerDataModule
    from mm2pl.module import RunnerModule
    from mm2pl.runner import Runner


class Built(NamedTuple):
    """What :func:`build` returns; ``trainer.fit(module, data)`` trains."""

    trainer: pl.Trainer
    module: RunnerModule
    data: RunnerDataModule
    runner: Runner


def build(config: Plan | Mapping[str, Any] | str | os.PathLike[str]) -> Built:
    """Build Lightning's objects from a plan, a config or a config file.

    Config files import code written against MMEngine, so ``import mmengine`` gives mm2pl's modules
    from here on.

    Args:
        config: A plan of :func:`~mm2pl.translate`, a config, or the path of one.

    Raises:
        ConfigError: All that is wrong with the config.
    """
    from mm2pl.mmengine.config import Config
    from mm2pl.mmengine.registry import RUNNERS
    from mm2pl.runner import Runner

    install_as_mmengine()
    if isinstance(config, (str, os.PathLike)):
        config = Config.fromfile(os.fspath(config))
    runner: Runner
    if isinstance(config, Plan):
        runner = RUNNERS.get(config.config.get("runner_type", "Runner")).from_plan(config)
    elif "runner_type" in config:
        runner = RUNNERS.build(config)
    else:
        runner = Runner.from_cfg(config)
    return Built(runner.trainer, runner.module, runner.datamodule, runner)


def make_trainer(plan: Plan, callbacks: list[pl.Callback], root_dir: str) -> pl.Trainer:
    """Make a Trainer that leaves to the hooks what MMEngine's hooks do.

    Args:
        plan: Gives the number of epochs, the Trainer's own settings, and whether there are other
            processes; their group exists by now.
        callbacks: The hooks' callback first.
        root_dir: Where Lightning would write; nothing of its own does.

    Raises:
        ConfigError: Lightning refuses one of the settings, or one cannot be built.
    """
    alone = plan.runtime.launcher == "none" or not is_distributed()
    settings = plan.runtime.trainer
    more = _more_callbacks(settings)
    if any(isinstance(one, pl.callbacks.ProgressBar) for one in more):
        callbacks = [one for one in callbacks if not isinstance(one, pl.callbacks.ProgressBar)]
    callbacks = [*callbacks, *more]
    arguments: dict[str, Any] = {
        "accelerator": settings.get("accelerator", "auto"),
        "devices": 1,
        "strategy": "auto" if alone else WrappedModelStrategy(),
        "max_epochs": plan.trainer_epochs,
        "callbacks": callbacks,
        "default_root_dir": root_dir,
        "logger": False,
        # The CheckpointHook saves, LoggerHook logs, and the loops say when to validate.
        "enable_checkpointing": any(isinstance(one, pl.callbacks.Checkpoint) for one in more),
        "enable_model_summary": False,
        "enable_progress_bar": any(isinstance(one, pl.callbacks.ProgressBar) for one in callbacks),
        "log_every_n_steps": log_interval(plan) if more else 0,
        "num_sanity_val_steps": settings.get("num_sanity_val_steps", 0),
        "check_val_every_n_epoch": None,
        "val_check_interval": NEVER,
        "use_distributed_sampler": False,
        # MMEngine predicts under no_grad; tensors of an inference mode cannot be trained on later.
        "inference_mode": False,
        "profiler": NullProfiler(),
        **{key: settings[key] for key in _AS_THEY_ARE if key in settings},
    }
    profiled = "profiler" in settings
    if profiled:
        arguments["profiler"] = build_profiler(settings["profiler"], root_dir)
    try:
        trainer = pl.Trainer(**arguments)
    except MisconfigurationException as error:
        place = "trainer.accelerator" if "accelerator" in settings else "trainer"
        raise ConfigError(str(error), key_path=place) from error
    trial = settings.get("fast_dev_run")
    if trial:
        # Only told to callbacks, which then save and stop nothing: the loops are limited already.
        trainer.fast_dev_run = True if trial == 1 else trial  # type: ignore[attr-defined]
    skip_empty_results(trainer)
    if not profiled:
        use_lean_loops(trainer)
    trainer.strategy.checkpoint_io = MMCheckpointIO()
    return trainer


_AS_THEY_ARE = ("max_time", "detect_anomaly", "deterministic")
_NEED_LIGHTNINGS_LOOP = ("max_steps", "max_time", "num_sanity_val_steps")


def _more_callbacks(settings: Mapping[str, Any]) -> list[pl.Callback]:
    """Return Lightning's own callbacks that were asked for."""
    more = build_callbacks(settings.get("callbacks", ()))
    summed_up = any(isinstance(one, pl.callbacks.ModelSummary) for one in more)
    if settings.get("enable_model_summary") and not summed_up:
        more.append(pl.callbacks.ModelSummary(max_depth=2))  # the module's only child is the model
    return more


def log_interval(plan: Plan) -> int:
    """Return how often the LoggerHook writes: the pace of callbacks such as LearningRateMonitor."""
    hook = plan.hooks.default.get("logger")
    return int(hook.get("interval", 10)) if isinstance(hook, Mapping) else 10


def more_loggers(runner: Runner) -> list[Logger]:
    """Return Lightning's loggers that were asked for, fed by the run's visualizer.

    Args:
        runner: A runner with a visualizer and a log folder.
    """
    settings = runner.plan.runtime.trainer
    if "fast_dev_run" in settings or "logger" not in settings:
        return []
    loggers = build_loggers(settings["logger"], runner.log_dir)
    feed(runner.visualizer, loggers)
    if runner.cfg:
        for logger in loggers:
            logger.log_hyperparams(runner.cfg.to_dict())
    return loggers


def scratch_folder(owner: object) -> str | None:
    """Return a folder for a trial run, which goes with its owner; None for other runs.

    Args:
        owner: A runner with its plan.
    """
    if "fast_dev_run" not in owner.plan.runtime.trainer:  # type: ignore[attr-defined]
        return None
    folder = tempfile.mkdtemp(prefix="mm2pl_fast_dev_run_")
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return folder


def accumulated(optim: OptimPlan | None) -> int:
    """Return how many iterations an update of the optimizer takes."""
    wrapper = optim.wrapper if optim else None
    if isinstance(wrapper, Mapping):
        return int(wrapper.get("accumulative_counts", 1))
    return int(getattr(wrapper, "_accumulative_counts", 1))


def check_loop(loop: Any, settings: Mapping[str, Any]) -> None:
    """Refuse what cannot be kept where a training loop has a ``run`` of its own.

    Raises:
        ConfigError: An argument needs Lightning's loop.
    """
    given = [name for name in _NEED_LIGHTNINGS_LOOP if name in settings]
    if given and driver_of(loop) is Driver.ITSELF:
        raise ConfigError(
            f"{type(loop).__name__} runs by itself, so Lightning cannot keep this",
            key_path=f"trainer.{given[0]}",
            hint="a hook can set runner.train_loop.stop_training",
        )


def check_processes(runtime: RuntimePlan) -> None:
    """Refuse several devices where this process is alone, or another number than was launched.

    Raises:
        ConfigError: ``trainer.devices`` or ``trainer.num_nodes`` does not fit.
    """
    wanted = runtime.trainer.get("devices", "auto")
    if wanted == "auto":
        return
    nodes = int(runtime.trainer.get("num_nodes", 1))
    if runtime.launcher == "none":
        if wanted == -1:
            wanted = torch.cuda.device_count() if is_cuda_available() else 1
        if wanted > 1:
            raise ConfigError(
                f"{wanted} devices need {wanted} processes, and a script starts only one",
                key_path="trainer.devices",
                hint=f"torchrun --nproc_per_node={wanted} SCRIPT with launcher='pytorch', or"
                f" `mm2pl fit CONFIG --trainer.devices {wanted}`, which starts them",
            )
        return
    launched = int(os.environ.get("WORLD_SIZE", os.environ.get("SLURM_NTASKS", 0)))
    if launched and wanted != -1 and launched != wanted * nodes:
        raise ConfigError(
            f"{launched} processes were launched, not {wanted * nodes}",
            key_path="trainer.devices",
            hint="leave it out: the launcher says how many there are",
        )
