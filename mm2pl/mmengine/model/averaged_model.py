"""Averages of a model's weights over training.

They do not stand on ``torch.optim.swa_utils.AveragedModel``: its functions agree with
MMEngine's (``get_ema_multi_avg_fn(1 - momentum)``, ``get_swa_multi_avg_fn()``), but it knows no
``interval``, counts under another name than the ``steps`` of MMEngine's checkpoints, averages
integers with ``use_buffers`` (MMEngine leaves them alone), keeps ``requires_grad``, and calls
functions of its own form where subclasses of users define ``avg_func``. Nothing but its constructor
would be left.
"""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from mm2pl.errors import ConfigAssertionError
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.registry import MODELS


class BaseAveragedModel(nn.Module):
    """A copy of a model whose weights follow the model's; subclasses say how in ``avg_func``.

    Args:
        model: The model to average.
        interval: Average at every so many updates.
        device: Where the copy lives; by default where ``model`` does.
        update_buffers: Average the buffers too. Without it they are copied at every update.
    """

    steps: Tensor

    def __init__(
        self,
        model: nn.Module,
        interval: int = 1,
        device: torch.device | None = None,
        update_buffers: bool = False,
    ) -> None:
        super().__init__()
        self.module = deepcopy(model).requires_grad_(False)
        if device is not None:
            self.module.to(device)
        self.interval = interval
        self.register_buffer("steps", torch.tensor(0, dtype=torch.long, device=device))
        self.update_buffers = update_buffers
        self.avg_parameters = self._averaged_tensors(self.module)

    def _averaged_tensors(self, model: nn.Module) -> dict[str, Tensor]:
        return model.state_dict() if self.update_buffers else dict(model.named_parameters())

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: Tensor) -> None:
        """Update ``averaged_param`` in place.

        Args:
            averaged_param: The average so far.
            source_param: The model's present value, on the same device.
            steps: How many updates went before (a 0-d integer tensor).
        """
        raise NotImplementedError(f"{type(self).__name__} must define avg_func")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the averaged copy."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: nn.Module) -> None:
        """Take ``model``'s present weights into the average; the first call copies them."""
        source = self._averaged_tensors(model)
        steps = int(self.steps)
        if steps == 0:
            for name, average in self.avg_parameters.items():
                average.data.copy_(source[name].data)
        elif steps % self.interval == 0:
            for name, average in self.avg_parameters.items():
                if average.dtype.is_floating_point:
                    present = source[name].data.to(average.device)
                    self.avg_func(average.data, present, self.steps)
        if not self.update_buffers:
            for copied, present in zip(self.module.buffers(), model.buffers(), strict=False):
                copied.data.copy_(present.data)
        self.steps += 1


@MODELS.register_module()
class StochasticWeightAverage(BaseAveragedModel):
    """The plain mean of the weights so far (Izmailov et al., 2018)."""

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: Tensor) -> None:
        """Move the average by one over the number of weights in it."""
        share = 1 / float(steps // self.interval + 1)
        averaged_param.add_(source_param - averaged_param, alpha=share)


@MODELS.register_module()
class ExponentialMovingAverage(BaseAveragedModel):
    """An average that forgets: ``(1 - momentum) * average + momentum * weights``.

    Args:
        model: See :class:`BaseAveragedModel`.
        momentum: The share of the *new* weights, so usually small.
        interval: See :class:`BaseAveragedModel`.
        device: See :class:`BaseAveragedModel`.
        update_buffers: See :class:`BaseAveragedModel`.

    Raises:
        ConfigError: ``momentum`` is not between 0 and 1.
    """

    def __init__(
        self,
        model: nn.Module,
        momentum: float = 0.0002,
        interval: int = 1,
        device: torch.device | None = None,
        update_buffers: bool = False,
    ) -> None:
        super().__init__(model, interval, device, update_buffers)
        if not 0.0 < momentum < 1.0:
            raise ConfigAssertionError(
                f"momentum must lie between 0 and 1 (both excluded), got {momentum}"
            )
        if momentum > 0.5:
            print_log(
                f"EMA's momentum is the share of the new weights and usually small, got {momentum}",
                logger="current",
                level=logging.WARNING,
            )
        self.momentum = momentum

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: Tensor) -> None:
        """Move the average towards the new weights by ``momentum``."""
        averaged_param.lerp_(source_param, self.momentum)


@MODELS.register_module()
class MomentumAnnealingEMA(ExponentialMovingAverage):
    """EMA whose momentum falls from 1 to ``momentum`` as ``gamma / (gamma + steps)``.

    Args:
        model: See :class:`BaseAveragedModel`.
        momentum: Where the momentum ends.
        gamma: The larger, the longer the momentum stays large.
        interval: See :class:`BaseAveragedModel`.
        device: See :class:`BaseAveragedModel`.
        update_buffers: See :class:`BaseAveragedModel`.

    Raises:
        ConfigError: ``momentum`` is not between 0 and 1, or ``gamma`` not positive.
    """

    def __init__(
        self,
        model: nn.Module,
        momentum: float = 0.0002,
        gamma: int = 100,
        interval: int = 1,
        device: torch.device | None = None,
        update_buffers: bool = False,
    ) -> None:
        super().__init__(model, momentum, interval, device, update_buffers)
        if gamma <= 0:
            raise ConfigAssertionError(f"gamma must be greater than 0, got {gamma}")
        self.gamma = gamma

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: Tensor) -> None:
        """Move the average towards the new weights by the present momentum."""
        momentum = max(self.momentum, self.gamma / (self.gamma + steps.item()))
        averaged_param.lerp_(source_param, momentum)
