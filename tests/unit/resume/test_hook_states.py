"""Hooks go on with what they have counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mm2pl import checkpoint
from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.hooks import Hook
from mm2pl.runner import Runner
from tests.unit.resume.changed_runs import said
from tests.unit.resume.resume_runs import (
    Trace,
    checkpoints,
    config,
    disturb,
    epochs,
    iterations,
    run,
)

pytestmark = pytest.mark.filterwarnings("ignore:scheduler.step")


class Falling(BaseMetric):
    """Scores that follow from how far the training is."""

    def __init__(self, scores: list[float]) -> None:
        super().__init__()
        self.scores = scores
        self.runner: Any = None

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        loop = self.runner.train_loop
        return {"score": self.scores[loop.epoch - 1 if loop.by_epoch else loop.iter // 4 - 1]}


class Bind(Hook):
    def before_run(self, runner: Any) -> None:
        for metric in runner.val_loop.evaluator.metrics:
            metric.runner = runner


STOP = {"type": "EarlyStoppingHook", "monitor": "score", "rule": "greater", "patience": 3}
BEST = {"type": "CheckpointHook", "interval": 1, "save_best": "score", "rule": "greater"}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("epoch_3", "epoch_6")]
SCORES = [1.0, 5.0, 3.0, 9.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0]


def train(
    folder: Path, start: Path | None = None, stop: Any = STOP, **changes: Any
) -> tuple[list[Any], Runner]:
    disturb()
    settings = config(
        folder,
        **{
            "train_cfg": epochs(10),
            "val_evaluator": {"metrics": [Falling(SCORES)]},
            "log_level": "INFO",
            **changes,
        },
    )
    if start is not None:
        settings |= {"load_from": str(start), "resume": True}
    trace = Trace()
    settings["custom_hooks"] = [*settings.get("custom_hooks", []), Bind(), stop, trace]
    runner = Runner(**settings)
    runner.train()
    return trace.steps, runner


@pytest.mark.parametrize("point", ["epoch_5", *SLOW])
def test_a_resumed_run_stops_early_where_the_whole_one_does(point: str, tmp_path: Path) -> None:
    options = {"default_hooks": checkpoints(by_epoch=True)}
    whole, runner = train(tmp_path / "whole", **options)
    assert runner.epoch == 7
    steps, runner = train(tmp_path / "new", tmp_path / "whole" / f"{point}.pth", **options)
    assert runner.epoch == 7
    assert steps == whole[-len(steps) :]


@pytest.mark.parametrize("by_epoch", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_one_from_a_best_checkpoint_too(by_epoch: bool, tmp_path: Path) -> None:
    """It is written within a validation, before the hook has seen its score."""
    options: dict[str, Any] = {"default_hooks": {"checkpoint": BEST | {"by_epoch": by_epoch}}}
    if not by_epoch:
        options["train_cfg"] = iterations(40)
    whole, _ = train(tmp_path / "whole", **options)
    (best,) = (tmp_path / "whole").glob("best_score_*")
    hooks = checkpoint.read(best)["mm2pl"]["hooks"]
    assert (hooks["EarlyStoppingHook"]["wait_count"], hooks["EarlyStoppingHook"]["best_score"]) == (
        0,
        9,
    )
    steps, _ = train(tmp_path / "new", best, **options)
    assert steps == whole[-len(steps) :]


def test_a_run_that_was_stopped_stays_so(tmp_path: Path) -> None:
    hook = BEST | {"rule": "less"}  # of equal scores the last is no better: saved at the threshold
    options = {"default_hooks": {"checkpoint": hook}}
    stop = STOP | {"rule": "less", "stopping_threshold": 1.5}
    train(tmp_path / "whole", stop=stop, **options)
    start = tmp_path / "whole" / "epoch_1.pth"
    (best,) = (tmp_path / "whole").glob("best_score_*")
    steps, runner = train(tmp_path / "new", best, stop=stop, **options)
    assert steps == []
    assert "The training was ended before: Stopping threshold reached" in said(runner)
    assert start.is_file()


def test_with_more_patience_it_goes_on(tmp_path: Path) -> None:
    options = {"default_hooks": {"checkpoint": BEST | {"rule": "less"}}}
    stop = STOP | {"rule": "less", "stopping_threshold": 1.5}
    train(tmp_path / "whole", stop=stop, **options)
    (best,) = (tmp_path / "whole").glob("best_score_*")
    _, runner = train(
        tmp_path / "new", best, stop=STOP | {"rule": "less", "patience": 4}, **options
    )
    assert runner.epoch == 5


class Counting(Hook):
    def __init__(self, kept: Any = None) -> None:
        self.count = torch.zeros(2)
        self.kept = kept

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        self.count += 1

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count, "kept": self.kept}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.count, self.kept = state_dict["count"], state_dict["kept"]


def test_hooks_of_ones_own_with_a_state_go_on_each_with_its_own(tmp_path: Path) -> None:
    run(config(tmp_path / "old", custom_hooks=[Counting("a"), Counting(["b", (1, {2.0})])]))
    hooks = [Counting(), Counting()]
    start = str(tmp_path / "old" / "iter_4.pth")
    run(config(tmp_path / "new", custom_hooks=list(hooks), load_from=start, resume=True))
    assert [hook.count.tolist() for hook in hooks] == [[18, 18]] * 2
    assert [hook.kept for hook in hooks] == ["a", ["b", (1, {2.0})]]


def test_a_state_that_would_need_code_to_be_read_is_left_out_with_one_warning(
    tmp_path: Path,
) -> None:
    settings = config(tmp_path, custom_hooks=[Counting(Path("x"))], train_cfg=epochs(1))
    runner = Runner(**settings | {"log_level": "WARNING"})
    runner.train()
    assert said(runner).count("the state of Counting cannot be stored") == 1
    assert "Counting" not in checkpoint.read(tmp_path / "iter_3.pth")["mm2pl"]["hooks"]
