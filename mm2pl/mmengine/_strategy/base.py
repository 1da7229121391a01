"""The base of the strategies: the process, the log, and how model and optimizers are built."""

from __future__ import annotations

import os
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from mm2pl import checkpoint as checkpoint_files
from mm2pl import environment
from mm2pl.compiling import compile_method
from mm2pl.distributed import check_launcher, together, without_wrapper
from mm2pl.errors import ConfigTypeError
from mm2pl.latest_checkpoint import newest_good
from mm2pl.mmengine.dist import broadcast, get_dist_info, infer_launcher, is_distributed
from mm2pl.mmengine.logging import MMLogger
from mm2pl.mmengine.optim.scheduler._per_update import PER_UPDATE
from mm2pl.mmengine.registry import MODELS
from mm2pl.mmengine.registry.errors import at_key
from mm2pl.mmengine.runner.checkpoint import (
    _load_checkpoint_to_model,
    weights_to_cpu,
)
from mm2pl.mmengine.runner.utils import set_random_seed
from mm2pl.mmengine.utils.dl_utils import collect_env
from mm2pl.optim import make_optim_wrapper, make_schedulers, scale_to_batch_size

WRAPPER_PREFIX = [(r"^module.", "")]


class BaseStrategy(environment.ProcessFacts, metaclass=ABCMeta):
    """Sets the process up, and builds model, optimizers and schedules in :meth:`prepare`.

    Lightning's Trainer runs what a strategy has prepared.

    Args:
        work_dir: Where checkpoints lie.
        experiment_name: Names the run; the timestamp is added.
        env_kwargs: ``launcher``, ``randomness`` and the keys of ``env_cfg``.
        log_kwargs: Arguments of the logger, such as ``log_level``.
        auto_scale_lr: ``base_batch_size`` and ``enable``.
    """

    model: Any
    optim_wrapper: Any
    param_schedulers: Any

    def __init__(
        self,
        *,
        work_dir: str = "work_dirs",
        experiment_name: str | None = None,
        env_kwargs: dict[str, Any] | None = None,
        log_kwargs: dict[str, Any] | None = None,
        auto_scale_lr: dict[str, Any] | None = None,
    ) -> None:
        self._work_dir = os.path.abspath(work_dir)
        self._env_kwargs = env_kwargs or {}
        self._setup_env(**self._env_kwargs)
        self._experiment_name = environment.unused_name(
            f"{experiment_name}_{self.timestamp}" if experiment_name else self.timestamp
        )
        self._log_dir = os.path.join(self._work_dir, self.timestamp)
        os.makedirs(self._log_dir, exist_ok=True)
        self.logger = self.build_logger(**(log_kwargs or {}))
        self._auto_scale_lr = auto_scale_lr
        self.dispatch_kwargs: dict[str, Any] = {}
        self._prepared = False

    # What is known from the start

    @property
    def randomness(self) -> dict[str, Any]:
        """The settings that the seed comes from."""
        return self._randomness

    # The process

    def _setup_env(
        self,
        *,
        launcher: str | None = None,
        cudnn_benchmark: bool = False,
        mp_cfg: dict[str, Any] | None = None,
        dist_cfg: dict[str, Any] | None = None,
        resource_limit: int = 4096,
        randomness: dict[str, Any] | None = None,
    ) -> None:
        self._launcher = infer_launcher() if launcher is None else launcher
        self._distributed = self._launcher != "none"
        check_launcher(self._launcher)
        environment.set_up_process(
            {
                "cudnn_benchmark": cudnn_benchmark,
                "mp_cfg": mp_cfg,
                "dist_cfg": dist_cfg,
                "resource_limit": resource_limit,
            },
            self._launcher,
            self._start,
        )
        self._rank, self._world_size = get_dist_info()
        self._timestamp = environment.make_timestamp()
        self._randomness: dict[str, Any] = {"seed": None} if randomness is None else randomness
        self._set_randomness(**self._randomness)

    def _start(self, launcher: str, dist_cfg: Mapping[str, Any] | None) -> None:
        if launcher != "none" and not is_distributed():
            self._setup_distributed(launcher, **(dist_cfg or {}))

    def _setup_distributed(self, *args: Any, **kwargs: Any) -> None:
        """Make the process group; a single device needs none."""
        return

    def _set_randomness(
        self, seed: int | None = None, diff_rank_seed: bool = False, deterministic: bool = False
    ) -> None:
        self._seed = set_random_seed(
            seed=seed, deterministic=deterministic, diff_rank_seed=diff_rank_seed
        )

    def collect_env(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return what the log opens with: the system, and the run's settings."""
        runtime = {
            **self._env_kwargs,
            **self.randomness,
            "Distributed launcher": self.launcher,
            "Distributed training": self.distributed,
            "GPU number": self.world_size,
        }
        return collect_env(), runtime

    def build_logger(
        self, log_level: int | str = "INFO", log_file: str | None = None, **kwargs: Any
    ) -> MMLogger:
        """Return the run's text logger."""
        settings: dict[str, Any] = {"name": self.experiment_name, "file_mode": "a", **kwargs}
        file = log_file or os.path.join(self.log_dir, f"{self.timestamp}.log")
        return MMLogger.get_instance(log_level=log_level, log_file=file, **settings)

    # Building

    def build_model(self, model: nn.Module | dict[str, Any]) -> nn.Module:
        """Return the model, built by the MODELS registry if it is a config."""
        if isinstance(model, nn.Module):
            return model
        if not isinstance(model, dict):
            raise ConfigTypeError(
                f"model must be a nn.Module or a dict, got {model!r}", key_path="model"
            )
        with at_key("model"):
            return MODELS.build(model)  # type: ignore[no-any-return]

    def compile_model(self, model: nn.Module, compile: dict[str, Any] | bool = False) -> nn.Module:
        """Return the model with one of its methods compiled.

        Args:
            model: The model, in its wrapper.
            compile: Whether to, or arguments of ``torch.compile``; ``target`` names the method,
                by default ``forward``.
        """
        if compile is False:
            return model
        options = {} if compile is True else dict(compile)
        target = options.pop("target", "forward")
        compile_method(model, target, options, self.logger)
        return model

    def _init_model_weights(self, model: Any) -> nn.Module:
        wanted = self.dispatch_kwargs.get("init_weights_for_test_or_val", True)
        if wanted and hasattr(model, "init_weights"):
            with together("initialize the weights"):  # which may be read from a file
                model.init_weights()
            for value in model.state_dict().values():
                broadcast(value)
        return model  # type: ignore[no-any-return]

    def build_optim_wrapper(self, optim_wrapper: Any, model: nn.Module | None = None) -> Any:
        """Return the optimizer wrapper, or the wrappers by name."""
        return make_optim_wrapper(self.model if model is None else model, optim_wrapper)

    def build_param_scheduler(
        self, scheduler: Any, optim_wrapper: Any, default_args: dict[str, Any] | None = None
    ) -> Any:
        """Return the schedulers in a list, or in a dict of lists by optimizer."""
        lengths = ("epoch_length", "max_epochs", "max_iters", PER_UPDATE)
        known = {
            name: self.dispatch_kwargs[name] for name in lengths if name in self.dispatch_kwargs
        }
        return make_schedulers(scheduler, optim_wrapper, default_args or known)

    def _scale_lr(self) -> None:
        scaling = self._auto_scale_lr
        if not scaling or not scaling.get("enable", False):
            return
        real = self.world_size * self.dispatch_kwargs["train_micro_batch_size_per_gpu"]
        scale_to_batch_size(self.optim_wrapper, real, scaling, self.logger)

    def _prepared_components(self) -> Any:
        parts = ("model", "optim_wrapper", "param_schedulers")
        built = [getattr(self, part) for part in parts if hasattr(self, part)]
        return built[0] if len(built) == 1 else built

    @abstractmethod
    def prepare(
        self,
        model: nn.Module | dict[str, Any],
        *,
        optim_wrapper: Any = None,
        param_scheduler: Any = None,
        compile: dict[str, Any] | bool = False,
        dispatch_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Build what is asked for, and return it: one thing alone or a list."""

    # States

    def model_state_dict(self) -> dict[str, Any]:
        """Return the model's weights on the CPU. Differs: without the names of a wrapper."""
        return weights_to_cpu(without_wrapper(self.model).state_dict())  # type: ignore[no-any-return]

    def optim_state_dict(self) -> dict[str, Any]:
        """Return the state of the optimizer, or of each by name."""
        return self.optim_wrapper.state_dict()  # type: ignore[no-any-return]

    def scheduler_state_dict(self) -> dict[str, Any] | list[Any]:
        """Return the states of the schedulers."""
        return checkpoint_files.scheduler_states(self.param_schedulers)  # type: ignore[no-any-return]

    def load_model_state_dict(
        self,
        state_dict: dict[str, Any],
        *,
        strict: bool = False,
        revise_keys: list[tuple[str, str]] = WRAPPER_PREFIX,
    ) -> None:
        """Give the model its weights."""
        model = without_wrapper(self.model)
        _load_checkpoint_to_model(model, state_dict, strict, revise_keys=revise_keys)

    def load_optim_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Give the optimizers their state back."""
        self.optim_wrapper.load_state_dict(state_dict)

    def load_scheduler_state_dict(self, state_dict: dict[str, Any] | list[Any]) -> None:
        """Give the schedulers their states back."""
        checkpoint_files.load_scheduler_states(self.param_schedulers, state_dict)

    # Files

    def load_or_resume(
        self, *, load_from: str | None = None, resume: bool | str = False
    ) -> dict[str, Any] | None:
        """Load weights or go on from a checkpoint.

        Args:
            load_from: A checkpoint.
            resume: Go on from it, from the file that ``resume`` names, or from the newest one.

        Returns:
            What else the checkpoint holds; ``None`` if there was none to read.
        """
        source = resume if isinstance(resume, str) else load_from
        if resume and source is None:
            source = newest_good(self.work_dir, self.logger.warning)
            self.logger.info(f"Auto resumed from the latest checkpoint {source}.")
        if source is None:
            return None
        with together("go on from the checkpoint" if resume else "load the checkpoint"):
            return self.resume(source) if resume else self.load_checkpoint(source)

    @abstractmethod
    def load_checkpoint(
        self,
        filename: str,
        *,
        map_location: str | Callable[..., Any] = "cpu",
        strict: bool = False,
        revise_keys: list[tuple[str, str]] = WRAPPER_PREFIX,
        callback: Callable[..., Any] | None = None,
    ) -> dict[str, Any]:
        """Load weights into the model."""

    @abstractmethod
    def resume(
        self,
        filename: str,
        *,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable[..., Any] = "default",
        callback: Callable[..., Any] | None = None,
    ) -> dict[str, Any]:
        """Load weights and the states of optimizers, schedulers and random numbers."""

    @abstractmethod
    def save_checkpoint(
        self,
        filename: str,
        *,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        extra_ckpt: dict[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
    ) -> None:
        """Save the model and the states of optimizers and schedulers."""
