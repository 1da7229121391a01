"""Metrics of MMEngine's in plain Lightning code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch.utils.data import DataLoader

from mm2pl.metrics import MMEngineMetric
from mm2pl.mmengine.evaluator import BaseMetric, Evaluator
from mm2pl.mmengine.registry import METRICS
from tests.unit.metrics.metric_toys import ACCURACY, Points, elements


class Share(BaseMetric):
    default_prefix = "share"

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [bool(s["pred_label"] == s["gt_label"]) for s in data_samples]

    def compute_metrics(self, results: list[bool]) -> dict[str, float]:
        assert self.dataset_meta is not None
        classes = len(self.dataset_meta["classes"])
        return {"right": sum(results) / len(results), "count": len(results), "classes": classes}


META = {"classes": ("a", "b", "c")}
EXPECTED = {"share/right": 0.6, "share/count": 10, "share/classes": 3}


class Module(pl.LightningModule):
    """Plain Lightning: the metric is updated at each step and logged at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.metric = MMEngineMetric(Share(), dataset_meta=META)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self.weight.sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        rows = zip(batch["guess"], batch["truth"], strict=True)
        self.metric([{"pred_label": guess, "gt_label": truth} for guess, truth in rows], batch)

    def on_validation_epoch_end(self) -> None:
        self.log_dict(self.metric.compute())
        self.metric.reset()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.filterwarnings("ignore:The .*_dataloader. does not have many workers")
@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")
def test_it_is_logged_in_a_fit(tmp_path: Path) -> None:
    loader = DataLoader(Points(), batch_size=4)
    trainer = pl.Trainer(
        max_epochs=2,
        default_root_dir=tmp_path,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    trainer.fit(Module(), loader, loader)
    found = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert found == pytest.approx(EXPECTED)


def test_configs_and_evaluators_are_taken() -> None:
    METRICS.register_module(name="ShareHere", module=Share)
    try:
        metrics = [MMEngineMetric({"type": "ShareHere"}, META)]
    finally:
        METRICS.module_dict.pop("ShareHere")
    metrics += [MMEngineMetric([Share()], META), MMEngineMetric(Evaluator(Share()), META)]
    for metric in metrics:
        metric.update(elements())
        assert metric.compute() == EXPECTED


def test_computing_twice_gives_the_same_and_reset_forgets() -> None:
    metric = MMEngineMetric(Share(), META)
    metric.update(elements())
    assert metric.compute() == metric.compute() == EXPECTED
    metric.reset()
    metric.update(elements(4))
    assert metric.compute()["share/count"] == 4


def test_a_second_value_is_of_all_updates_since_the_reset() -> None:
    metric = MMEngineMetric([Share(), ACCURACY], META)
    for part in (elements()[:4], elements()[4:]):
        metric.update(part)
        found = metric.compute()
    assert found == {**EXPECTED, "MulticlassAccuracy": pytest.approx(EXPECTED["share/right"])}


@pytest.mark.parametrize("computed", [False, True])
def test_reset_forgets_all(computed: bool) -> None:
    right = [float(one.pred_label == one.gt_label) for one in elements(3)]
    metric = MMEngineMetric([Share(), ACCURACY], META)
    for part in (elements()[:4], elements()[4:]):
        metric.update(part)
    if computed:
        metric.compute()
    metric.reset()
    metric.update(elements(3))
    found = metric.compute()
    assert found["share/count"] == 3
    assert found["MulticlassAccuracy"] == pytest.approx(sum(right) / 3)


def test_what_lies_beyond_the_size_is_dropped() -> None:
    metric = MMEngineMetric(Share(), META, size=7)
    metric.update(elements())
    assert metric.compute()["share/count"] == 7
