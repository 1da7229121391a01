"""``FlexibleRunner``: a strategy prepares model and optimizers when a run begins."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from torch import nn

from mm2pl.distributed import check_launcher
from mm2pl.errors import ConfigError, ConfigTypeError
from mm2pl.mmengine._strategy import BaseStrategy
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.dist import infer_launcher
from mm2pl.mmengine.logging import MMLogger
from mm2pl.mmengine.optim.scheduler._per_update import PER_UPDATE
from mm2pl.mmengine.registry import RUNNERS, STRATEGIES
from mm2pl.mmengine.registry._unknown import unknown_type
from mm2pl.mmengine.registry.errors import at_key
from mm2pl.natives import copied
from mm2pl.resume import exact
from mm2pl.runner import Runner, settings_from, stem_of
from mm2pl.translate import translate
from mm2pl.translate.strategies import FLEXIBLE

__all__ = ["FlexibleRunner"]


@RUNNERS.register_module()
class FlexibleRunner(Runner):
    """A :class:`Runner` that leaves processes, model and optimizers to a strategy.

    The arguments that :class:`Runner` has too mean the same. The model is built when a run begins,
    after the data, so random numbers fall otherwise than with :class:`Runner`.

    Differs: it is a subclass of :class:`Runner`; checkpoints are written and read by the runner,
    without the names of a wrapper; ``from_cfg`` does not forget ``compile``; and it trains after a
    validation too.

    Args:
        strategy: A strategy or its config; by default ``SingleDeviceStrategy``, or ``DDPStrategy``
            if there is a launcher.
        launcher: What launched the processes; ``None`` looks at the environment.
        resume: A path too: the checkpoint to go on from.
        compile: Whether to compile the training step, or arguments of ``torch.compile`` with
            ``target``, the method.
    """

    def __init__(
        self,
        model: nn.Module | dict[str, Any],
        *,
        work_dir: str = "work_dirs",
        experiment_name: str | None = None,
        train_dataloader: Any = None,
        optim_wrapper: Any = None,
        param_scheduler: Any = None,
        train_cfg: Any = None,
        val_dataloader: Any = None,
        val_evaluator: Any = None,
        val_cfg: Any = None,
        test_dataloader: Any = None,
        test_evaluator: Any = None,
        test_cfg: Any = None,
        strategy: BaseStrategy | dict[str, Any] | None = None,
        auto_scale_lr: dict[str, Any] | None = None,
        default_hooks: dict[str, Any] | None = None,
        custom_hooks: list[Any] | None = None,
        data_preprocessor: Any = None,
        load_from: str | None = None,
        resume: str | bool = False,
        launcher: str | None = None,
        env_cfg: dict[str, Any] | None = None,
        log_processor: Any = None,
        log_level: int | str = "INFO",
        visualizer: Any = None,
        default_scope: str | None = "mmengine",
        randomness: dict[str, Any] | None = None,
        compile: bool | dict[str, Any] = False,
        cfg: Any = None,
    ) -> None:
        arguments = {key: value for key, value in locals().items() if key not in ("self", "cfg")}
        if not isinstance(compile, (bool, dict)):
            raise ConfigTypeError(
                f"compile must be a bool or a dict, got {compile!r}", key_path="compile"
            )
        if isinstance(resume, str):
            if load_from is not None:
                raise ConfigError(
                    "resume names a file, so load_from must be None", key_path="resume"
                )
            arguments |= {"load_from": resume, "resume": True}
        arguments |= {"launcher": launcher or infer_launcher(), "runner_type": FLEXIBLE}
        self.cfg: Config = copied(cfg, cfg) if isinstance(cfg, Config) else Config(cfg or {})
        self._set_up(translate(settings_from(self.cfg, arguments), file=self.cfg.filename))

    @classmethod
    def from_cfg(cls, cfg: Any) -> FlexibleRunner:
        """Build a runner from a config; the config is not changed."""
        cfg = copied(cfg, cfg)
        if not isinstance(cfg, Config):
            cfg = Config(cfg)
        names = [name for name in inspect.signature(cls).parameters if name != "cfg"]
        arguments = {name: cfg[name] for name in names if cfg.get(name) is not None}
        if "default_scope" in cfg:
            arguments["default_scope"] = cfg["default_scope"]  # None means none
        with at_key("", file=cfg.filename):
            return cls(**{"model": None, **arguments}, cfg=cfg)

    def build_strategy(
        self,
        strategy: BaseStrategy | Mapping[str, Any] | None = None,
        launcher: str = "none",
        randomness: Mapping[str, Any] | None = None,
        env_cfg: Mapping[str, Any] | None = None,
        experiment_name: str | None = None,
        log_level: int | str | None = None,
    ) -> BaseStrategy:
        """Return the strategy, which sets up the process when it is made.

        Args:
            strategy: A strategy, its config, or ``None`` for the launcher's own.
            launcher: What launched the processes.
            randomness: Where the seed comes from.
            env_cfg: cuDNN, worker processes, process group.
            experiment_name: Names the run.
            log_level: Level of the text log.
        """
        if isinstance(strategy, BaseStrategy):
            return strategy
        kind = "SingleDeviceStrategy" if launcher == "none" else "DDPStrategy"
        cfg = {
            "type": kind,
            "work_dir": self._work_dir,
            "experiment_name": experiment_name,
            "auto_scale_lr": self.auto_scale_lr,
            "env_kwargs": {
                "launcher": launcher,
                "randomness": dict(randomness or {"seed": None}),
                **(env_cfg or {}),
            },
            "log_kwargs": {"log_level": log_level or "INFO"},
            **(strategy or {}),
        }
        with at_key("strategy"):
            if isinstance(cfg["type"], str) and STRATEGIES.get(cfg["type"]) is None:
                raise unknown_type(cfg["type"], STRATEGIES)
        return STRATEGIES.build(cfg)  # type: ignore[no-any-return]

    def build_logger(
        self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any
    ) -> MMLogger:
        """Return the strategy's text logger, which is the run's, unless arguments ask for more."""
        if log_file is None and not kwargs:
            return self.strategy.logger
        return super().build_logger(log_level, log_file, **kwargs)

    def _set_up_environment(self) -> None:
        runtime = self.plan.runtime
        check_launcher(runtime.launcher)
        name = runtime.experiment_name or stem_of(self.cfg.filename)
        self._randomness_cfg = dict(runtime.randomness)
        self.strategy = self.build_strategy(
            runtime.strategy,
            launcher=runtime.launcher,
            randomness=self._randomness_cfg,
            env_cfg=runtime.env,
            experiment_name=name,
            log_level=runtime.log_level,
        )
        made = self.strategy
        self._launcher, self._distributed = made.launcher, made.distributed
        self._rank, self._world_size = made.rank, made.world_size
        self._timestamp, self._seed = made.timestamp, made.seed
        self._deterministic = bool(made.randomness.get("deterministic", False))
        self._experiment_name, self._log_dir = made.experiment_name, made.log_dir

    def _first_model(self, model: Any) -> Any:
        return model  # until a run begins

    def prepare(self, stage: str) -> None:
        """Do what comes before the first step; Lightning calls it through its ``setup``.

        Args:
            stage: ``fit``, ``validate`` or ``test``.
        """
        name = {"fit": "train", "validate": "val"}.get(stage, "test")
        self._require(name)
        if name == "train":
            self._prepare_training()
            return
        self.eval_loop(name)
        wanted = self.cfg.get("init_weights_for_test_or_val", True)
        self._take(dispatch_kwargs={"init_weights_for_test_or_val": wanted})
        self._check_model(f"{name}_step")
        self.load_or_resume()
        self.call_hook("before_run")

    def _prepare_training(self) -> None:
        self._build("_train_loop", self.build_train_loop)
        self._build("_val_loop", self.build_val_loop)
        self._take(
            optim_wrapper=self.optim_wrapper,
            param_scheduler=self.param_schedulers,
            compile=self._compile_options(),
            dispatch_kwargs={
                "epoch_length": len(self.train_dataloader),
                "max_epochs": self.max_epochs,
                "max_iters": self.max_iters,
                PER_UPDATE: self._schedules_per_update,
                "train_micro_batch_size_per_gpu": _batch_size(self.train_dataloader),
            },
        )
        self._check_model("train_step", *(["val_step"] if self._val_loop is not None else []))
        self.optim_wrapper = self.strategy.optim_wrapper
        if self.param_schedulers is not None:
            self.param_schedulers = self.strategy.param_schedulers
        self._enable_features()
        self.load_or_resume()
        if getattr(self.optim_wrapper, "_accumulative_counts", 1) > 1:
            self.optim_wrapper.initialize_count_status(self.model, self.iter, self.max_iters)
        exact.put_counts(self)
        self.call_hook("before_run")
        self._tell_epochs()

    def _take(self, **parts: Any) -> None:
        """Let the strategy prepare, and take the model from it."""
        self.strategy.prepare(self._model, **parts)
        self.model = self.strategy.model
        self._model_name = type(self.bare_model).__name__

    def _compile_options(self) -> bool | dict[str, Any]:
        given = self.plan.runtime.compile
        if given is None or given is False:
            return False
        return {"target": "train_step", **({} if given is True else given)}


def _batch_size(loader: Any) -> int | None:
    sampler = getattr(loader, "batch_sampler", None)
    return getattr(sampler, "batch_size", getattr(loader, "batch_size", None))
