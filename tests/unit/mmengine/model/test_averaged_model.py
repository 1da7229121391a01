"""Weight averages against MMEngine's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.errors import ConfigError
from mm2pl.mmengine.model import BaseAveragedModel, ExponentialMovingAverage


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
