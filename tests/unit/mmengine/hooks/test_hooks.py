"""What our hooks do beyond, or better than, MMEngine's."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mm2pl.errors import ConfigError, ConfigKeyError
from mm2pl.mmengine.hooks import (
    CheckpointHook,
    DistSamplerSeedHook,
    EarlyStoppingHook,
    EmptyCacheHook,
    Hook,
    ParamSchedulerHook,
    RuntimeInfoHook,
    SyncBuffersHook,
)
from mm2pl.mmengine.hooks import checkpoint_hook as checkpoint_module
from mm2pl.mmengine.hooks import sync_buffer_hook as sync_buffer_module

_make_runner = runpy.run_path(str(Path(__file__).with_name("scenarios.py")))["make_runner"]


@pytest.fixture
def runner(tmp_path: Path) -> Any:
    return _make_runner("mm2pl.mmengine", str(tmp_path), "test")


def _alone(runner: Any) -> Any:
    """Leave the training loop unbuilt, as in a validation alone."""
    runner._train_loop = {"type": "EpochBasedTrainLoop"}
    del runner.train_loop, runner.epoch, runner.iter
    return runner


def test_validation_alone_saves_no_best_checkpoint(runner: Any) -> None:
    CheckpointHook(save_best="auto").after_val_epoch(_alone(runner), {"acc": 1.0})
    assert list(runner.journal) == []


def test_validation_alone_does_not_build_a_training_loop_to_stop_it(runner: Any) -> None:
    hook = EarlyStoppingHook("acc", stopping_threshold=0.5)
    hook.before_run(_alone(runner))
    hook.after_val_epoch(runner, {"acc": 1.0})
    assert hook.best_score == 1.0


def test_a_missing_best_metric_is_told_the_nearest_one(runner: Any) -> None:
    hook = CheckpointHook(save_best="acc")
    hook.before_train(runner)
    with pytest.raises(ConfigKeyError, match="Did you mean: accu"):
        hook.after_val_epoch(runner, {"accu": 1.0})


def test_checkpoints_are_published_with_a_hash(
    runner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    # The current logger, if there is none yet, would be made and outlive the test.
    monkeypatch.setattr(checkpoint_module, "print_log", lambda text, **_: said.append(text))

    def save(out_dir: str, filename: str, **kwargs: Any) -> None:
        torch.save({"meta": {}, "state_dict": {}, "optimizer": {}}, Path(out_dir, filename))

    runner.save_checkpoint = save
    hook = CheckpointHook(interval=1, save_best="acc", published_keys=["meta", "state_dict"])
    hook.before_train(runner)
    hook.after_train_epoch(runner)
    runner.epoch += 1
    hook.after_val_epoch(runner, {"acc": 1.0})
    hook.after_train(runner)
    published = sorted(Path(runner.work_dir).glob("*-????????.pth"))
    assert [path.name[:-13] for path in published] == ["best_acc_epoch_1", "epoch_1"]
    contents = [set(torch.load(path, weights_only=True)) for path in published]
    assert contents == [{"meta", "state_dict"}] * 2
    assert [str(path) for path in published if any(str(path) in text for text in said)] == [
        str(path) for path in published
    ]


def test_nothing_is_published_for_a_metric_that_was_never_better(runner: Any) -> None:
    hook = CheckpointHook(save_best=["acc", "loss"], published_keys="meta", save_last=False)
    hook.before_train(runner)
    hook.after_val_epoch(runner, {"acc": float("nan"), "loss": None})
    hook.after_train(runner)
    assert not list(Path(runner.work_dir).glob("*.pth"))


def test_sharded_checkpoints_are_removed_as_folders(runner: Any) -> None:
    hook = CheckpointHook(interval=1, max_keep_ckpts=1)
    hook.before_train(runner)
    old = Path(runner.work_dir, "epoch_1.pth")
    runner.save_checkpoint = lambda out_dir, name, **kwargs: Path(out_dir, name).mkdir()
    hook.after_train_epoch(runner)
    assert old.is_dir()
    runner.epoch += 1
    hook.after_train_epoch(runner)
    assert not old.exists()


@pytest.mark.parametrize("name", ["sampler", "batch_sampler"])
def test_the_sampler_is_told_the_epoch(name: str) -> None:
    told: list[int] = []
    sampler = SimpleNamespace(set_epoch=told.append)
    holders = {
        "sampler": SimpleNamespace(sampler=sampler, batch_sampler=None),
        "batch_sampler": SimpleNamespace(
            sampler=object(), batch_sampler=SimpleNamespace(sampler=sampler)
        ),
    }
    loop = SimpleNamespace(dataloader=holders[name])
    DistSamplerSeedHook().before_train_epoch(SimpleNamespace(train_loop=loop, epoch=5))
    assert told == [5]


def test_a_loader_without_samplers_is_left_alone() -> None:
    loop = SimpleNamespace(dataloader=[1, 2])
    told = DistSamplerSeedHook().before_train_epoch(SimpleNamespace(train_loop=loop, epoch=5))
    assert told is None


def test_buffers_are_averaged_once_between_training_and_validation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(sync_buffer_module, "is_distributed", lambda: True)
    monkeypatch.setattr(
        sync_buffer_module, "all_reduce_params", lambda buffers, op: calls.append((buffers, op))
    )
    runner = SimpleNamespace(model=SimpleNamespace(buffers=lambda: "buffers"))
    hook = SyncBuffersHook()
    hook.after_train_epoch(runner)
    hook.before_val_epoch(runner)
    assert calls == [("buffers", "mean")]
    hook.before_val_epoch(runner)
    assert len(calls) == 2


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["after epoch"]),
        ({"before_epoch": True, "after_epoch": False}, ["before epoch"]),
        ({"after_iter": True, "after_epoch": False}, ["after iter"]),
    ],
)
def test_the_cache_is_emptied_where_asked(
    monkeypatch: pytest.MonkeyPatch, settings: Any, expected: list[str]
) -> None:
    now = ""
    emptied: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(now))
    hook = EmptyCacheHook(**settings)
    for now, call in {  # noqa: B007  # read by the lambda above
        "before epoch": lambda: hook.before_val_epoch(None),
        "after iter": lambda: hook.after_train_iter(None, 0),
        "after epoch": lambda: hook.after_test_epoch(None),
    }.items():
        call()
    assert emptied == expected


def test_early_stopping_warns_when_its_metric_is_missing(runner: Any) -> None:
    with pytest.warns(UserWarning, match="Skip early stopping"):
        EarlyStoppingHook("acc").after_val_epoch(runner, {"loss": 1})


def test_strict_early_stopping_fails_when_its_metric_is_missing(runner: Any) -> None:
    with pytest.raises(RuntimeError, match="Did you mean: loss"):
        EarlyStoppingHook("acc", strict=True).after_val_epoch(runner, {"loss": 1})


def test_a_loop_that_cannot_be_stopped_is_refused(runner: Any) -> None:
    del runner.train_loop.stop_training
    with pytest.raises(AssertionError, match="stop_training"):
        EarlyStoppingHook("acc").before_run(runner)


def test_learning_rates_that_are_no_dict_are_refused(runner: Any) -> None:
    runner.optim_wrapper = SimpleNamespace(get_lr=lambda: [0.1])
    with pytest.raises(AssertionError, match="dict of learning rates"):
        RuntimeInfoHook().before_train_iter(runner, 0)


def test_schedulers_of_a_wrong_type_are_refused() -> None:
    with pytest.raises(TypeError, match="param_scheduler"):
        ParamSchedulerHook().after_train_epoch(SimpleNamespace(param_schedulers=1))


def test_stages_are_reported_in_the_order_of_a_run() -> None:
    class Both(Hook):
        def after_run(self, runner: Any) -> None: ...

        def _before_epoch(self, runner: Any, mode: str = "train") -> None: ...

    epochs = ["before_train_epoch", "before_val_epoch", "before_test_epoch"]
    assert Both().get_triggered_stages() == [*epochs, "after_run"]


def test_losses_are_not_read_while_training(runner: Any) -> None:
    class Lazy(torch.Tensor):
        @property
        def is_cpu(self) -> bool:  # type: ignore[override]
            return False

        def item(self) -> Any:
            raise AssertionError("the hook waits for the device")

    loss = torch.ones(()).as_subclass(Lazy)
    RuntimeInfoHook().after_train_iter(runner, 0, None, {"loss": loss})
    assert "train/loss" in runner.message_hub.log_scalars


def test_a_rule_that_cannot_be_found_is_asked_for() -> None:
    with pytest.raises(ConfigError, match="rule='greater'"):
        CheckpointHook(save_best="thing")
