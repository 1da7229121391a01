"""Who drives a loop follows from what it overrides."""

from __future__ import annotations

import functools

import pytest
import torch

from mm2pl.driving import Driver, driver_of
from mm2pl.mmengine.runner import (
    BaseLoop,
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    TestLoop,
    ValLoop,
)

TRAIN, EVAL = (EpochBasedTrainLoop, IterBasedTrainLoop), (ValLoop, TestLoop)


def own(base, **methods):
    kind = type("Own", (base,), methods)
    return kind.__new__(kind)


def method(self, *args):
    return None


@pytest.mark.parametrize("base", [*TRAIN, *EVAL])
def test_lightning_drives_mmengines_loops_and_those_that_override_other_methods(base):
    assert driver_of(own(base)) is Driver.LIGHTNING
    assert driver_of(own(base, _decide_current_val_interval=method)) is Driver.LIGHTNING


@pytest.mark.parametrize("base", [*TRAIN, *EVAL])
def test_a_loop_with_its_own_run_drives_itself(base):
    assert driver_of(own(base, run=method)) is Driver.ITSELF


def test_a_loop_with_its_own_run_epoch_drives_itself():
    assert driver_of(own(EpochBasedTrainLoop, run_epoch=method)) is Driver.ITSELF


@pytest.mark.parametrize("decorate", [lambda one: one, torch.no_grad(), functools.partialmethod])
def test_a_run_iter_of_ones_own_runs_each_step_of_training_or_the_whole_evaluation(decorate):
    for base in TRAIN:
        assert driver_of(own(base, run_iter=decorate(method))) is Driver.STEPS
    for base in EVAL:
        assert driver_of(own(base, run_iter=decorate(method))) is Driver.ITSELF


def test_a_method_put_on_the_object_counts():
    loop = own(ValLoop)
    loop.run_iter = method
    assert driver_of(loop) is Driver.ITSELF


def test_a_loop_that_is_only_a_base_loop_drives_itself():
    assert driver_of(own(BaseLoop, run=method)) is Driver.ITSELF
