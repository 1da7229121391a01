"""The schedules for the learning rate."""

from __future__ import annotations

from typing import Any

from mm2pl.mmengine.optim.scheduler._base import OptimizerType
from mm2pl.mmengine.optim.scheduler.param_scheduler import (
    ConstantParamScheduler,
    CosineAnnealingParamScheduler,
    CosineRestartParamScheduler,
    ExponentialParamScheduler,
    LinearParamScheduler,
    MultiStepParamScheduler,
    OneCycleParamScheduler,
    PolyParamScheduler,
    ReduceOnPlateauParamScheduler,
    StepParamScheduler,
)
from mm2pl.mmengine.registry import PARAM_SCHEDULERS


class LRSchedulerMixin:
    """Put in front of a scheduler class, sets its ``param_name`` to ``lr``."""

    def __init__(self, optimizer: OptimizerType, *args: Any, **kwargs: Any) -> None:
        super().__init__(optimizer, "lr", *args, **kwargs)  # type: ignore[call-arg]


@PARAM_SCHEDULERS.register_module()
class ConstantLR(LRSchedulerMixin, ConstantParamScheduler):
    """Holds the learning rate at a fraction. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingLR(LRSchedulerMixin, CosineAnnealingParamScheduler):
    """Takes the learning rate along a cosine. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class CosineRestartLR(LRSchedulerMixin, CosineRestartParamScheduler):
    """Takes the learning rate along a cosine, with restarts. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class ExponentialLR(LRSchedulerMixin, ExponentialParamScheduler):
    """Decays the learning rate at every step. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class LinearLR(LRSchedulerMixin, LinearParamScheduler):
    """Moves the learning rate linearly. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class MultiStepLR(LRSchedulerMixin, MultiStepParamScheduler):
    """Decays the learning rate at milestones. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class OneCycleLR(LRSchedulerMixin, OneCycleParamScheduler):
    """Takes the learning rate through one cycle. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class PolyLR(LRSchedulerMixin, PolyParamScheduler):
    """Decays the learning rate as a polynomial. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class ReduceOnPlateauLR(LRSchedulerMixin, ReduceOnPlateauParamScheduler):
    """Reduces the learning rate when a metric stops improving. Arguments: see the base class."""


@PARAM_SCHEDULERS.register_module()
class StepLR(LRSchedulerMixin, StepParamScheduler):
    """Decays the learning rate at equal intervals. Arguments: see the base class."""
