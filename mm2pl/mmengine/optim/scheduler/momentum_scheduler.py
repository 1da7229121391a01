"""The schedules for the momentum, which for Adam and its kin is the first of the betas."""

from __future__ import annotations

from typing import Any

from mm2pl.errors import ConfigError
from mm2pl.mmengine.optim.scheduler._base import OptimizerType
from mm2pl.mmengine.optim.scheduler.param_scheduler import (
    ConstantParamScheduler,
    CosineAnnealingParamScheduler,
    CosineRestartParamScheduler,
    ExponentialParamScheduler,
    LinearParamScheduler,
    MultiStepParamScheduler,
    PolyParamScheduler,
    ReduceOnPlateauParamScheduler,
    StepParamScheduler,
)
from mm2pl.mmengine.registry import PARAM_SCHEDULERS


class MomentumSchedulerMixin:
    """Put in front of a scheduler class, makes it drive ``momentum`` or the first beta.

    Raises:
        ConfigError: The optimizer has neither.
    """

    def __init__(self, optimizer: OptimizerType, *args: Any, **kwargs: Any) -> None:
        self.use_betas = False
        if "momentum" not in optimizer.defaults:
            if "betas" not in optimizer.defaults:
                raise ConfigError(
                    f"a momentum schedule needs an optimizer with momentum or betas, which "
                    f"{type(getattr(optimizer, 'optimizer', optimizer)).__name__} has not",
                    key_path="type",
                    hint="take an optimizer such as SGD or AdamW, or leave the schedule out",
                )
            self.use_betas = True
            for group in optimizer.param_groups:
                group["momentum"] = group["betas"][0]
        super().__init__(optimizer, "momentum", *args, **kwargs)  # type: ignore[call-arg]

    def step(self, *args: Any, **kwargs: Any) -> None:
        """Set the momentum, and the betas from it; see the scheduler's own ``step``."""
        super().step(*args, **kwargs)  # type: ignore[misc]
        if self.use_betas:
            for group in self.optimizer.param_groups:  # type: ignore[attr-defined]
                group["betas"] = (group["momentum"], group["betas"][1])


@PARAM_SCHEDULERS.register_module()
class ConstantMomentum(MomentumSchedulerMixin, ConstantParamScheduler):
    """Holds the momentum at a fraction. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingMomentum(MomentumSchedulerMixin, CosineAnnealingParamScheduler):
    """Takes the momentum along a cosine. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class CosineRestartMomentum(MomentumSchedulerMixin, CosineRestartParamScheduler):
    """Takes the momentum along a cosine, with restarts. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class ExponentialMomentum(MomentumSchedulerMixin, ExponentialParamScheduler):
    """Decays the momentum at every step. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class LinearMomentum(MomentumSchedulerMixin, LinearParamScheduler):
    """Moves the momentum linearly. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class MultiStepMomentum(MomentumSchedulerMixin, MultiStepParamScheduler):
    """Decays the momentum at milestones. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class PolyMomentum(MomentumSchedulerMixin, PolyParamScheduler):
    """Decays the momentum as a polynomial. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class ReduceOnPlateauMomentum(MomentumSchedulerMixin, ReduceOnPlateauParamScheduler):
    """Reduces the momentum when a metric stops improving. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class StepMomentum(MomentumSchedulerMixin, StepParamScheduler):
    """Decays the momentum at equal intervals. Arguments: see the base class."""
