"""Which checkpoint is the best: the rules of metrics, and where the best files lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from mm2pl.errors import ConfigKeyError, ConfigTypeAssertionError, nearest
from mm2pl.mmengine.hooks._common import BETTER, infer_rule


class BestMetrics:
    """What CheckpointHook knows of its ``save_best`` metrics."""

    rule_map = BETTER
    init_value_map = {"greater": -inf, "less": inf}

    save_best: list[str] | None
    greater_keys: Sequence[str]
    less_keys: Sequence[str]
    rules: list[str | None]
    key_indicators: list[str]
    best_ckpt_path: str | None = None

    def _set_rules(self, rules: list[str] | None) -> None:
        metrics = self.save_best
        if metrics is None:
            return
        if "auto" in metrics and len(metrics) > 1:
            raise wrong("save_best", 'cannot hold other metrics beside "auto"')
        if rules is not None and len(rules) not in (1, len(metrics)):
            raise wrong(
                "rule", f"must have 1 entry or one for each of save_best, but has {len(rules)}"
            )
        self.is_better_than: dict[str, Callable[[Any, Any], bool]] = {}
        self._init_rule(rules or [None], metrics)
        if len(self.key_indicators) > 1:
            self.best_ckpt_path_dict: dict[str, str | None] = dict.fromkeys(self.key_indicators)

    def _init_rule(self, rules: Sequence[str | None], key_indicators: list[str]) -> None:
        """Settle which way each metric is better; ``auto`` waits for the first results."""
        if len(rules) == 1:
            rules = [*rules] * len(key_indicators)
        self.rules = [
            self._rule_for(metric, rule) for metric, rule in zip(key_indicators, rules, strict=True)
        ]
        self.key_indicators = key_indicators
        for metric, rule in zip(key_indicators, self.rules, strict=True):
            if rule is not None:
                self.is_better_than[metric] = self.rule_map[rule]

    def _rule_for(self, metric: str, rule: str | None) -> str | None:
        if rule is None and metric != "auto":
            return infer_rule(metric, self.greater_keys, self.less_keys)
        if rule is not None and rule not in self.rule_map:
            raise ConfigKeyError(
                f"rule must be greater, less or None, but got {rule}.",
                key_path="rule",
            )
        return rule

    def _is_best(self, runner: Any, metrics: dict[str, Any], metric: str, rule: str) -> bool:
        """Compare with the best score in the message hub, and replace that."""
        if metric not in metrics:
            raise ConfigKeyError(
                f"The metric {metric!r} is not in the results of the validation",
                key_path="default_hooks.checkpoint.save_best",
                choices=nearest(metric, metrics) or list(metrics),
            )
        score = metrics[metric]
        key = self._info_key("best_score", metric)
        best = runner.message_hub.runtime_info.get(key, self.init_value_map[rule])
        if score is None or not self.is_better_than[metric](score, best):
            return False
        runner.message_hub.update_info(key, score)
        return True

    def _info_key(self, name: str, metric: str) -> str:
        """Return the message hub's key: one metric needs no name, several do."""
        return name if len(self.key_indicators) == 1 else f"{name}_{metric}"

    def _best_path(self, metric: str) -> str | None:
        if len(self.key_indicators) == 1:
            return self.best_ckpt_path
        return self.best_ckpt_path_dict[metric]

    def _set_best_path(self, metric: str, path: str | None) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = path
        else:
            self.best_ckpt_path_dict[metric] = path


def wrong(name: str, message: str) -> ConfigTypeAssertionError:
    """Return the error of an argument."""
    return ConfigTypeAssertionError(f'"{name}" {message}', key_path=name)


def strings(name: str, value: object) -> list[str] | None:
    """Return an argument that is None, a string or several different ones, as a list."""
    if value is None:
        return None
    if isinstance(value, str):
        return [value]
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        kind = "a sequence" if name.endswith("_keys") else "list"
        raise wrong(name, f"should be a str or {kind} of str or None, but got {value!r}")
    if name in ("save_best", "published_keys") and len(set(value)) != len(value):
        raise wrong(name, f"holds an element twice: {value}")
    return list(value)
