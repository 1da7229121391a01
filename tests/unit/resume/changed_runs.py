"""Runs that go on with other settings than before, and what they report."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from mm2pl.mmengine.hooks import Hook
from mm2pl.runner import Runner
from tests.unit.resume.resume_runs import config, disturb


class Rates(Hook):
    """Notes the options of all groups at every step."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.steps: dict[int, Any] = {}

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        wrapper = runner.optim_wrapper
        wrappers = dict(wrapper.items()) if hasattr(wrapper, "items") else {"": wrapper}
        self.steps[runner.iter] = {
            name: [{k: v for k, v in group.items() if k != "params"} for group in one.param_groups]
            for name, one in wrappers.items()
        }
        self.steps[runner.iter] = copy.deepcopy(self.steps[runner.iter])


def go(folder: Path, start: Path | None = None, **changes: Any) -> tuple[dict[int, Any], Runner]:
    """Train, from a checkpoint if one is given; return the options at each step, and the runner."""
    disturb()
    settings = config(folder, **copy.deepcopy(changes))
    if start is not None:
        settings |= {"load_from": str(start), "resume": changes.get("resume", True)}
    rates = Rates()
    settings["custom_hooks"] = [*settings.get("custom_hooks", []), rates]
    runner = Runner(**settings)
    runner.train()
    return rates.steps, runner


def said(runner: Runner) -> str:
    """Return what the run's log says."""
    return "".join(path.read_text() for path in Path(runner.log_dir).glob("*.log"))
