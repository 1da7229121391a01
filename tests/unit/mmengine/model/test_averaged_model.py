"""Weight averages against MMEngine's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import swa_utils

from mm2pl.errors import ConfigError
from mm2pl.mmengine.model import (
    BaseAveragedModel,
    ExponentialMovingAverage,
    StochasticWeightAverage,
)


@pytest.mark.slow
def test_every_average_gives_the_same_bits(both: Any) -> None:
    both.assert_same("averages")


def test_momentum_out_of_range_is_refused() -> None:
    with pytest.raises(ConfigError, match="between 0 and 1"):
        ExponentialMovingAverage(nn.Linear(1, 1), momentum=2)


def test_average_without_avg_func_is_refused_at_the_second_update() -> None:
    model = nn.Linear(1, 1)
    average = BaseAveragedModel(model)
    average.update_parameters(model)
    with pytest.raises(NotImplementedError, match="avg_func"):
        average.update_parameters(model)


def test_copy_lives_on_the_given_device() -> None:
    average = ExponentialMovingAverage(nn.Linear(1, 1), device=torch.device("meta"))
    assert average.module.weight.device.type == "meta"
    assert average.steps.device.type == "meta"


def test_count_of_updates_survives_a_checkpoint() -> None:
    model = nn.Linear(1, 1)
    average = ExponentialMovingAverage(model)
    average.update_parameters(model)
    again = ExponentialMovingAverage(model)
    again.load_state_dict(average.state_dict())
    assert again.steps == 1


def averaged_by_torch_and_by_us(ours: Any, theirs: Any) -> list[dict[str, Any]]:
    """Return the weights after 30 updates of the same model."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 9), nn.BatchNorm1d(9), nn.Linear(9, 4))
    averages = [ours(model), theirs(model)]
    for _ in range(30):
        with torch.no_grad():
            for weights in model.parameters():
                weights.add_(torch.randn_like(weights) * 0.1)
        model(torch.randn(8, 6))
        for average in averages:
            average.update_parameters(model)
    return [average.module.state_dict() for average in averages]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            lambda model: ExponentialMovingAverage(model, momentum=0.1),
            lambda model: swa_utils.AveragedModel(
                model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9)
            ),
        ),
        (
            StochasticWeightAverage,
            lambda model: swa_utils.AveragedModel(
                model, multi_avg_fn=swa_utils.get_swa_multi_avg_fn()
            ),
        ),
    ],
    ids=["exponential", "plain"],
)
def test_torchs_own_averages_come_to_the_same_weights(ours: Any, theirs: Any) -> None:
    mine, torchs = averaged_by_torch_and_by_us(ours, theirs)
    assert list(mine) == list(torchs)
    for name, weights in mine.items():
        torch.testing.assert_close(weights, torchs[name])


def test_integers_are_left_alone_where_torch_averages_them() -> None:
    """Why averages with buffers are not torch's."""
    mine, torchs = averaged_by_torch_and_by_us(
        lambda model: ExponentialMovingAverage(model, momentum=0.1, update_buffers=True),
        lambda model: swa_utils.AveragedModel(
            model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.9), use_buffers=True
        ),
    )
    assert int(mine["1.num_batches_tracked"]) == 1
    assert int(torchs["1.num_batches_tracked"]) > 1
