"""The schedules, for any option of the optimizer.

Values follow recurrences, each from the one before, so that schedules may be combined. They are
equal to MMEngine's in the last bit, which fixes the order of the arithmetic below.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import Any

from mm2pl.errors import ConfigAssertionError, ConfigError
from mm2pl.mmengine.optim.scheduler._base import (
    INF,
    EpochSchedule,
    OptimizerType,
    _ParamScheduler,
)
from mm2pl.mmengine.optim.scheduler._one_cycle import OneCycleParamScheduler
from mm2pl.mmengine.optim.scheduler._plateau import ReduceOnPlateauParamScheduler
from mm2pl.mmengine.registry import PARAM_SCHEDULERS

__all__ = [
    "INF",
    "ConstantParamScheduler",
    "CosineAnnealingParamScheduler",
    "CosineRestartParamScheduler",
    "ExponentialParamScheduler",
    "LinearParamScheduler",
    "MultiStepParamScheduler",
    "OneCycleParamScheduler",
    "OptimizerType",
    "PolyParamScheduler",
    "ReduceOnPlateauParamScheduler",
    "StepParamScheduler",
    "_ParamScheduler",
]


class _FactorSchedule(EpochSchedule):
    """A schedule that multiplies all groups by one factor at some of its steps."""

    def _factor(self) -> float | None:
        """Return the factor for ``last_step``, or None to leave the values alone."""
        raise NotImplementedError

    def _get_value(self) -> list[Any]:
        factor = self._factor()
        if factor is None:
            return self._values()
        name = self.param_name
        return [group[name] * factor for group in self.optimizer.param_groups]


@PARAM_SCHEDULERS.register_module()
class StepParamScheduler(_FactorSchedule):
    """Multiplies the value by ``gamma`` every ``step_size`` steps.

    Args:
        step_size: Steps between two changes.
        gamma: The factor.
        begin, end, last_step, by_epoch, verbose: See :class:`_ParamScheduler`.
    """

    _epoch_args = ("step_size",)

    def __init__(
        self,
        optimizer: OptimizerType,
        param_name: str,
        step_size: int,
        gamma: float = 0.1,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _factor(self) -> float | None:
        return self.gamma if self.last_step and self.last_step % self.step_size == 0 else None


@PARAM_SCHEDULERS.register_module()
class MultiStepParamScheduler(_FactorSchedule):
    """Multiplies the value by ``gamma`` at each milestone.

    Args:
        milestones: The steps, counted from ``begin``; one named twice counts twice.
        gamma: The factor.
        begin, end, last_step, by_epoch, verbose: See :class:`_ParamScheduler`.
    """

    _epoch_args = ("milestones",)

    def __init__(
        self,
        optimizer: OptimizerType,
        param_name: str,
        milestones: Sequence[int],
        gamma: float = 0.1,
        last_step: int = -1,
        begin: int = 0,
        end: int = INF,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _factor(self) -> float | None:
        if self.last_step not in self.milestones:
            return None
        return self.gamma ** self.milestones[self.last_step]


@PARAM_SCHEDULERS.register_module()
class ConstantParamScheduler(_FactorSchedule):
    """Multiplies the value by ``factor`` from ``begin`` on, and divides it again before ``end``.

    Args:
        factor: The factor, 0 to 1.
        begin, end, last_step, by_epoch, verbose: See :class:`_ParamScheduler`.

    Raises:
        ConfigError: ``factor`` is out of range.
    """

    def __init__(
        self,
        optimizer: OptimizerType,
        param_name: str,
        factor: float = 1.0 / 3,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self.factor = _check_unit("factor", factor)
        self.total_iters = end - begin - 1
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _factor(self) -> float | None:
        if self.last_step == 0:
            return self.factor
        return 1.0 / self.factor if self.last_step == self.total_iters else None


@PARAM_SCHEDULERS.register_module()
class ExponentialParamScheduler(_FactorSchedule):
    """Multiplies the value by ``gamma`` at every step.

    Args:
        gamma: The factor.
        begin, end, last_step, by_epoch, verbose: See :class:`_ParamScheduler`.
    """

    def __init__(
        self,
        optimizer: OptimizerType,
        param_name: str,
        gamma: float,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self.gamma = gamma
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _factor(self) -> float | None:
        return self.gamma if self.last_step else None


@PARAM_SCHEDULERS.register_module()
class LinearParamScheduler(_FactorSchedule):
    """Moves the value's factor linearly from ``start_factor`` to ``end_factor``.

    Args:
        start_factor: The factor at ``begin``, above 0 up to 1.
        end_factor: The factor one step before ``end``, 0 to 1.
        begin, end, last_step, by_epoch, verbose: See :class:`_ParamScheduler`.

    Raises:
        ConfigError: A factor is out of range.
    """

    def __init__(
        self,
        optimizer: OptimizerType,
        param_name: str,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self.start_factor = _check_unit("start_factor", start_factor)
        self.end_factor = _check_unit("end_factor", end_factor)
        self.total_iters = end - begin - 1
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _factor(self) -> float | None:
        if self.last_step == 0:
            return self.start_factor
        span = self.end_factor - self.start_factor
        return 1.0 + span / (self.total_iters * self.start_factor + (self.last_step - 1) * span)


@PARAM_SCHEDULERS.register_module()
class PolyParamScheduler(EpochSchedule):
    """Brings the value down to ``eta_min`` by a polynomial of degree ``power``.

    Args:
        eta_min: The value one step before ``end``.
        power: The degree.
        begin, end, last_step, by_epoch, verbose: See :class:`_ParamScheduler`.
    """

    def __init__(
        self,
        optimizer: OptimizerType,
        param_name: str,
        eta_min: float = 0,
        power: float = 1.0,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self.eta_min = eta_min
        self.power = power
        self.total_iters = end - begin - 1
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[Any]:
        values = self._values()
        if self.last_step == 0:
            return values
        decay = (1 - 1 / (self.total_iters - self.last_step + 1)) ** self.power
        return [(value - self.eta_min) * decay + self.eta_min for value in values]


class _CosineSchedule(EpochSchedule):
    """What the two cosine schedules share: the lower end, and one step down the cosine."""

    eta_min: float | None
    eta_min_ratio: float | None

    def _set_eta_min(self, eta_min: float | None, eta_min_ratio: float | None) -> None:
        if (eta_min is None) == (eta_min_ratio is None):
            raise ConfigAssertionError("exactly one of eta_min and eta_min_ratio must be given")
        self.eta_min = eta_min
        self.eta_min_ratio = eta_min_ratio

    def _lowest(self) -> list[Any]:
        if self.eta_min_ratio is None:
            return [self.eta_min] * len(self.base_values)
        return [base * self.eta_min_ratio for base in self.base_values]

    def _descend(self, step: int, period: int) -> list[Any]:
        before = 1 + math.cos(math.pi * (step - 1) / period)
        ratio = (1 + math.cos(math.pi * step / period)) / before
        pairs = zip(self._values(), self._lowest())  # noqa: B905  slow, and groups may be added
        return [ratio * (value - lowest) + lowest for value, lowest in pairs]


@PARAM_SCHEDULERS.register_module()
class CosineAnnealingParamScheduler(_CosineSchedule):
    """Brings the value down half a cosine wave, and up again if it runs beyond ``T_max``.

    Args:
        T_max: Steps down to the lower end; by default ``end - begin``.
        eta_min: The lower end; 0 if neither this nor ``eta_min_ratio`` is given.
        eta_min_ratio: The lower end as a share of the base value, instead of ``eta_min``.
        begin, end, last_step, by_epoch, verbose: See :class:`_ParamScheduler`.

    Raises:
        ConfigError: Both lower ends are given (an ``AssertionError`` too, as in MMEngine).
    """

    _epoch_args = ("T_max",)

    def __init__(
        self,
        optimizer: OptimizerType,
        param_name: str,
        T_max: int | None = None,
        eta_min: float | None = None,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
        eta_min_ratio: float | None = None,
    ) -> None:
        if eta_min is None and eta_min_ratio is None:
            eta_min = 0.0
        self._set_eta_min(eta_min, eta_min_ratio)
        self.T_max = T_max or (end - begin)
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[Any]:
        if self.last_step == 0:
            return self._values()
        if (self.last_step - 1 - self.T_max) % (2 * self.T_max) == 0:
            # One past the lower end the ratio below would divide by 0.
            rise = 1 - math.cos(math.pi / self.T_max)
            triples = zip(self._values(), self.base_values, self._lowest(), strict=False)
            return [value + (base - lowest) * rise / 2 for value, base, lowest in triples]
        return self._descend(self.last_step, self.T_max)


@PARAM_SCHEDULERS.register_module()
class CosineRestartParamScheduler(_CosineSchedule):
    """Comes down half a cosine wave in each period, starting anew from a weighted base value.

    Args:
        periods: Steps in each period; after the last one the value stays.
        restart_weights: Factor of the base value at the start of each period.
        eta_min: The lower end. Either this or the next must be given.
        eta_min_ratio: The lower end as a share of the base value.
        begin, end, last_step, by_epoch, verbose: See :class:`_ParamScheduler`.

    Raises:
        ConfigError: Not exactly one lower end, or periods and weights differ in number (an
            ``AssertionError`` too, as in MMEngine).
    """

    _epoch_args = ("periods",)

    def __init__(
        self,
        optimizer: OptimizerType,
        param_name: str,
        periods: list[int],
        restart_weights: Sequence[float] = (1,),
        eta_min: float | None = None,
        eta_min_ratio: float | None = None,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self._set_eta_min(eta_min, eta_min_ratio)
        if len(periods) != len(restart_weights):
            raise ConfigAssertionError(
                f"{len(periods)} periods but {len(restart_weights)} restart_weights"
            )
        self.periods = periods
        self.restart_weights = restart_weights
        self.cumulative_periods = [sum(periods[: i + 1]) for i in range(len(periods))]
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _get_value(self) -> list[Any]:
        index = self.get_position_from_periods(self.last_step, self.cumulative_periods)
        if index is None:
            return self._values()
        step = self.last_step - (self.cumulative_periods[index - 1] if index else 0)
        if step == 0:
            return [base * self.restart_weights[index] for base in self.base_values]
        return self._descend(step, self.periods[index])

    @staticmethod
    def get_position_from_periods(iteration: int, cumulative_periods: list[int]) -> int | None:
        """Return the index of the period that ``iteration`` is in, or None past the last.

        Args:
            iteration: The step.
            cumulative_periods: Where each period ends, e.g. ``[100, 200]``.
        """
        index = bisect_right(cumulative_periods, iteration)
        return index if index < len(cumulative_periods) else None


def _check_unit(name: str, factor: float) -> float:
    if not 0 <= factor <= 1:
        raise ConfigError(f"{name} must be between 0 and 1, not {factor}")
    return factor
