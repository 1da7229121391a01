"""EMAHook by itself; what it does in a run is compared with MMEngine's in tests/parity."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.errors import ConfigError
from mm2pl.mmengine.hooks import EMAHook
from mm2pl.mmengine.model import ExponentialMovingAverage


@pytest.fixture
def runner() -> Any:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    return SimpleNamespace(
        model=model, iter=0, epoch=0, max_iters=8, max_epochs=2, _resume=True, logger=None
    )


def started(runner: Any, **options: Any) -> EMAHook:
    hook = EMAHook(**options)
    hook.before_run(runner)
    hook.before_train(runner)
    return hook


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"begin_iter": 1, "begin_epoch": 1}, "only one of begin_iter and begin_epoch"),
        ({"begin_iter": -2}, "begin_iter must not be negative, got -2"),
        ({"begin_epoch": -1}, "begin_epoch must not be negative, got -1"),
    ],
)
def test_wrong_beginnings_are_refused(options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        EMAHook(**options)
    assert isinstance(caught.value, AssertionError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"begin_iter": 9}, "begin at iter 9, but training ends at 8"),
        ({"begin_epoch": 3}, "begin at epoch 3, but training ends at 2"),
    ],
)
def test_a_beginning_behind_the_end_is_refused(
    runner: Any, options: dict[str, int], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        started(runner, **options)


def test_a_beginning_at_the_very_end_is_allowed(runner: Any) -> None:
    assert started(runner, begin_iter=8).begin_iter == 8
    assert started(runner, begin_epoch=2).enabled_by_epoch


def test_the_average_is_of_the_model_in_a_wrapper(runner: Any) -> None:
    inner = runner.model
    runner.model = nn.DataParallel(inner)
    assert started(runner).src_model is inner


def test_evaluations_exchange_the_weights_and_give_them_back(runner: Any) -> None:
    hook = started(runner, momentum=0.5)
    hook.after_train_iter(runner, 0)
    with torch.no_grad():
        runner.model[0].weight.mul_(2.0)
    present = runner.model[0].weight.clone()
    for stage in ("val", "test"):
        getattr(hook, f"before_{stage}_epoch")(runner)
        assert torch.equal(runner.model[0].weight, present / 2.0)
        getattr(hook, f"after_{stage}_epoch")(runner)
        assert torch.equal(runner.model[0].weight, present)


@pytest.mark.parametrize("update_buffers", [False, True])
def test_buffers_are_exchanged_only_if_they_are_averaged(runner: Any, update_buffers: bool) -> None:
    hook = started(runner, update_buffers=update_buffers)
    runner.model[1].running_mean.fill_(3.0)
    hook.before_val_epoch(runner)
    assert runner.model[1].running_mean.eq(0.0 if update_buffers else 3.0).all()


def test_a_checkpoint_holds_the_average_and_gives_both_back(runner: Any) -> None:
    hook = started(runner, momentum=0.5)
    hook.after_train_iter(runner, 0)
    with torch.no_grad():
        runner.model[0].weight.mul_(2.0)
    present = runner.model[0].weight.clone()
    checkpoint: dict[str, Any] = {"state_dict": runner.model.state_dict()}
    hook.before_save_checkpoint(runner, checkpoint)
    assert torch.equal(checkpoint["state_dict"]["0.weight"], present / 2.0)
    assert torch.equal(checkpoint["ema_state_dict"]["module.0.weight"], present)
    other = started(runner, momentum=0.5)
    other.after_load_checkpoint(runner, checkpoint)
    assert torch.equal(checkpoint["state_dict"]["0.weight"], present)
    assert torch.equal(other.ema_model.module[0].weight, present / 2.0)  # type: ignore[index]
    assert int(other.ema_model.steps) == 1


def test_strict_loading_refuses_other_names(runner: Any) -> None:
    checkpoint: dict[str, Any] = {"state_dict": {"strange": torch.zeros(1)}}
    runner._resume = False
    started(runner).after_load_checkpoint(runner, checkpoint)
    with pytest.raises(RuntimeError, match="strange"):
        started(runner, strict_load=True).after_load_checkpoint(runner, checkpoint)


def test_an_average_of_ones_own_can_be_used(runner: Any) -> None:
    from mm2pl.mmengine.registry import MODELS

    class Mine(ExponentialMovingAverage):
        """Taken by its name."""

    MODELS.register_module(name="MineForEMAHook", module=Mine)
    try:
        assert type(started(runner, ema_type="MineForEMAHook").ema_model) is Mine
    finally:
        del MODELS.module_dict["MineForEMAHook"]
