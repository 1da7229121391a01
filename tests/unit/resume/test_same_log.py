"""What a resumed run logs is what the run without a break logs from there on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from mm2pl.runner import Runner
from tests.unit.resume.changed_runs import said
from tests.unit.resume.resume_runs import SGD, config, disturb

pytestmark = pytest.mark.filterwarnings("ignore:scheduler.step")
TIMES = ("time", "data_time", "eta", "memory")
WINDOWS = {
    "by_epoch": True,
    "custom_cfg": [
        {
            "data_src": "loss",
            "log_name": f"loss_{window}",
            "method_name": "mean",
            "window_size": window,
        }
        for window in (7, "epoch", "global")
    ],
}


def logged(folder: Path, **changes: Any) -> tuple[list[str], list[Any]]:
    """Train; return the lines and the scalars of the log, less times."""
    disturb()
    settings = config(folder, log_processor=WINDOWS, **changes) | {"log_level": "INFO"}
    settings["default_hooks"]["logger"] = {"type": "LoggerHook", "interval": 1}
    runner = Runner(**settings)
    runner.train()
    lines = re.findall(r"(?:Epoch|Iter)\((?:train|val)\).*", said(runner))
    pattern = rf"\b({'|'.join(TIMES)}): \S+( days?, \S+)?"
    written = "".join(path.read_text() for path in Path(runner.log_dir).rglob("scalars.json"))
    scalars = [json.loads(line) for line in written.splitlines()]
    return (
        [re.sub(pattern, "", line) for line in lines],
        [{k: v for k, v in one.items() if k not in TIMES} for one in scalars],
    )


@pytest.mark.parametrize("point", [pytest.param(4, marks=pytest.mark.slow), 6])
def test_smoothed_losses_and_metrics_are_equal(point: int, tmp_path: Path) -> None:
    options = {"optim_wrapper": {**SGD, "clip_grad": {"max_norm": 1.0}}}
    lines, scalars = logged(tmp_path / "whole", **options)
    start = str(tmp_path / "whole" / f"iter_{point}.pth")
    again, again_scalars = logged(tmp_path / "new", load_from=start, resume=True, **options)
    assert len(again) > 18 - point
    assert again == lines[-len(again) :]
    assert again_scalars == scalars[-len(again_scalars) :]
