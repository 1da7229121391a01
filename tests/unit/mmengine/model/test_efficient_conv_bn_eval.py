from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.mmengine.model import BaseModel
from mm2pl.mmengine.model.efficient_conv_bn_eval import turn_on_efficient_conv_bn_eval
from mm2pl.mmengine.runner import Runner


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


class _Model(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        return {"loss": self.body(torch.stack(inputs)).mean()}


def test_the_config_key_joins_them_before_training(tmp_path: Path) -> None:
    config = {
        "model": {"type": _Model},
        "work_dir": str(tmp_path),
        "train_dataloader": {
            "dataset": [{"inputs": torch.ones(1, 2, 2)}] * 2,
            "sampler": {"type": "DefaultSampler", "shuffle": False},
            "batch_size": 2,
        },
        "train_cfg": {"by_epoch": True, "max_epochs": 1},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
        "cfg": {"efficient_conv_bn_eval": ["body"]},
    }
    runner = Runner(**config)
    runner.train()
    assert "efficient_conv_bn_eval" in runner.model.body.forward.__self__.code
