"""Several processes, each with the whole model."""

from __future__ import annotations

from typing import Any

from torch import nn

from mm2pl.distributed import start_group, synchronize_norms, wrap
from mm2pl.mmengine._strategy.single_device import SingleDeviceStrategy
from mm2pl.mmengine.device import get_device
from mm2pl.mmengine.dist import is_main_process
from mm2pl.mmengine.model.wrappers import is_model_wrapper
from mm2pl.mmengine.optim.optimizer.zero_optimizer import gather_shards
from mm2pl.mmengine.registry import STRATEGIES
from mm2pl.optim import torch_optimizers


@STRATEGIES.register_module()
class DDPStrategy(SingleDeviceStrategy):
    """Prepares a run of several processes, which average their gradients.

    Args:
        model_wrapper: The wrapper's ``type`` (by default ``MMDistributedDataParallel``) and
            arguments.
        sync_bn: ``torch`` or ``mmcv``: whose SyncBatchNorm replaces BatchNorm.
        **kwargs: Arguments of :class:`BaseStrategy`.
    """

    def __init__(
        self,
        *,
        model_wrapper: dict[str, Any] | None = None,
        sync_bn: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model_wrapper = model_wrapper
        self.sync_bn = sync_bn

    def _setup_distributed(
        self, launcher: str = "pytorch", backend: str = "nccl", **kwargs: Any
    ) -> None:
        start_group(launcher, {"backend": backend, **kwargs})

    def convert_model(self, model: nn.Module) -> nn.Module:
        """Return the model with SyncBatchNorm in the place of BatchNorm, if asked for."""
        return synchronize_norms(model, self.sync_bn, "strategy")

    def _wrap_model(self, model: nn.Module) -> nn.Module:
        if is_model_wrapper(model):
            return model
        moved = self.convert_model(model.to(get_device()))
        return wrap(moved, self.model_wrapper, key_path="strategy.model_wrapper")

    def save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Save from rank 0 alone; the arguments are those of the single device."""
        if kwargs.get("save_optimizer", True) and hasattr(self, "optim_wrapper"):
            gather_shards(torch_optimizers(self.optim_wrapper))
        if is_main_process():
            super().save_checkpoint(*args, **kwargs)
