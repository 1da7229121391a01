"""``FlexibleRunner`` goes on like ``Runner``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mm2pl.errors import CheckpointError
from mm2pl.flexible_runner import FlexibleRunner
from mm2pl.mmengine._strategy import SingleDeviceStrategy
from tests.unit.resume.changed_runs import Rates, said
from tests.unit.resume.resume_runs import Net, config, disturb
from tests.unit.resume.test_changed_schedules import BARE, cosine

pytestmark = pytest.mark.filterwarnings("ignore:scheduler.step")


def train(folder: Path, start: Path | None = None, **changes: Any) -> tuple[Rates, FlexibleRunner]:
    disturb()
    rates = Rates()
    settings = config(folder, **BARE | changes, custom_hooks=[rates])
    if start is not None:
        settings |= {"load_from": str(start), "resume": True}
    runner = FlexibleRunner(**settings)
    runner.train()
    return rates, runner


@pytest.mark.slow
def test_a_changed_schedule_is_where_it_would_be(tmp_path: Path) -> None:
    truth, _ = train(tmp_path / "truth", param_scheduler=[cosine(T_max=7)])
    train(tmp_path / "old", param_scheduler=[cosine(T_max=4)])
    start = tmp_path / "old" / "iter_8.pth"
    found, runner = train(tmp_path / "new", start, param_scheduler=[cosine(T_max=7)])
    assert found.steps == {step: truth.steps[step] for step in range(8, 18)}
    assert "param_scheduler[0].T_max: 4 -> 7" in said(runner)


def test_a_file_without_an_optimizer_is_refused(tmp_path: Path) -> None:
    hook = {"type": "CheckpointHook", "interval": 1, "save_optimizer": False}
    train(tmp_path / "old", default_hooks={"checkpoint": hook})
    start = tmp_path / "old" / "epoch_1.pth"
    with pytest.raises(CheckpointError, match="holds no optimizer"):
        train(tmp_path / "new", start)
    strategy = SingleDeviceStrategy(work_dir=str(tmp_path))
    strategy.prepare(Net())
    with pytest.raises(CheckpointError, match=r"holds no optimizer(?s:.*)resume_optimizer=False"):
        strategy.resume(str(start))
