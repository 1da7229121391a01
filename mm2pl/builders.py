"""Builds the parts of a runner from their configs; built objects pass through."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from torch import nn

from mm2pl import distributed
from mm2pl.data import build_dataloader
from mm2pl.driving import overrides
from mm2pl.errors import (
    ConfigAssertionError,
    ConfigError,
    ConfigRuntimeError,
    ConfigTypeAssertionError,
    ConfigTypeError,
    ModelError,
)
from mm2pl.limits import limit_of, shortened
from mm2pl.metrics.torch_metric import is_torchmetric
from mm2pl.mmengine.evaluator import BaseMetric, Evaluator
from mm2pl.mmengine.logging import MessageHub, MMLogger
from mm2pl.mmengine.model import revert_sync_batchnorm
from mm2pl.mmengine.model.wrappers import is_model_wrapper
from mm2pl.mmengine.optim import OptimWrapper, _ParamScheduler
from mm2pl.mmengine.optim.scheduler._per_update import PER_UPDATE
from mm2pl.mmengine.registry import EVALUATOR, LOG_PROCESSORS, LOOPS, MODELS, VISUALIZERS
from mm2pl.mmengine.registry.errors import at_key, record
from mm2pl.mmengine.runner._eval_sets import build_loader, named
from mm2pl.mmengine.runner.base_loop import BaseLoop
from mm2pl.mmengine.runner.log_processor import LogProcessor
from mm2pl.mmengine.visualization import Visualizer
from mm2pl.optim import make_optim_wrapper, make_schedulers
from mm2pl.trainer import accumulated, check_loop
from mm2pl.translate.evaluators import is_evaluator

if TYPE_CHECKING:
    from mm2pl.runner import Runner


class RunnerBuilders:
    """The ``build_*`` methods of the runner."""

    build_dataloader = staticmethod(build_dataloader)

    def build_model(self, model: nn.Module | Mapping[str, Any]) -> nn.Module:
        """Return the model, built by the MODELS registry if it is a config."""
        if isinstance(model, nn.Module):
            return model
        if not isinstance(model, Mapping):
            raise ConfigTypeError(
                f"model must be a nn.Module or a dict, got {model!r}", key_path="model"
            )
        with at_key("model"):
            built = MODELS.build(model)
            if not isinstance(built, nn.Module):
                raise ModelError(f"the model is a {type(built).__name__}, not a torch.nn.Module")
        return built

    def wrap_model(self: Any, model_wrapper_cfg: Any, model: nn.Module) -> nn.Module:
        """Move the model to the Trainer's device, and wrap it if there are other processes.

        SyncBatchNorm becomes BatchNorm, as MMEngine does it on one process.
        """
        if is_model_wrapper(model):
            distributed.check_wrapped(model_wrapper_cfg)
            return model
        model = model.to(self.trainer.strategy.root_device)
        if self.distributed:
            model = distributed.synchronize_norms(model, self.cfg.get("sync_bn"))
            unused = self.cfg.get("find_unused_parameters", False)
            return distributed.wrap(model, model_wrapper_cfg, unused)
        self.logger.info(
            "Distributed training is not used, all SyncBatchNorm (SyncBN) layers in the model will"
            " be automatically reverted to BatchNormXd layers if they are used."
        )
        return revert_sync_batchnorm(model)

    def build_logger(
        self: Any, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any
    ) -> MMLogger:
        """Return the run's text logger, which writes to the terminal and ``log_file``."""
        settings: dict[str, Any] = {"name": self.experiment_name, "file_mode": "a", **kwargs}
        return MMLogger.get_instance(
            log_level=log_level,
            log_file=log_file or f"{self.log_dir}/{self.timestamp}.log",
            **settings,
        )

    def build_message_hub(self: Any, message_hub: dict[str, Any] | None = None) -> MessageHub:
        """Return the run's message hub."""
        if message_hub is not None and not isinstance(message_hub, dict):
            raise ConfigTypeError(f"message_hub must be a dict or None, got {message_hub!r}")
        return MessageHub.get_instance(**{"name": self.experiment_name, **(message_hub or {})})

    def build_visualizer(self: Any, visualizer: Any = None) -> Visualizer:
        """Return the run's visualizer; by default one that writes ``scalars.json``."""
        if isinstance(visualizer, Visualizer):
            return visualizer
        defaults = {"name": self.experiment_name, "save_dir": self.log_dir}
        if visualizer is None:
            return Visualizer.get_instance(vis_backends=[{"type": "LocalVisBackend"}], **defaults)
        if not isinstance(visualizer, Mapping):
            raise ConfigTypeError(
                f"visualizer must be a Visualizer, a dict or None, got {visualizer!r}",
                key_path="visualizer",
            )
        with at_key("visualizer"):
            cfg = {**defaults, **visualizer}
            _forget_visualizer(cfg)
            built: Visualizer = VISUALIZERS.build(cfg)
        built.__dict__[_OF_A_RUN] = True
        return built

    def build_log_processor(self, log_processor: Any) -> LogProcessor:
        """Return what formats the log."""
        if isinstance(log_processor, LogProcessor):
            return log_processor
        if not isinstance(log_processor, Mapping):
            raise ConfigTypeError(
                f"log_processor must be a LogProcessor or a dict, got {log_processor!r}",
                key_path="log_processor",
            )
        with at_key("log_processor"):
            return LOG_PROCESSORS.build({"type": "LogProcessor", **log_processor})  # type: ignore[no-any-return]

    def build_optim_wrapper(self: Any, optim_wrapper: Any) -> Any:
        """Return the optimizer wrapper, or the wrappers by name."""
        return make_optim_wrapper(self.model, optim_wrapper)

    def build_param_scheduler(self: Any, scheduler: Any) -> Any:
        """Return the schedulers in a list, or in a dict of lists by optimizer."""
        return make_schedulers(scheduler, self.optim_wrapper, self._scheduler_defaults())

    def _build_param_scheduler(
        self: Any, scheduler: Any, optim_wrapper: OptimWrapper
    ) -> list[_ParamScheduler]:
        """Return the schedulers of one optimizer in a list."""
        built: list[_ParamScheduler] = make_schedulers(
            scheduler, optim_wrapper, self._scheduler_defaults()
        )  # type: ignore[assignment]
        return built

    @property
    def _schedules_per_update(self: Any) -> bool:
        """Whether schedules that count iterations count updates of their optimizer instead."""
        return bool(self.plan.runtime.trainer.get("schedule_per_update"))

    def _scheduler_defaults(self: Any) -> dict[str, int]:
        defaults = {
            "epoch_length": len(self.train_dataloader),
            PER_UPDATE: self._schedules_per_update,
        }
        if isinstance(self._train_loop, BaseLoop):
            defaults |= {"max_epochs": self.max_epochs, "max_iters": self.max_iters}
        return defaults

    def _check_scheduler_cfg(self, param_scheduler: Any) -> None:
        """Refuse what cannot be a ``param_scheduler``.

        Raises:
            AssertionError: An entry of the list or dict is wrong.
            TypeError: It is no scheduler, dict or list.
        """
        if param_scheduler is None or isinstance(param_scheduler, _ParamScheduler):
            return
        listed = isinstance(param_scheduler, (list, tuple))
        if not listed and not isinstance(param_scheduler, Mapping):
            raise ConfigTypeError(
                f"must be a scheduler, a dict or a list, got {param_scheduler!r}",
                key_path="param_scheduler",
            )
        if listed and not any(isinstance(one, _ParamScheduler) for one in param_scheduler):
            wrong = [one for one in param_scheduler if "type" not in one]
        elif not listed and "type" not in param_scheduler:
            kinds = (Mapping, list, tuple, _ParamScheduler)
            wrong = [one for one in param_scheduler.values() if not isinstance(one, kinds)]
        else:
            wrong = []
        if wrong:
            raise ConfigAssertionError(
                f"{wrong[0]!r} describes no scheduler",
                key_path="param_scheduler",
                hint="for example dict(type='MultiStepLR', milestones=[8, 11])",
            )

    def build_evaluator(self, evaluator: Any) -> Evaluator:
        """Return the evaluator of a metric, a list of metrics, or ``dict(metrics=...)``.

        Metrics may be built already, torchmetrics' too.
        """
        if isinstance(evaluator, Evaluator):
            return evaluator
        if is_evaluator(evaluator):
            return EVALUATOR.build({"type": "Evaluator", **evaluator})  # type: ignore[no-any-return]
        lone = isinstance(evaluator, BaseMetric) or is_torchmetric(type(evaluator))
        if lone or isinstance(evaluator, (Mapping, list, tuple)):
            try:
                return Evaluator(evaluator)
            except Exception as error:
                record(error, evaluator, "")  # which of them
                raise
        if hasattr(evaluator, "process") and hasattr(evaluator, "evaluate"):
            return evaluator  # type: ignore[no-any-return]  # no Evaluator, but does what one does
        raise ConfigTypeAssertionError(
            f"an evaluator must be a dict, a list of dicts or an Evaluator, got {evaluator!r}"
        )

    def build_train_loop(self: Any, loop: Any) -> BaseLoop:
        """Return the training loop with its data."""
        built = _build_loop(self, loop, "train", lambda: {"dataloader": self._train_dataloader})
        check_loop(built, self.plan.runtime.trainer)
        steps = self.plan.runtime.trainer.get("max_steps")
        if steps is not None:
            built._max_iters = min(built._max_iters, steps * accumulated(self.plan.optim))  # type: ignore[attr-defined]
        return built

    def build_val_loop(self: Any, loop: Any) -> BaseLoop:
        """Return the validation loop with its data and evaluator."""
        built = _build_loop(
            self,
            loop,
            "val",
            lambda: {"dataloader": self._val_dataloader, "evaluator": self._val_evaluator},
        )
        return _checked(built, "val")

    def build_test_loop(self: Any, loop: Any) -> BaseLoop:
        """Return the test loop with its data and evaluator."""
        built = _build_loop(
            self,
            loop,
            "test",
            lambda: {"dataloader": self._test_dataloader, "evaluator": self._test_evaluator},
        )
        return _checked(built, "test")


# Marks the visualizers that a run made from its config.
_OF_A_RUN = "_of_a_run"


def _forget_visualizer(cfg: Mapping[str, Any]) -> None:
    """Close the visualizer of that name that an earlier run of this process has made.

    Differs: MMEngine takes it again, and writes into the earlier run's folder.
    """
    kind = cfg.get("type")
    kind = VISUALIZERS.get(kind) if isinstance(kind, str) else kind
    instances = getattr(kind, "_instance_dict", {})
    earlier = instances.get(cfg["name"])
    if isinstance(earlier, Visualizer) and hasattr(earlier, _OF_A_RUN):
        earlier.close()
        del instances[cfg["name"]]


def _build_loop(
    runner: Runner, loop: Any, stage: str, arguments: Callable[[], dict[str, Any]]
) -> BaseLoop:
    if isinstance(loop, BaseLoop):
        return loop
    if not isinstance(loop, Mapping):
        raise ConfigTypeError(f"must be a dict or a loop, got {loop!r}", key_path=f"{stage}_cfg")
    cfg = copy.deepcopy(dict(loop))
    if "type" in cfg and "by_epoch" in cfg:
        raise ConfigRuntimeError(
            "only one of 'type' and 'by_epoch' may be given", key_path=f"{stage}_cfg"
        )
    if stage == "train" and "by_epoch" in cfg:
        cfg["type"] = "EpochBasedTrainLoop" if cfg.pop("by_epoch") else "IterBasedTrainLoop"
    cfg.setdefault(
        "type", {"train": "EpochBasedTrainLoop", "val": "ValLoop", "test": "TestLoop"}[stage]
    )
    rest = _limit(runner, stage, arguments())
    with at_key(f"{stage}_cfg"):
        return LOOPS.build(cfg, default_args={"runner": runner, **rest})  # type: ignore[no-any-return]


def _checked(loop: BaseLoop, stage: str) -> BaseLoop:
    """Refuse several sets where a loop's own ``run`` goes through one."""
    if getattr(loop, "sets", None) and overrides(loop, "run"):
        raise ConfigError(
            f"{type(loop).__name__} runs by itself, through one dataloader",
            key_path=f"{stage}_dataloader",
            hint="leave its run() to the base class, or join the data in a ConcatDataset",
        )
    return loop


def _limit(runner: Runner, stage: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Give the loop a loader that ends early, if the Trainer's arguments ask for it."""
    limit = limit_of(stage, runner.plan.runtime.trainer)
    loader = arguments["dataloader"]
    if limit is None or loader is None:
        return arguments
    key = f"{stage}_dataloader"
    if not isinstance(loader, (list, tuple)):
        return {**arguments, "dataloader": _shortened(runner, stage, loader, key, limit)}
    short: list[Any] = []
    for index, given in enumerate(loader):
        name, section = named(given)
        one = _shortened(runner, stage, section, f"{key}[{index}]", limit)
        short.append(one if name is None else {"name": name, "dataloader": one})
    return {**arguments, "dataloader": short}


def _shortened(
    runner: Runner, stage: str, loader: Any, key: str, limit: tuple[str, int | float]
) -> Any:
    if isinstance(loader, Mapping):
        with at_key(key, whole=True):
            loader = build_loader(runner, loader)
    name, amount = limit
    same = name == "overfit_batches"
    train = runner.plan.train
    endless = same and stage == "train" and train is not None and "max_iters" in train.loop
    return shortened(loader, amount, name, same=same, endless=endless)
