"""One process on one device."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from torch import nn

from mm2pl import checkpoint as checkpoint_files
from mm2pl.environment import take_up_seed
from mm2pl.errors import CheckpointError, ConfigError
from mm2pl.latest_checkpoint import naming_a_good_one
from mm2pl.mmengine._strategy.base import WRAPPER_PREFIX, BaseStrategy
from mm2pl.mmengine.device import get_device
from mm2pl.mmengine.model import revert_sync_batchnorm
from mm2pl.mmengine.registry import STRATEGIES
from mm2pl.mmengine.runner.checkpoint import _load_checkpoint
from mm2pl.mmengine.version import __version__


@STRATEGIES.register_module()
class SingleDeviceStrategy(BaseStrategy):
    """Prepares a run of one process; the arguments are :class:`BaseStrategy`'s."""

    def prepare(
        self,
        model: nn.Module | dict[str, Any],
        *,
        optim_wrapper: Any = None,
        param_scheduler: Any = None,
        compile: dict[str, Any] | bool = False,
        dispatch_kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Build what is asked for, once, and return it: one thing alone or a list.

        Differs: MMEngine builds no optimizer once a model has been prepared without one.

        Args:
            model: The model or its config.
            optim_wrapper: The optimizer wrapper or its config.
            param_scheduler: Schedules.
            compile: Whether to compile the model, or arguments of ``torch.compile``.
            dispatch_kwargs: ``epoch_length``, ``max_epochs``, ``max_iters``,
                ``train_micro_batch_size_per_gpu``.
        """
        self.dispatch_kwargs.update(dispatch_kwargs or {})
        if not self._prepared:
            built = self._wrap_model(self._init_model_weights(self.build_model(model)))
            self.model = self.compile_model(built, compile)
        if optim_wrapper is not None and not hasattr(self, "optim_wrapper"):
            self.optim_wrapper = self.build_optim_wrapper(optim_wrapper, self.model)
            self._scale_lr()
            self._start_counting(0)
        if param_scheduler is not None and not hasattr(self, "param_schedulers"):
            self.param_schedulers = self.build_param_scheduler(param_scheduler, self.optim_wrapper)
        self._prepared = True
        return self._prepared_components()

    def _start_counting(self, done: int) -> None:
        counts = getattr(self.optim_wrapper, "_accumulative_counts", 1)
        if counts <= 1:
            return
        if "max_iters" not in self.dispatch_kwargs:
            raise ConfigError(
                f"accumulative_counts={counts} needs to know where training ends",
                hint="give dispatch_kwargs=dict(max_iters=...) to prepare()",
            )
        end = self.dispatch_kwargs["max_iters"]
        self.optim_wrapper.initialize_count_status(self.model, done, end)

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        return self.convert_model(model).to(get_device())

    def convert_model(self, model: nn.Module) -> nn.Module:
        """Return the model with BatchNorm in the place of SyncBatchNorm."""
        self.logger.info(
            "Distributed training is not used, all SyncBatchNorm (SyncBN) layers in the model will"
            " be automatically reverted to BatchNormXd layers if they are used."
        )
        return revert_sync_batchnorm(model)

    def load_checkpoint(
        self,
        filename: str,
        *,
        map_location: str | Callable[..., Any] = "cpu",
        strict: bool = False,
        revise_keys: list[tuple[str, str]] = WRAPPER_PREFIX,
        callback: Callable[..., Any] | None = None,
    ) -> dict[str, Any]:
        """Load weights into the model, and return what else the checkpoint holds.

        Args:
            filename: The checkpoint's path or URI.
            map_location: As in :func:`torch.load`; ``default`` is the device in use.
            strict: Raise where names or shapes differ.
            revise_keys: ``(pattern, replacement)`` pairs applied to the names.
            callback: Is given the checkpoint first, and may change it.
        """
        self.logger.info(f"Load checkpoint from {filename}")
        where = get_device() if map_location == "default" else map_location
        with naming_a_good_one(filename):
            loaded: dict[str, Any] = dict(_load_checkpoint(filename, map_location=where))
        if callback is not None:
            callback(loaded)
        weights = loaded.pop("state_dict")
        self.load_model_state_dict(weights, strict=strict, revise_keys=revise_keys)
        return loaded

    def resume(
        self,
        filename: str,
        *,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: str | Callable[..., Any] = "default",
        callback: Callable[..., Any] | None = None,
    ) -> dict[str, Any]:
        """Load weights and states, and return what else the checkpoint holds.

        Args:
            filename: The checkpoint's path or URI.
            resume_optimizer: Whether to take up the optimizers' state.
            resume_param_scheduler: Whether to take up the schedulers' state.
            map_location: As in :func:`torch.load`; by default the device in use.
            callback: Is given the checkpoint first, and may change it.
        """
        self.logger.info(f"Resume checkpoint from {filename}")
        loaded = self.load_checkpoint(filename, map_location=map_location, callback=callback)
        if resume_optimizer and "optimizer" not in loaded:
            raise CheckpointError(
                f"{filename} holds no optimizer, so its run cannot go on as it was",
                hint="resume_optimizer=False goes on with a new one",
            )
        if resume_optimizer and not hasattr(self, "optim_wrapper"):
            raise ConfigError(
                f"there is no optimizer to go on with that of {filename}",
                hint="give prepare() an optim_wrapper, or resume() resume_optimizer=False",
            )
        if resume_optimizer:
            self.load_optim_state_dict(loaded.pop("optimizer"))
        if resume_param_scheduler and hasattr(self, "param_schedulers"):
            self.load_scheduler_state_dict(loaded.pop("param_schedulers"))
        if take_up_seed(loaded["meta"].get("seed"), self._randomness, self.logger):
            self._set_randomness(**self._randomness)
        if hasattr(self, "optim_wrapper"):
            self._start_counting(loaded["meta"]["iter"])
        return loaded

    def save_checkpoint(
        self,
        filename: str,
        *,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        extra_ckpt: dict[str, Any] | None = None,
        callback: Callable[..., Any] | None = None,
    ) -> None:
        """Save the model and the states of optimizers and schedulers.

        Args:
            filename: The checkpoint's path or URI.
            save_optimizer: Whether to save the optimizers' state.
            save_param_scheduler: Whether to save the schedulers' state.
            extra_ckpt: More to save.
            callback: Is given the checkpoint at the end, and may change it.
        """
        saved: dict[str, Any] = {"state_dict": self.model_state_dict()}
        if save_optimizer and hasattr(self, "optim_wrapper"):
            saved["optimizer"] = self.optim_state_dict()
        if save_param_scheduler and hasattr(self, "param_schedulers"):
            saved["param_schedulers"] = self.scheduler_state_dict()
        extra = extra_ckpt or {}
        now = time.strftime("%Y%m%d_%H%M%S", time.localtime())
        own = {"seed": self.seed, "time": now, "mmengine": __version__}
        saved |= {**extra, "meta": {**extra.get("meta", {}), **own}}
        if callback is not None:
            callback(saved)
        checkpoint_files.write(saved, filename)
