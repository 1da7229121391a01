"""``trainer = dict(precision=...)`` is MMEngine's wrapper of that precision, to the last bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mm2pl.mmengine.optim import AmpOptimWrapper, OptimWrapper
from tests.unit.schedule_runs import train

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec")
SGD = {"type": "SGD", "lr": 0.1}
AMP = {"type": "AmpOptimWrapper", "optimizer": SGD}


def trained(folder: Path, wrapper: Any, trainer: Any = None) -> tuple[Any, bytes]:
    runner = train(folder, batch=16, optim_wrapper=wrapper, trainer=trainer)
    weights = [one.detach().numpy().tobytes() for one in runner.model.parameters()]
    return runner.optim_wrapper, b"".join(weights)


@pytest.mark.proves("trainer.precision")
def test_bf16_mixed_trains_as_the_wrapper_for_bfloat16(tmp_path: Path) -> None:
    plain = {"optimizer": SGD}
    wrapper, by_trainer = trained(tmp_path / "a", plain, {"precision": "bf16-mixed"})
    assert isinstance(wrapper, AmpOptimWrapper)
    assert wrapper.cast_dtype is torch.bfloat16
    assert by_trainer == trained(tmp_path / "b", {**AMP, "dtype": "bfloat16"})[1]
    assert by_trainer != trained(tmp_path / "c", plain)[1]


def test_32_true_takes_the_wrapper_of_mixed_precision_away(tmp_path: Path) -> None:
    wrapper, full = trained(tmp_path / "a", {**AMP, "loss_scale": 8}, {"precision": "32-true"})
    assert type(wrapper) is OptimWrapper
    assert full == trained(tmp_path / "b", {"optimizer": SGD})[1]
