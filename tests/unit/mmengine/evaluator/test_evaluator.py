"""What our evaluator says beyond what MMEngine's does."""

from __future__ import annotations

from typing import Any

import pytest

from mm2pl.errors import ConfigError
from mm2pl.mmengine.evaluator import BaseMetric, Evaluator, get_metric_value


class _Accuracy(BaseMetric):
    default_prefix = "top"

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.extend(data_samples)

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        return {"acc": sum(results) / len(results)}


def test_two_results_of_one_name_are_refused_with_the_way_out() -> None:
    evaluator = Evaluator([_Accuracy(), _Accuracy()])
    evaluator.process([1])
    with pytest.raises(ConfigError, match=r"name top/acc(.|\n)*Hint(.|\n)*prefix="):
        evaluator.evaluate(1)


def test_results_start_anew_after_an_evaluation() -> None:
    evaluator = Evaluator(_Accuracy())
    evaluator.process([1, 1])
    assert evaluator.evaluate(2) == {"top/acc": 1.0}
    evaluator.process([0])
    assert evaluator.evaluate(1) == {"top/acc": 0.0}


def test_a_misspelt_metric_is_told_its_nearest_name() -> None:
    with pytest.raises(ConfigError, match="Did you mean: top/acc"):
        get_metric_value("top/ac", {"top/acc": 1.0})


@pytest.mark.parametrize("given", ["Accuracy", ["Accuracy"], [_Accuracy(), 3]])
def test_what_is_no_metric_is_refused(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"a metric must be a dict or an object that has process"):
        Evaluator(given)
