"""The schedule that waits for a metric to stop improving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mm2pl.errors import ConfigAssertionError, ConfigError, ConfigKeyError, ConfigTypeError, nearest
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.optim.optimizer.base import BaseOptimWrapper
from mm2pl.mmengine.optim.scheduler._base import INF, OptimizerType, _ParamScheduler
from mm2pl.mmengine.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class ReduceOnPlateauParamScheduler(_ParamScheduler):
    """Multiplies the value by ``factor`` when a validation metric has stopped improving.

    Args:
        monitor: The metric's name.
        rule: Whether ``'less'`` or ``'greater'`` is better.
        factor: The factor, below 1.
        patience: Validations without improvement that are let pass.
        threshold: By how much better counts as better.
        threshold_rule: Whether that is a share of the best value (``'rel'``) or a difference
            (``'abs'``).
        cooldown: Validations after a reduction in which nothing counts as bad.
        min_value: Lower bound of the value, one for all groups or one for each.
        eps: A smaller reduction than this is left out.
        begin, end, last_step, by_epoch, verbose: See :class:`_ParamScheduler`; ``by_epoch`` must
            be true.

    Raises:
        ConfigError: An argument is out of range; ``by_epoch`` is false (an ``AssertionError``
            too, as in MMEngine).
    """

    need_val_args = True

    def __init__(
        self,
        optimizer: OptimizerType,
        param_name: str,
        monitor: str = "loss",
        rule: str = "less",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_rule: str = "rel",
        cooldown: int = 0,
        min_value: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self._attach(optimizer, param_name, begin, end, last_step, by_epoch, verbose)
        if not by_epoch:
            raise ConfigAssertionError(f"{type(self).__name__} works by epoch only")
        if factor >= 1.0:
            raise ConfigError(f"factor must be below 1, not {factor}")
        if threshold < 0:
            raise ConfigError(f"threshold must not be negative, but is {threshold}")
        _check_choice("rule", rule, ("less", "greater"))
        _check_choice("threshold_rule", threshold_rule, ("rel", "abs"))
        self.monitor = monitor
        self.rule = rule
        self.rule_worse = INF if rule == "less" else -INF
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_rule = threshold_rule
        self.cooldown = cooldown
        self.min_values = self._lower_bounds(min_value)
        self.eps = eps
        self._reset()
        self._global_step = 0
        self._last_value = self._values()

    def _reset(self) -> None:
        """Forget the best metric and what was counted since."""
        self.best: float = self.rule_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    def _lower_bounds(self, min_value: float | Sequence[float]) -> list[float]:
        groups = len(self.optimizer.param_groups)
        if not isinstance(min_value, (list, tuple)):
            return [min_value] * groups  # type: ignore[list-item]
        bounds = list(min_value)
        wrapper = self.optimizer if isinstance(self.optimizer, BaseOptimWrapper) else None
        has_base = wrapper is not None and wrapper.base_param_settings is not None
        if len(bounds) != groups - has_base:
            raise ConfigError(f"min_value has {len(bounds)} values for {groups - has_base} groups")
        # The base settings, seen as the last group, share the last real group's bound.
        return bounds + bounds[-1:] * has_base

    def step(self, metrics: dict[str, float] | None = None) -> None:
        """Count an epoch, or look at a validation's metrics.

        Args:
            metrics: The metrics; None at the end of a training epoch.

        Raises:
            ConfigTypeError: ``metrics`` is not a dict.
            ConfigKeyError: ``monitor`` is not among them.
        """
        if metrics is None:
            self._global_step += 1
            return
        if not isinstance(metrics, dict):
            raise ConfigTypeError(f"metrics must be a dict, not {type(metrics).__name__}")
        if self.begin <= self._global_step < self.end:
            self.last_step += 1
            self._judge(self._monitored(metrics))
        self._last_value = self._values()

    def _monitored(self, metrics: dict[str, float]) -> float:
        metric = metrics.get(self.monitor)
        if metric is None:
            raise ConfigKeyError(
                f"metric {self.monitor!r} is not among {', '.join(map(repr, metrics))}",
                choices=nearest(self.monitor, metrics),
                hint=f"set the scheduler's monitor, or see why no {self.monitor!r} is evaluated",
            )
        return metric

    def _judge(self, metric: float) -> None:
        if self._is_better(metric, self.best):
            self.best = metric
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self._in_cooldown():
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0

    def _reduce(self) -> None:
        pairs = zip(self.optimizer.param_groups, self._get_value(), strict=False)
        for index, (group, value) in enumerate(pairs):
            if group[self.param_name] - value > self.eps:
                group[self.param_name] = value
                self.print_value(self.verbose, index, value)

    def print_value(self, is_verbose: bool, group: int, value: float) -> None:
        """Log a group's new value, with the step; see :meth:`_ParamScheduler.print_value`."""
        if is_verbose:
            message = f"Adjusting parameter value of group {group} to {value:.4e}"
            print_log(f"{message} in epoch {self.last_step}.", logger="current")

    def _get_value(self) -> list[Any]:
        reduced = (float(value) * self.factor for value in self._values())
        return [max(pair) for pair in zip(reduced, self.min_values, strict=False)]

    def _in_cooldown(self) -> bool:
        return self.cooldown_counter > 0

    def _is_better(self, a: float, best: float) -> bool:
        margin = -self.threshold if self.rule == "less" else self.threshold
        bound = best * (1.0 + margin) if self.threshold_rule == "rel" else best + margin
        return bool(a < bound if self.rule == "less" else a > bound)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(
            f"{name} must be one of {', '.join(choices)}, not {value!r}",
            choices=nearest(str(value), choices),
        )
