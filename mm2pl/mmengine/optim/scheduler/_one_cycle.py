"""The 1cycle schedule (https://arxiv.org/abs/1708.07120)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from mm2pl.errors import ConfigAssertionError, ConfigError
from mm2pl.mmengine.optim.scheduler._base import INF, EpochSchedule, OptimizerType
from mm2pl.mmengine.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class OneCycleParamScheduler(EpochSchedule):
    """Takes the learning rate up to ``eta_max`` and then down to almost nothing.

    Differs: ``anneal_func`` is no part of the state (a function pickles by its module's name, and
    MMEngine could not read mm2pl's); MMEngine's states load.

    Args:
        eta_max: The highest rate, one for all groups or one for each. Around an optimizer wrapper
            with several groups, ``base_param_settings`` counts as one more.
        total_steps: Length of the cycle; by default ``end - begin``.
        pct_start: Share of the cycle that goes up.
        anneal_strategy: ``'cos'`` or ``'linear'``.
        div_factor: ``eta_max`` divided by this is the first rate.
        final_div_factor: The first rate divided by this is the last.
        three_phase: Come down to the first rate as long as it went up, and then to the last.
        begin, end, last_step, by_epoch, verbose: See :class:`_ParamScheduler`.

    Raises:
        ConfigError: An argument is out of range; ``param_name`` is not ``lr`` (an
            ``AssertionError`` too, as in MMEngine); later, a step past ``total_steps``.
    """

    _epoch_args = ("total_steps",)
    _not_in_state = ("optimizer", "anneal_func")

    def __init__(
        self,
        optimizer: OptimizerType,
        param_name: str,
        eta_max: float | Sequence[float] = 0,
        total_steps: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        if param_name != "lr":
            raise ConfigAssertionError(
                f"OneCycle schedules the learning rate only, not {param_name}"
            )
        if total_steps is not None and (not isinstance(total_steps, int) or total_steps <= 0):
            raise ConfigError(f"total_steps must be a positive integer, not {total_steps!r}")
        if not isinstance(pct_start, float) or not 0 <= pct_start <= 1:
            raise ConfigError(f"pct_start must be a float between 0 and 1, not {pct_start!r}")
        self.eta_max = eta_max
        self.div_factor = div_factor
        self.final_div_factor = final_div_factor
        self.total_steps = end - begin if total_steps is None else total_steps
        self.anneal_func = self._annealing(anneal_strategy)
        self._schedule_phases = self._phases(param_name, pct_start, three_phase)
        if last_step == -1:
            self._set_turning_points(optimizer, param_name)
        super().__init__(optimizer, param_name, begin, end, last_step, by_epoch, verbose)

    def _phases(self, name: str, pct_start: float, three_phase: bool) -> list[dict[str, Any]]:
        last = self.total_steps - 1
        ends: list[float] = [float(pct_start * self.total_steps) - 1, last]
        stations = [f"initial_{name}", f"max_{name}", f"min_{name}"]
        if three_phase:
            ends.insert(1, float(2 * pct_start * self.total_steps) - 2)
            stations.insert(2, stations[0])
        return [
            {"end_step": end, f"start_{name}": start, f"end_{name}": stop}
            for end, start, stop in zip(ends, stations[:-1], stations[1:], strict=True)
        ]

    def _set_turning_points(self, optimizer: OptimizerType, name: str) -> None:
        groups = optimizer.param_groups
        several = isinstance(self.eta_max, (list, tuple))
        highest: Any = self.eta_max if several else [self.eta_max] * len(groups)
        if len(highest) != len(groups):
            raise ConfigError(f"eta_max has {len(highest)} values for {len(groups)} groups")
        for group, value in zip(groups, highest, strict=True):
            group[f"initial_{name}"] = value / self.div_factor
            group[f"max_{name}"] = value
            group[f"min_{name}"] = group[f"initial_{name}"] / self.final_div_factor

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state of ours or of MMEngine's; of ``anneal_func`` only the name counts."""
        state = dict(state_dict)
        saved = getattr(state.pop("anneal_func", None), "__name__", "")
        super().load_state_dict(state)
        if saved.startswith("_annealing_"):
            self.anneal_func = self._annealing(saved.removeprefix("_annealing_"))

    @classmethod
    def _annealing(cls, strategy: str) -> Callable[[float, float, float], float]:
        strategies = {"cos": cls._annealing_cos, "linear": cls._annealing_linear}
        if strategy not in strategies:
            raise ConfigError(f'anneal_strategy must be "cos" or "linear", not {strategy!r}')
        return strategies[strategy]

    @staticmethod
    def _annealing_cos(start: float, end: float, pct: float) -> float:
        return end + (start - end) / 2.0 * (math.cos(math.pi * pct) + 1)

    @staticmethod
    def _annealing_linear(start: float, end: float, pct: float) -> float:
        return (end - start) * pct + start

    def _get_value(self) -> list[Any]:
        step, name = self.last_step, self.param_name
        if step > self.total_steps:
            raise ConfigError(
                f"step {step + 1} is past the cycle's end: total_steps={self.total_steps}"
            )
        start, phase = 0, self._schedule_phases[0]
        for following in self._schedule_phases[1:]:
            if step <= phase["end_step"]:
                break
            start, phase = phase["end_step"], following
        pct = (step - start) / (phase["end_step"] - start)
        first, last = phase["start_" + name], phase["end_" + name]
        anneal, groups = self.anneal_func, self.optimizer.param_groups
        return [anneal(group[first], group[last], pct) for group in groups]
