"""The optimizer wrapper for automatic mixed precision, with a loss scaler of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import nn
from torch.amp.grad_scaler import GradScaler

from mm2pl.errors import ConfigAssertionError, ConfigTypeError, nearest
from mm2pl.mmengine.device import get_device
from mm2pl.mmengine.dist import is_distributed
from mm2pl.mmengine.optim.optimizer._stepping import stepping_by
from mm2pl.mmengine.optim.optimizer.optimizer_wrapper import OptimWrapper, check_arguments
from mm2pl.mmengine.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AmpOptimWrapper(OptimWrapper):
    """Runs the forward pass under autocast, and scales the loss so that small gradients survive.

    Differs: works on a CPU too (autocast's type there is bfloat16 unless told otherwise), with
    ``use_fsdp`` in a process that is alone too, and ``loss_scale`` may be an int.

    Args:
        loss_scale: ``'dynamic'``, a fixed number, or arguments of ``torch.amp.GradScaler``.
        dtype: Autocast's type, one of ``valid_dtypes`` or a ``torch.dtype``; ``None`` is the
            device's default.
        use_fsdp: Use FSDP's sharded scaler, where there is a process group.
        **kwargs: Arguments of :class:`OptimWrapper`.

    Raises:
        ConfigTypeError: ``loss_scale`` is of another kind.
        ConfigError: Unknown ``dtype`` (an ``AssertionError`` too, as in MMEngine).
    """

    valid_dtypes = ("float16", "bfloat16", "float32", "float64")

    def __init__(
        self,
        loss_scale: float | str | dict[str, Any] = "dynamic",
        dtype: str | torch.dtype | None = None,
        use_fsdp: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._scale_update_param: float | None = None
        scaler_kwargs: dict[str, Any] = {}
        if isinstance(loss_scale, dict):
            scaler_kwargs = dict(loss_scale)
            check_arguments(GradScaler, scaler_kwargs, "loss_scale", "device")
        elif isinstance(loss_scale, (int, float)) and not isinstance(loss_scale, bool):
            self._scale_update_param = scaler_kwargs["init_scale"] = float(loss_scale)
        elif loss_scale != "dynamic":
            raise ConfigTypeError(
                f'loss_scale must be a number, a dict or "dynamic", not {loss_scale!r}',
                key_path="loss_scale",
            )
        self.loss_scaler = _scaler_type(use_fsdp)(get_device(), **scaler_kwargs)
        self.cast_dtype = _as_dtype(dtype, self.valid_dtypes)

    def backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        """Compute the gradients of the scaled loss; see :meth:`OptimWrapper.backward`."""
        super().backward(self.loss_scaler.scale(loss), **kwargs)

    def step(self, **kwargs: Any) -> None:
        """Unscale, clip if asked, and update unless a gradient is infinite or NaN."""
        if self.clip_grad_kwargs:
            self.loss_scaler.unscale_(self.optimizer)
            self._clip_grad()
        is_bound = "_run_step" in self.__dict__
        with stepping_by(self.optimizer, self._run_step) if is_bound else nullcontext():
            self.loss_scaler.step(self.optimizer, **kwargs)
        self.loss_scaler.update(self._scale_update_param)

    def state_dict(self) -> dict[str, Any]:
        """Return the optimizer's state with the scaler's as ``loss_scaler``."""
        return {**super().state_dict(), "loss_scaler": self.loss_scaler.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned; a state without a scaler's is fine."""
        state = dict(state_dict)
        if "loss_scaler" in state:
            self.loss_scaler.load_state_dict(state.pop("loss_scaler"))
        super().load_state_dict(state)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Return the context for the forward pass: autocast, and no sync while accumulating."""
        with super().optim_context(model), self._autocast():
            yield

    def _autocast(self) -> AbstractContextManager[None]:
        params = (param for group in self.optimizer.param_groups for param in group["params"])
        device = next(params).device.type  # where the model is now, not where it was built
        return torch.autocast(device, dtype=self.cast_dtype)


def _scaler_type(use_fsdp: bool) -> type[GradScaler]:
    if not use_fsdp or not is_distributed():
        return GradScaler  # nothing is sharded, and torch's other one needs a process group
    from torch.distributed.fsdp.sharded_grad_scaler import ShardedGradScaler

    return ShardedGradScaler


def _as_dtype(dtype: Any, valid: tuple[str, ...]) -> torch.dtype | None:
    if dtype is None or isinstance(dtype, torch.dtype):
        return dtype
    if dtype not in valid:
        raise ConfigAssertionError(
            f"dtype must be a torch.dtype or one of {', '.join(valid)}, not {dtype!r}",
            key_path="dtype",
            choices=nearest(str(dtype), valid),
        )
    return getattr(torch, dtype)  # type: ignore[no-any-return]
