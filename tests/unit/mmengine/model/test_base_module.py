"""``init_weights`` over a tree of modules, and the containers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.errors import ConfigKeyError, ConfigTypeError, ModelError
from mm2pl.mmengine.model import BaseModule, Sequential


def test_a_tree_is_initialised_in_the_same_order_and_logged_alike(both: Any) -> None:
    both.assert_same("init_weights_of_a_tree")


def test_containers_behave_alike(both: Any) -> None:
    both.assert_same("containers")


def test_init_cfg_is_copied() -> None:
    cfg = dict(type="Constant", val=1)
    module = BaseModule(cfg)
    cfg["val"] = 2
    assert module.init_cfg == dict(type="Constant", val=1)


def test_failing_init_weights_leaves_no_notes_behind() -> None:
    module = Sequential(nn.Linear(1, 1), init_cfg=dict(type="Constant"))
    with pytest.raises(TypeError):
        module.init_weights()
    assert not hasattr(module[0], "_params_init_info")


@pytest.mark.parametrize("cfg", ["Constant", [["type", "Constant"]]])
def test_init_cfg_without_dicts_is_refused(cfg: Any) -> None:
    with pytest.raises(ConfigTypeError, match="init_cfg of BaseModule must hold dicts"):
        BaseModule(cfg).init_weights()


def test_init_cfg_without_type_is_refused() -> None:
    with pytest.raises(ConfigKeyError, match='needs "type"'):
        BaseModule(dict(val=1)).init_weights()


def test_parameter_added_by_init_weights_is_named() -> None:
    class Adds(BaseModule):
        def init_weights(self) -> None:
            self.late = nn.Parameter(torch.ones(1))

    with pytest.raises(ModelError, match="added or replaced the parameter late"):
        Sequential(Adds()).init_weights()


def test_init_info_goes_to_the_logger_without_a_log_file(logged: list[str]) -> None:
    Sequential(nn.Linear(1, 1, bias=False), init_cfg=dict(type="Constant", val=1)).init_weights()
    assert "0.weight - torch.Size([1, 1])" in logged[-1]
