"""CheckpointHook in runs with classes of the user's, several hooks, and files of other runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mm2pl import checkpoint
from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.hooks import CheckpointHook
from mm2pl.mmengine.logging import MessageHub
from mm2pl.runner import Runner
from tests.unit.test_runner import config

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*scheduler.step.. was called before"),
]


class Rising(BaseMetric):
    """Each epoch is the best one."""

    default_prefix = "m"

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(0)

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"score": MessageHub.get_current_instance().get_info("epoch") + 1}


def _train(folder: Path, *hooks: dict[str, Any], epochs: int = 2, **changes: Any) -> Runner:
    """Train with a hook in place of the default one, and others beside it."""
    settings = {
        "train_cfg": {"by_epoch": True, "max_epochs": epochs},
        "val_evaluator": {"type": Rising},
        "default_hooks": {"checkpoint": {"type": "CheckpointHook", "interval": 1} | hooks[0]},
        "custom_hooks": [{"type": "CheckpointHook", "interval": 1} | hook for hook in hooks[1:]],
    }
    runner = Runner.from_cfg(config(folder, **(settings | changes)))
    runner.train()
    return runner


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.pth"))


class OwnStep(CheckpointHook):
    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict[str, Any]) -> None:
        meta["note"] = f"step {step}"
        super()._save_checkpoint_with_step(runner, step, meta)


def test_a_class_that_overrides_the_saving_of_a_step_as_in_mmengine_saves_best_ones(
    tmp_path: Path,
) -> None:
    _train(tmp_path, {"type": OwnStep, "save_best": "m/score", "rule": "greater"})
    assert _names(tmp_path) == ["best_m_score_epoch_2.pth", "epoch_1.pth", "epoch_2.pth"]
    assert checkpoint.read(tmp_path / "epoch_2.pth")["meta"]["note"] == "step 2"


class OwnLast(CheckpointHook):
    def _save_checkpoint(self, runner: Any) -> None:
        self.last_ckpt = str(Path(runner.work_dir, "own.pth"))
        runner.save_checkpoint(runner.work_dir, "own.pth")


def test_a_class_that_saves_the_last_one_itself_gets_it_again_with_the_best_as_in_mmengine(
    tmp_path: Path,
) -> None:
    _train(tmp_path, {"type": OwnLast, "save_best": "m/score", "rule": "greater"})
    assert set(_names(tmp_path)) >= {"own.pth", "epoch_1.pth", "epoch_2.pth"}
    newest = checkpoint.read(tmp_path / "epoch_2.pth")
    assert newest["message_hub"]["runtime_info"]["best_score"] == 2


def test_client_args_of_the_old_kind_name_the_disk(tmp_path: Path) -> None:
    out = tmp_path / "out"
    old = {"out_dir": str(out), "file_client_args": {"backend": "disk"}}
    _train(tmp_path / "run", old | {"save_best": "m/score", "rule": "greater"})
    assert _names(out / "run") == ["best_m_score_epoch_2.pth", "epoch_1.pth", "epoch_2.pth"]


def test_a_run_that_begins_with_the_file_of_another_leaves_that_ones_files_alone(
    tmp_path: Path,
) -> None:
    hook = {"max_keep_ckpts": 1, "save_best": "m/score", "rule": "greater"}
    _train(tmp_path / "first", hook)
    kept = _names(tmp_path / "first")
    begin = str(tmp_path / "first" / kept[0])
    assert kept == ["best_m_score_epoch_2.pth", "epoch_2.pth"]
    second = Runner.from_cfg(
        config(
            tmp_path / "second",
            train_cfg={"by_epoch": True, "max_epochs": 4},
            val_evaluator={"type": Rising},
            default_hooks={"checkpoint": {"type": "CheckpointHook", "interval": 1} | hook},
            load_from=begin,
            resume=True,
        )
    )
    second.message_hub.update_info("preempted_ckpt", begin)
    second.train()
    assert _names(tmp_path / "second") == ["best_m_score_epoch_4.pth", "epoch_4.pth"]
    assert _names(tmp_path / "first") == kept


def test_hooks_that_write_in_the_background_and_at_once_take_turns(tmp_path: Path) -> None:
    runner = _train(
        tmp_path,
        {"async_save": True},
        {"filename_tmpl": "two_{}.pth"},
        {"filename_tmpl": "three_{}.pth", "async_save": True},
        epochs=8,
    )
    hooks = [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    assert (tmp_path / "last_checkpoint").read_text() == hooks[-1].last_ckpt
    assert len(_names(tmp_path)) == 24


@pytest.mark.parametrize("saves_last", [True, False])
def test_a_hook_saves_the_last_one_again_after_a_resume_if_it_had_saved_one(
    tmp_path: Path, saves_last: bool
) -> None:
    best = {"save_best": "m/score", "rule": "greater", "filename_tmpl": "two_{}.pth"}
    best |= {"save_begin": 1 if saves_last else 9, "save_last": False}
    _train(tmp_path / "whole", {}, best, epochs=4)
    _train(tmp_path / "cut", {}, best, epochs=2)
    _train(tmp_path / "cut", {}, best, epochs=4, resume=True)
    assert _names(tmp_path / "cut") == _names(tmp_path / "whole")
    assert ("two_4.pth" in _names(tmp_path / "whole")) is saves_last
