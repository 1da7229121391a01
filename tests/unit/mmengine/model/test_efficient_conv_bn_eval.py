from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.mmengine.model.efficient_conv_bn_eval import turn_on_efficient_conv_bn_eval


@pytest.mark.parametrize("case", ["joined", "joined_1d_and_3d"])
def test_joined_layers_give_the_same_bits(both: Any, case: str) -> None:
    both.assert_same(case)


def test_the_norm_is_not_called_in_eval_mode_only() -> None:
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    calls: list[int] = []
    model[1].register_forward_hook(lambda *args: calls.append(1))
    turn_on_efficient_conv_bn_eval(nn.ModuleList([model]), "0")
    model.eval()(torch.ones(1, 1, 2, 2))
    assert calls == []
    model.train()(torch.ones(1, 1, 2, 2))
    assert calls == [1]
