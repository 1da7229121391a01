"""The Trainer of a run, and the door for Lightning code: ``trainer, module, data = build(cfg)``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import lightning.pytorch as pl

from mm2pl._lightning import NEVER, NullProfiler, skip_empty_results
from mm2pl.alias import install_as_mmengine
from mm2pl.mmengine.dist import is_distributed
from mm2pl.plan import Plan
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
        plan: Gives the number of epochs, and whether there are other processes; their group
            exists by now.
        callbacks: The hooks' callback first.
        root_dir: Where Lightning would write; nothing of its own does.
    """
    alone = plan.runtime.launcher == "none" or not is_distributed()
    trainer = pl.Trainer(
        accelerator="auto",
        devices=1,
        strategy="auto" if alone else WrappedModelStrategy(),
        max_epochs=plan.trainer_epochs,
        callbacks=callbacks,
        default_root_dir=root_dir,
        logger=False,
        # The CheckpointHook saves, LoggerHook logs, and the loops say when to validate.
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=any(isinstance(one, pl.callbacks.ProgressBar) for one in callbacks),
        log_every_n_steps=0,
        num_sanity_val_steps=0,
        check_val_every_n_epoch=None,
        val_check_interval=NEVER,
        use_distributed_sampler=False,
        # MMEngine predicts under no_grad; tensors of an inference mode cannot be trained on later.
        inference_mode=False,
        profiler=NullProfiler(),
    )
    skip_empty_results(trainer)
    return trainer
