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
from torchmetrics.classification import MulticlassAccuracy, MulticlassAUROC

from tests.unit.metrics.metric_toys import CLASSES, GUESS, TRUTH

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[2, 3])
def ranks(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("processes")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [
            *command,
            f"--nproc_per_node={request.param}",
            str(Path(__file__).with_name("processes.py")),
            str(folder),
        ],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(request.param)]


@pytest.mark.filterwarnings("ignore:No (positive|negative) samples in targets")
@pytest.mark.parametrize("size", [2, 5, 7, 9])
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
        "samples": size,
        "boxes": size + int(GUESS[:size].sum()),
        "of/micro": right,
        "of/macro": float(MulticlassAccuracy(CLASSES)(GUESS[:size], TRUTH[:size])),
    }
    for rank in ranks:
        assert rank[f"{size} {batch}"] == pytest.approx(expected)


def test_a_metric_of_mmengines_collects_in_lightning_code(ranks: list[dict[str, Any]]) -> None:
    """With the dataset's size the samples that were added are dropped, without it all count."""
    for rank in ranks:
        sized, whole = rank["lightning"]
        assert sized["share/count"] == 9
        assert sized["share/right"] == pytest.approx(float((GUESS == TRUTH)[:9].float().mean()))
        assert whole["share/count"] == 9 + -9 % len(ranks)


def test_losses_and_metrics_of_several_sets(ranks: list[dict[str, Any]]) -> None:
    """Neither counts the samples that the sampler has added."""
    expected = {}
    for name, size in (("a", 9), ("b", 5)):
        right = float((GUESS == TRUTH)[:size].float().mean())
        squares = sum(i * i for i in range(size)) / size
        expected[f"{name}/MulticlassAccuracy"] = expected[f"{name}/val_acc"] = right
        expected |= {f"{name}/val_loss_x": squares, f"{name}/val_loss_wrong": 1 - right}
        expected[f"{name}/val_loss"] = squares + 1 - right
    for rank in ranks:
        assert rank["sets"] == pytest.approx(expected)


def test_a_sampler_that_deals_unevenly_is_followed(ranks: list[dict[str, Any]]) -> None:
    """As mmdet's for videos, which gives each process whole ones."""
    right = float((GUESS == TRUTH)[:9].float().mean())
    assert [rank["uneven"] for rank in ranks] == [
        {"MulticlassAccuracy": pytest.approx(right)} for _ in ranks
    ]


def test_a_mean_that_would_leave_samples_out_is_refused(ranks: list[dict[str, Any]]) -> None:
    assert all("DefaultSampler deals samples out evenly" in rank["uneven loss"] for rank in ranks)


def test_no_process_waits_for_one_that_has_too_many_samples(ranks: list[dict[str, Any]]) -> None:
    told = {rank["every process has all"] for rank in ranks}
    assert len(told) == 1
    assert "samples too many came before the last batch of process" in told.pop()
