"""Ends training when a metric has stopped to improve."""

from __future__ import annotations

import copy
import warnings
from math import inf, isfinite
from typing import Any

from mm2pl.errors import ConfigError, Mm2plError, ModelAssertionError
from mm2pl.mmengine.hooks._common import (
    BETTER,
    GREATER_KEYS,
    LESS_KEYS,
    infer_rule,
    trains,
)
from mm2pl.mmengine.hooks.hook import Hook
from mm2pl.mmengine.registry import HOOKS


class _MetricNotFoundError(Mm2plError, RuntimeError):
    """The metric to watch is not among the results."""


@HOOKS.register_module()
class EarlyStoppingHook(Hook):
    """Sets ``runner.train_loop.stop_training`` when ``monitor`` has reached a plateau.

    Differs: what it has counted is in checkpoints, so that a resumed run ends where the run without
    a break would have; MMEngine's begins to count anew.

    Args:
        monitor: Name of the metric, as in the results of a validation.
        rule: ``greater`` or ``less`` is better; by default found from the metric's name.
        min_delta: The least change that counts as an improvement.
        strict: Raise when the results lack the metric, instead of a warning.
        check_finite: Stop when the metric is infinite or not a number.
        patience: Stop after so many validations without improvement.
        stopping_threshold: Stop at once when the metric is better than this.
    """

    priority = "LOWEST"

    rule_map = BETTER
    _default_greater_keys = GREATER_KEYS
    _default_less_keys = LESS_KEYS

    def __init__(
        self,
        monitor: str,
        rule: str | None = None,
        min_delta: float = 0.1,
        strict: bool = False,
        check_finite: bool = True,
        patience: int = 5,
        stopping_threshold: float | None = None,
    ) -> None:
        if rule is not None and rule not in self.rule_map:
            raise ConfigError(f'`rule` should be either "greater" or "less", but got {rule}')
        self.monitor = monitor
        self.rule = rule or self._init_rule(monitor)
        greater = self.rule == "greater"
        self.min_delta = min_delta if greater else -min_delta
        self.strict = strict
        self.check_finite = check_finite
        self.patience = patience
        self.stopping_threshold = stopping_threshold
        self.wait_count = 0
        self.best_score = -inf if greater else inf
        # Why it has ended the training; empty as long as it has not.
        self.stopped = ""
        self._runner: Any = None
        self._judged_at: int | None = -1
        self._was_stopped = False  # before the run at hand

    def _init_rule(self, monitor: str) -> str:
        return infer_rule(monitor, self._default_greater_keys, self._default_less_keys)

    def _check_stop_condition(self, current_score: float) -> tuple[bool, str]:
        """Take a new score in; say whether to stop and why."""
        better = self.rule_map[self.rule]
        if self.check_finite and not isfinite(current_score):
            return True, (
                f"Monitored metric {self.monitor} = {current_score} is infinite. "
                f"Previous best value was {self.best_score:.3f}."
            )
        if self.stopping_threshold is not None and better(current_score, self.stopping_threshold):
            self.best_score = current_score
            return True, (
                f"Stopping threshold reached: `{self.monitor}` = {current_score} is {self.rule} "
                f"than {self.stopping_threshold}."
            )
        if not better(self.best_score + self.min_delta, current_score):
            self.best_score = current_score
            self.wait_count = 0
            return False, ""
        self.wait_count += 1
        if self.wait_count < self.patience:
            return False, ""
        return True, (
            f"the monitored metric did not improve in the last {self.wait_count} records. "
            f"best score: {self.best_score:.3f}. "
        )

    def before_run(self, runner: Any) -> None:
        """Check that the training loop, where there is one, can be stopped.

        Differs: a validation or test alone builds no training loop, and so no training data, for
        this check.
        """
        if trains(runner) and not hasattr(runner.train_loop, "stop_training"):
            raise ModelAssertionError(
                f"{type(runner.train_loop).__name__} has no attribute `stop_training`, which "
                "EarlyStoppingHook sets",
                key_path="train_cfg.type",
            )
        if trains(runner):
            self._runner = runner
            self._stay_stopped()

    def after_val_epoch(self, runner: Any, metrics: dict[str, Any] | None = None) -> None:
        """Stop training, or not."""
        metrics = metrics or {}
        if self.monitor not in metrics:
            self._miss(metrics)
            return
        stop, reason = self._check_stop_condition(metrics[self.monitor])
        # A validation alone has no training to stop.
        if trains(runner):
            self._judged_at = _iteration(runner)
            self.stopped = reason
        if stop and trains(runner):
            runner.train_loop.stop_training = True
            runner.logger.info(reason)

    def state_dict(self) -> dict[str, Any]:
        """Return what it has counted, the validation at hand included."""
        judge, score = self, self._score_at_hand()
        if score is not None:
            judge = copy.copy(self)
            _, judge.stopped = judge._check_stop_condition(score)
        counted = {name: getattr(judge, name) for name in ("wait_count", "best_score", "stopped")}
        return counted | {"settings": self._settings()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Count on; with other settings the training is not ended for what the old ones said."""
        settings = state_dict["settings"]
        if (settings["monitor"], settings["rule"]) != (self.monitor, self.rule):
            return
        self.wait_count, self.best_score = state_dict["wait_count"], state_dict["best_score"]
        if settings == self._settings():
            self.stopped = state_dict["stopped"]
            self._was_stopped = bool(self.stopped)
            self._stay_stopped()

    def _settings(self) -> dict[str, Any]:
        names = ("monitor", "rule", "min_delta", "check_finite", "patience", "stopping_threshold")
        return {name: getattr(self, name) for name in names}

    def _stay_stopped(self) -> None:
        if self._was_stopped and self._runner is not None:
            self._was_stopped = False
            self._runner.train_loop.stop_training = True
            self._runner.logger.info(f"The training was ended before: {self.stopped}")

    def _score_at_hand(self) -> float | None:
        """Return the score of a validation in which other hooks come first, and save."""
        runner = self._runner
        if runner is None or self._judged_at == _iteration(runner):
            return None
        scalars = runner.message_hub.log_scalars
        name = f"val/{self.monitor}"
        if not (runner.train_loop.validating or runner.trainer.validating) or name not in scalars:
            return None
        return float(scalars[name].current())

    def _miss(self, metrics: dict[str, Any]) -> None:
        if self.strict:
            raise _MetricNotFoundError(
                f"Early stopping conditioned on metric `{self.monitor}` is not available.",
                choices=list(metrics),
                hint="Set `strict=False` in `EarlyStoppingHook` to go on without it.",
            )
        warnings.warn(
            f"Skip early stopping process since the evaluation results ({metrics.keys()}) do not "
            f"include `monitor` ({self.monitor}).",
            stacklevel=2,
        )


def _iteration(runner: Any) -> int | None:
    return getattr(runner.train_loop, "iter", None)
