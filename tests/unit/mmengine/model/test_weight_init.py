"""Initialisers against MMEngine's, and their errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.errors import ConfigError, ConfigTypeError, ModelError
from mm2pl.mmengine.model import BaseInit, initialize, update_init_info
from mm2pl.mmengine.model.weight_init import InitTargetError, trunc_normal_


@pytest.mark.proves(
    "WEIGHT_INITIALIZERS.*",
    "mmengine.model.{Constant,Kaiming,Normal,TruncNormal,Uniform,Xavier,Caffe2Xavier}Init",
)
def test_every_init_cfg_gives_the_same_bits_and_errors(both: Any) -> None:
    both.assert_same("initialize")


@pytest.mark.proves(
    "mmengine.model.{constant,kaiming,normal,trunc_normal,uniform,xavier,caffe2_xavier}_init",
)
def test_init_functions_give_the_same_bits(both: Any) -> None:
    both.assert_same("init_functions")


def test_initializers_describe_themselves_in_the_same_words(both: Any) -> None:
    both.assert_same("initializer_descriptions")


@pytest.mark.proves("mmengine.model.PretrainedInit")
def test_pretrained_weights_are_loaded_last_and_alike(both: Any) -> None:
    both.assert_same("pretrained")


def test_init_cfg_is_not_changed() -> None:
    cfg = dict(type="Constant", val=1, layer="Linear", override=dict(name="1"))
    before = repr(cfg)
    initialize(nn.Sequential(nn.Linear(1, 1), nn.Linear(1, 1)), cfg)
    assert repr(cfg) == before


def test_missing_override_names_the_nearest_submodule() -> None:
    net = nn.Sequential()
    net.add_module("backbone", nn.Linear(1, 1))
    cfg = dict(type="Constant", val=1, override=dict(name="bakbone"))
    with pytest.raises(InitTargetError, match="Did you mean: backbone"):
        initialize(net, cfg)


def test_unknown_distribution_lists_the_choices() -> None:
    cfg = dict(type="Kaiming", layer="Linear", distribution="gauss")
    with pytest.raises(ConfigError, match="normal, uniform"):
        initialize(nn.Linear(1, 1), cfg)


def test_wrong_argument_type_says_what_was_given() -> None:
    with pytest.raises(ConfigTypeError, match="layer must be str or list or NoneType, got tuple"):
        BaseInit(layer=("Linear",))  # type: ignore[arg-type]


def test_trunc_normal_warns_when_the_mean_lies_far_outside() -> None:
    with pytest.warns(UserWarning, match="more than 2 std outside"):
        filled = trunc_normal_(torch.empty(3), mean=9.0)
    assert filled.max() <= 2


def test_update_init_info_outside_init_weights_is_refused() -> None:
    with pytest.raises(ModelError, match="only within init_weights"):
        update_init_info(nn.Linear(1, 1), "x")
