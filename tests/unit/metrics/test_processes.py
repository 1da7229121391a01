"""Several processes: padded samples do not count, and every rank gets the figures of all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torchmetrics.classification import MulticlassAUROC

from tests.unit.metrics.metric_toys import CLASSES, GUESS, TRUTH

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("processes")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*command, str(Path(__file__).with_name("processes.py")), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]


@pytest.mark.parametrize("size", [5, 7, 9])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_both_ranks_have_the_figures_of_the_dataset(
    ranks: list[dict[str, Any]], size: int, batch: int
) -> None:
    right = float((GUESS == TRUTH)[:size].float().mean())
    scores = torch.nn.functional.one_hot(GUESS[:size], CLASSES).float()
    expected = {
        "MulticlassAccuracy": right,
        "MulticlassAUROC": float(MulticlassAUROC(CLASSES)(scores, TRUTH[:size])),
        "share/right": right,
        "share/count": size,
        "g/right": right,
        "g/count": size,
    }
    for rank in ranks:
        assert rank[f"{size} {batch}"] == pytest.approx(expected)


def test_a_metric_of_mmengines_collects_in_lightning_code(ranks: list[dict[str, Any]]) -> None:
    """With the dataset's size the padded sample is dropped, without it all ten count."""
    for rank in ranks:
        sized, whole = rank["lightning"]
        assert sized["share/count"] == 9
        assert sized["share/right"] == pytest.approx(float((GUESS == TRUTH)[:9].float().mean()))
        assert whole["share/count"] == 10


def test_losses_and_metrics_of_several_sets(ranks: list[dict[str, Any]]) -> None:
    """Neither counts the samples that the sampler has added."""
    expected = {}
    for name, size in (("a", 9), ("b", 5)):
        right = float((GUESS == TRUTH)[:size].float().mean())
        squares = sum(i * i for i in range(size)) / size
        expected[f"{name}/MulticlassAccuracy"] = expected[f"{name}/acc"] = right
        expected |= {f"{name}/loss_x": squares, f"{name}/loss_wrong": 1 - right}
        expected[f"{name}/loss"] = squares + 1 - right
    for rank in ranks:
        assert rank["sets"] == pytest.approx(expected)
