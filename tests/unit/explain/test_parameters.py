"""Parameter groups: those of the real constructor, equal to MMEngine's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.errors import Mm2plError
from mm2pl.explain.parameters import describe, render
from mm2pl.explain.text import columns
from mm2pl.mmengine.model import BaseModel
from mm2pl.mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mm2pl.translate import translate

ROOT = Path(__file__).parents[3]
CONFIG = "configs/digits/digits_cnn_20e.py"
OPTIONS = [
    "optim_wrapper.paramwise_cfg.bias_lr_mult=2.0",
    "optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult=0.5",
    "optim_wrapper.paramwise_cfg.custom_keys.backbone.decay_mult=0.5",
    "auto_scale_lr.enable=True",
    "auto_scale_lr.base_batch_size=256",
]
_REFERENCE = """
import json, os, sys
sys.path.insert(0, ROOT)
os.chdir(ROOT)
from mmengine.config import Config, DictAction
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
cfg = Config.fromfile(CONFIG)
cfg.merge_from_dict({key: DictAction._parse_iterable(value) for key, value in OPTIONS})
model = MODELS.build(cfg.model)
wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
names = {id(parameter): name for name, parameter in model.named_parameters()}
# As Runner.scale_lr does.
scale = float(cfg.train_dataloader.batch_size) / float(cfg.auto_scale_lr.base_batch_size)
rows = {}
for group in wrapper.optimizer.param_groups:
    for parameter in group["params"]:
        options = {key: value for key, value in group.items() if key != "params"}
        rows[names[id(parameter)]] = {**options, "lr": options["lr"] * scale}
print()
print(json.dumps(rows))
"""


def _by_name(page: dict[str, Any], optimizer: str = "") -> dict[str, Any]:
    return {
        one["name"]: group["options"]
        for group in page["optimizers"][optimizer]["groups"]
        for one in group["parameters"]
    }


def _explain(*options: str) -> dict[str, Any]:
    call = [sys.executable, "-m", "mm2pl", "explain", CONFIG, "--model", "--json"]
    if options:
        call += ["--cfg-options", *options]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        call, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    page: dict[str, Any] = json.loads(done.stdout)
    return page


@pytest.mark.slow
def test_groups_are_those_of_mmengine(reference: Any) -> None:
    pairs = [option.split("=") for option in OPTIONS]
    source = f"ROOT, CONFIG, OPTIONS = {str(ROOT)!r}, {CONFIG!r}, {pairs!r}\n{_REFERENCE}"
    theirs = reference.run(source)
    assert _by_name(_explain(*OPTIONS)) == theirs
    options = list(theirs.values())
    assert len({one["lr"] for one in options}) == 3
    assert len({one["weight_decay"] for one in options}) == 2


# --------------------------------------------------------------------------- in this process


class Toy(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(3, 2), nn.BatchNorm1d(2)
        self.first.bias.requires_grad_(False)

    def forward(self, inputs: Any, mode: str = "loss") -> Any:
        return {}


def _page(model: Any = None, **wrapper: Any) -> dict[str, Any]:
    optimizer = {"type": "SGD", "lr": 0.1, "weight_decay": 0.01}
    cfg = {
        "model": Toy() if model is None else model,
        "train_dataloader": {"dataset": [], "sampler": {}, "batch_size": 4},
        "train_cfg": {"by_epoch": True, "max_epochs": 1},
        "optim_wrapper": {"optimizer": optimizer, **wrapper},
    }
    return describe(translate(cfg))


def _text(page: dict[str, Any], everything: bool = False) -> str:
    sections = render(page, everything)
    return "\n".join("\n".join([title, *columns(rows)]) for title, rows in sections)


def test_parameters_are_counted() -> None:
    page = _page()
    assert (page["parameters"], page["trainable"]) == (12, 10)
    assert "12, of which 10 are trainable" in _text(page)


def test_groups_with_equal_options_are_joined() -> None:
    page = _page(paramwise_cfg={"norm_decay_mult": 0.0})
    groups = page["optimizers"][""]["groups"]
    assert [[one["name"] for one in group["parameters"]] for group in groups] == [
        ["first.weight"],
        ["norm.weight", "norm.bias"],
    ]
    assert "weight_decay=0.0: 2 parameters of 4 numbers" in _text(page)


def test_options_that_all_share_stand_once() -> None:
    text = _text(_page(paramwise_cfg={"norm_decay_mult": 0.0}))
    assert text.count("momentum") == 1


def test_a_frozen_parameter_in_no_group_is_told() -> None:
    page = _page(paramwise_cfg={"norm_decay_mult": 0.0})
    assert [one["name"] for one in page["not_optimized"]["frozen"]] == ["first.bias"]
    assert "frozen: no gradient: 1 parameter of 2 numbers" in _text(page)


def test_a_frozen_parameter_in_a_group_is_told() -> None:
    assert "4 parameters of 12 numbers, 1 of them frozen" in _text(_page())


def test_a_long_group_is_cut_unless_all_is_asked_for() -> None:
    page = _page()
    assert "... and 1 more (--all)" in _text(page)
    assert "norm.bias" not in _text(page)
    assert "norm.bias" in _text(page, everything=True)


class _Half:
    """Gives an optimizer to the norm layer only."""

    def __init__(self, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> None:
        self.cfg = optim_wrapper_cfg

    def __call__(self, model: Any) -> Any:
        from mm2pl.mmengine.optim import OptimWrapper, OptimWrapperDict

        named = [
            {"params": [p], "param_name": f"norm.{n}"} for n, p in model.norm.named_parameters()
        ]
        return OptimWrapperDict(norm=OptimWrapper(torch.optim.SGD(named, lr=0.5)))


@pytest.fixture
def half() -> Any:
    OPTIM_WRAPPER_CONSTRUCTORS.register_module(name="Half", module=_Half)
    yield "Half"
    OPTIM_WRAPPER_CONSTRUCTORS.module_dict.pop("Half")


def test_a_parameter_that_no_constructor_takes_is_told(half: str) -> None:
    page = _page(constructor=half)
    assert [one["name"] for one in page["not_optimized"]["left_out"]] == ["first.weight"]


def test_several_optimizers_have_names(half: str) -> None:
    page = _page(constructor=half)
    assert list(page["optimizers"]) == ["norm"]
    assert "norm: SGD" in _text(page)


def test_the_parameters_own_name_divides_no_groups(half: str) -> None:
    page = _page(constructor=half)
    assert len(page["optimizers"]["norm"]["groups"]) == 1


class ConvNeXt(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stages = nn.ModuleList(nn.Linear(2, 2) for _ in range(3))


class Decayed(Toy):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = ConvNeXt()


def test_layer_decay_is_shown_by_layer_without_the_names_once_more() -> None:
    page = _page(
        Decayed(),
        constructor="LearningRateDecayOptimizerConstructor",
        paramwise_cfg={"decay_rate": 0.5, "num_layers": 3, "decay_type": "stage_wise"},
    )
    groups = {one["options"]["group_name"]: one for one in page["optimizers"][""]["groups"]}
    assert {name: one["options"]["lr_scale"] for name, one in groups.items()} == {
        "layer_4_decay": 1.0,
        "layer_4_no_decay": 1.0,
        "layer_1_decay": 0.125,
        "layer_1_no_decay": 0.125,
        "layer_2_decay": 0.25,
        "layer_2_no_decay": 0.25,
        "layer_3_decay": 0.5,
        "layer_3_no_decay": 0.5,
    }
    (row,) = groups["layer_2_decay"]["parameters"]
    assert row["name"] == "backbone.stages.1.weight"
    assert "param_names" not in groups["layer_2_decay"]["options"]
    assert "lr_scale=0.25, group_name='layer_2_decay', lr=0.025: 1 parameter" in _text(page)


def test_without_an_optimizer_the_parameters_are_counted() -> None:
    page = describe(translate({"model": Toy()}))
    assert (page["optimizers"], page["parameters"]) == ({}, 12)


def test_a_model_that_cannot_be_built_is_an_error_with_its_key() -> None:
    with pytest.raises(Mm2plError) as caught:
        _page(model={"type": "NoSuchModel"})
    assert caught.value.key_path == "model.type"
