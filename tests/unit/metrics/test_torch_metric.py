"""Metrics of torchmetrics in evaluators."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import MulticlassAccuracy, MulticlassF1Score

from mm2pl.errors import ConfigError, DataError, DataKeyError
from mm2pl.metrics import TorchMetric
from mm2pl.mmengine.evaluator import BaseMetric, Evaluator
from mm2pl.mmengine.registry import METRICS
from mm2pl.mmengine.structures import BaseDataElement, InstanceData
from mm2pl.runner import Runner
from mm2pl.translate import translate
from tests.unit.metrics.metric_toys import (
    ACCURACY,
    GUESS,
    TM,
    TRUTH,
    elements,
    settings,
)

RIGHT = [bool(one) for one in GUESS == TRUTH]


def share(count: int = 10) -> Any:
    return pytest.approx(sum(RIGHT[:count]) / count)


def offline(*metrics: Any, samples: Any = None, chunk: int = 4, **more: Any) -> dict[str, Any]:
    given = elements() if samples is None else samples
    return Evaluator(list(metrics)).offline_evaluate(given, chunk_size=chunk, **more)


@pytest.mark.parametrize("chunk", [1, 3, 10])
def test_a_class_named_in_the_config_gets_the_predictions(chunk: int) -> None:
    assert offline(ACCURACY, chunk=chunk) == {"MulticlassAccuracy": share()}


def test_other_arguments_are_the_class_own() -> None:
    found = offline({**ACCURACY, "pred_key": "pred_score", "top_k": 3})
    assert found == {"MulticlassAccuracy": 1.0}


@pytest.mark.parametrize(
    "metric",
    [
        MulticlassAccuracy(3, average="micro"),
        {"type": MulticlassAccuracy, "num_classes": 3, "average": "micro"},
        {"type": "torchmetrics.Accuracy", "task": "multiclass", "num_classes": 3},
        {"type": "mm2pl.metrics.TorchMetric", "metric": ACCURACY},
        TorchMetric(MulticlassAccuracy(3, average="micro")),
    ],
    ids=["object", "class", "by task", "nested", "wrapped"],
)
def test_ways_to_name_a_metric(metric: Any) -> None:
    assert offline(metric) == {"MulticlassAccuracy": share()}


def test_a_subclass_of_ones_own_is_found_by_its_registered_name() -> None:
    METRICS.register_module(name="OwnAccuracy", module=type("Own", (MulticlassAccuracy,), {}))
    try:
        found = offline({**ACCURACY, "type": "OwnAccuracy"})
    finally:
        METRICS.module_dict.pop("OwnAccuracy")
    assert found == {"Own": share()}


def test_a_collection_gives_a_figure_for_each_member() -> None:
    members = [ACCURACY, {"type": f"{TM}MulticlassF1Score", "num_classes": 3}]
    collection = {"type": "torchmetrics.MetricCollection", "metrics": members, "prefix": "all"}
    expected = MetricCollection([MulticlassAccuracy(3, average="micro"), MulticlassF1Score(3)])
    figures = {f"all/{name}": float(value) for name, value in expected(GUESS, TRUTH).items()}
    assert offline(collection) == figures


def test_members_of_a_collection_by_name() -> None:
    collection = {"type": "torchmetrics.MetricCollection", "metrics": {"top1": ACCURACY}}
    assert offline(collection) == {"top1": share()}


def test_a_wrapper_gets_its_metric_built() -> None:
    inner = {**ACCURACY, "average": None}
    wrapper = {"type": "torchmetrics.wrappers.ClasswiseWrapper", "metric": inner, "prefix": "of"}
    labels = {"labels": ["a", "b", "c"]}
    expected = MulticlassAccuracy(3, average=None)(GUESS, TRUTH).tolist()
    found = offline({**wrapper, **labels})
    assert list(found) == [f"of/multiclassaccuracy_{name}" for name in "abc"]
    assert list(found.values()) == expected


def test_several_with_prefixes_beside_a_metric_of_mmengines() -> None:
    class Count(BaseMetric):
        default_prefix = "count"

        def process(self, data_batch: Any, data_samples: Any) -> None:
            self.results += data_samples

        def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
            return {"all": len(results)}

    found = offline({**ACCURACY, "prefix": "a"}, Count(), {**ACCURACY, "name": "named"})
    assert found == {"a/MulticlassAccuracy": share(), "count/all": 10, "named": share()}


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="same metric name MulticlassAccuracy"):
        offline(ACCURACY, ACCURACY)


def test_figures_that_are_no_numbers_stay_tensors() -> None:
    found = offline({"type": f"{TM}MulticlassConfusionMatrix", "num_classes": 3})
    assert found["MulticlassConfusionMatrix"].sum() == 10


def test_results_are_of_the_dataset_only() -> None:
    """What a sampler adds at the end is dropped before torchmetrics sees it."""
    evaluator = Evaluator(ACCURACY)
    for first in (0, 4, 8):
        evaluator.process(elements()[first : first + 4])
    assert evaluator.evaluate(9) == {"MulticlassAccuracy": share(9)}


def test_a_second_round_starts_anew() -> None:
    evaluator = Evaluator(ACCURACY)
    first = evaluator.offline_evaluate(elements())
    evaluator.process(elements(3))
    assert first != evaluator.evaluate(3) == {"MulticlassAccuracy": share(3)}


def test_more_added_samples_than_the_last_batch_are_refused() -> None:
    evaluator = Evaluator(ACCURACY)
    evaluator.process(elements(4))
    evaluator.process(elements(2))
    with pytest.raises(DataError, match="1 samples too many came before the last batch"):
        evaluator.evaluate(3)


# ------------------------------------------------------------------------------ key paths


def nested() -> list[dict[str, Any]]:
    rows = zip(GUESS.tolist(), TRUTH.tolist(), strict=True)
    return [{"pred": {"label": guess}, "gt": np.int64(truth)} for guess, truth in rows]


def batches() -> dict[str, Any]:
    return {"inputs": list(GUESS), "data_samples": elements()}


@pytest.mark.parametrize(
    ("samples", "pred", "target", "batch"),
    [
        (nested(), "pred.label", "gt", None),
        (list(GUESS), "*", "data_batch.data_samples.gt_label", batches()),
        (list(zip(GUESS, TRUTH, strict=True)), "*.0", "*.1", None),
        ((GUESS, TRUTH), "0", "1", None),
        (list(GUESS), "*", "data_batch.1", [GUESS, TRUTH]),
        ((GUESS, TRUTH), 0, 1, None),
        (list(GUESS), "*", "data_batch.truth", {"truth": TRUTH.numpy()}),
    ],
    ids=["dicts", "batch", "tuples", "two tensors", "tuple batch", "places", "array"],
)
def test_where_values_may_lie(samples: Any, pred: Any, target: Any, batch: Any) -> None:
    evaluator = Evaluator({**ACCURACY, "pred_key": pred, "target_key": target})
    evaluator.process(samples, batch)
    assert evaluator.evaluate(10) == {"MulticlassAccuracy": share()}


def test_a_lone_argument_and_one_by_name() -> None:
    samples = [{"loss": float(i), "weight": float(i % 2)} for i in range(10)]
    mean = TorchMetric(MeanMetric(), "loss", None, keys={"weight": "weight"})
    assert offline(mean, samples=samples) == {"MeanMetric": 5.0}


def test_a_list_of_numbers_is_one_value() -> None:
    samples = [{"pred_label": [0.1, 0.8, 0.1], "gt_label": label} for label in (1, 1, 0)]
    assert offline(ACCURACY, samples=samples) == {"MulticlassAccuracy": pytest.approx(2 / 3)}


def test_values_of_different_shapes_are_given_one_by_one() -> None:
    samples = [{"p": torch.zeros(i, 2), "t": torch.ones(i, 2)} for i in (1, 2, 3)]
    error = {"type": "torchmetrics.MeanSquaredError", "pred_key": "p", "target_key": "t"}
    assert offline(error, samples=samples) == {"MeanSquaredError": 1.0}


def test_paths_in_a_dict_give_each_sample_a_dict() -> None:
    given: list[Any] = []

    class Boxes(MeanMetric):
        def update(self, preds: Any, target: Any) -> None:  # type: ignore[override]
            given.extend(zip(preds, target, strict=True))

    samples = []
    for count in (1, 2):
        sample = BaseDataElement()
        sample.pred = InstanceData(bboxes=torch.zeros(count, 4), labels=torch.ones(count))
        samples.append(sample)
    paths = {"boxes": "pred.bboxes", "labels": "pred.labels"}
    metric = TorchMetric(Boxes(), paths, "pred")
    Evaluator(metric).process(samples)
    metric.process(None, [])  # the batch before is given on then
    assert [sorted(pred) for pred, _ in given] == [["boxes", "labels"]] * 2
    assert [pred["boxes"].shape for pred, _ in given] == [(1, 4), (2, 4)]
    assert [sorted(target) for _, target in given] == [["bboxes", "labels"]] * 2


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"pred_key": "pred_lable"}, "no 'pred_lable'; there are .*pred_label"),
        ({"target_key": "data_batch.gt"}, "no 'gt'; there are inputs, data_samples"),
        ({"target_key": "data_batch.data_samples.gt"}, "no 'gt'; there are .*gt_label"),
        ({"pred_key": "pred_label.x"}, "a Tensor has no keys"),
        ({"pred_key": "20"}, "no item 20 among 10"),
    ],
)
def test_a_wrong_path_names_the_keys_that_there_are(keys: Any, message: str) -> None:
    with pytest.raises(DataKeyError, match=message):
        Evaluator({**ACCURACY, **keys}).process(elements(), batches())


def test_a_misspelt_key_brings_the_nearest() -> None:
    with pytest.raises(DataKeyError, match=r"Did you mean: pred_label"):
        Evaluator({**ACCURACY, "pred_key": "pred_lable"}).process(elements())


def test_columns_of_different_lengths_are_refused() -> None:
    metric = {**ACCURACY, "target_key": "data_batch.truth"}
    with pytest.raises(DataError, match=r"'pred_label' gives 10, 'data_batch.truth' gives 3"):
        Evaluator(metric).process(elements(), {"truth": TRUTH[:3]})


@pytest.mark.parametrize(
    ("wrong", "key", "message"),
    [
        ({"pred_key": 1.5}, "pred_key", "must be names joined by dots"),
        ({"target_key": {"boxes": None}}, "target_key.boxes", "must be names joined by dots"),
        ({"keys": ["weight"]}, "keys", "must be a dict of paths by argument"),
        ({"pred_key": None, "target_key": None}, None, "there is nothing to give to update"),
    ],
)
def test_an_argument_of_the_wrong_type_is_named(wrong: Any, key: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Evaluator({**ACCURACY, **wrong})
    assert caught.value.key_path == key


@pytest.mark.parametrize(
    ("inner", "key", "message"),
    [
        ({"type": f"{TM}MulticlassAcuracy"}, "metrics.a.type", "Did you mean"),
        ({**ACCURACY, "pred_key": "x"}, "metrics.a.pred_key", "update is called once for all"),
    ],
)
def test_a_wrong_member_of_a_collection_is_named(inner: Any, key: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        Evaluator({"type": "torchmetrics.MetricCollection", "metrics": {"a": inner}})
    assert caught.value.key_path == key


def test_a_class_that_torchmetrics_hides_brings_the_extra() -> None:
    with pytest.raises(ConfigError, match=r"pip install 'torchmetrics\[detection\]'"):
        Evaluator({"type": "torchmetrics.detection.Zzzz"})


def test_a_metric_without_torchmetrics_is_refused() -> None:
    with pytest.raises(TypeError, match="must be a metric of torchmetrics, got 3"):
        TorchMetric(3)


# ------------------------------------------------------------------------------ in a run


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Runner]:
    def build(**changes: Any) -> Runner:
        return Runner(**settings(tmp_path, **changes))

    return build


def test_validation_and_test_of_a_run(run: Any) -> None:
    runner = run()
    runner.train()
    assert runner.trainer.callback_metrics["MulticlassAccuracy"] == share()
    assert runner.test() == {"MulticlassAccuracy": share()}


def test_save_best_and_early_stopping_look_at_it(run: Any, tmp_path: Path) -> None:
    best = {"type": "CheckpointHook", "save_best": "MulticlassAccuracy", "rule": "greater"}
    stop = {"type": "EarlyStoppingHook", "monitor": "MulticlassAccuracy", "patience": 1}
    runner = run(
        default_hooks={"checkpoint": best},
        custom_hooks=[{**stop, "rule": "greater"}],
        train_cfg={"by_epoch": True, "max_epochs": 5},
    )
    runner.train()
    assert (tmp_path / "best_MulticlassAccuracy_epoch_1.pth").exists()
    assert runner.epoch == 2


def test_a_table_is_logged_as_what_it_is(run: Any) -> None:
    table = {"type": f"{TM}MulticlassConfusionMatrix", "num_classes": 3}
    runner = run(val_evaluator=[table, ACCURACY], test_evaluator=[table, ACCURACY])
    runner.train()
    assert runner.test()["MulticlassConfusionMatrix"].trace() == sum(RIGHT)


@pytest.mark.parametrize(
    "evaluator", [MulticlassAccuracy(3, average="micro"), TorchMetric(ACCURACY)]
)
def test_a_metric_object_is_an_evaluator(run: Any, evaluator: Any) -> None:
    assert run(val_evaluator=evaluator).val() == {"MulticlassAccuracy": share()}


def test_one_of_two_of_a_kind_that_is_wrong_is_located(run: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        run(val_evaluator=[ACCURACY, {**ACCURACY, "keys": 3}]).val()
    assert caught.value.key_path == "val_evaluator.1.keys"


def test_a_tuple_of_metrics_is_a_list(run: Any) -> None:
    assert run(val_evaluator=(ACCURACY,)).val() == {"MulticlassAccuracy": share()}


def test_a_name_is_no_metric(run: Any) -> None:
    with pytest.raises(
        ConfigError, match=r"a metric must be a dict .*\nHint: dict\(type='Acc'\)"
    ) as e:
        run(val_evaluator=[ACCURACY, "Acc"]).val()
    assert e.value.key_path == "val_evaluator.1"


def test_a_collection_is_no_evaluator_with_metrics(run: Any) -> None:
    collection = {"type": "torchmetrics.MetricCollection", "metrics": [ACCURACY], "prefix": "c"}
    assert run(val_evaluator=collection).val() == {"c/MulticlassAccuracy": share()}


def test_the_plan_knows_the_keys(tmp_path: Path) -> None:
    plan = translate(settings(tmp_path, val_evaluator={**ACCURACY, "pred_key": "x", "prefix": "p"}))
    notes = {note.key_path: note for note in plan.notes}
    assert notes["val_evaluator.type"].text == "imported from torchmetrics.classification"
    assert "TorchMetric" in notes["val_evaluator.pred_key"].text
    assert not [note for note in plan.notes if note.status.is_finding]
