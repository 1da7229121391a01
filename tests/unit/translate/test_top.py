"""Keys of the top level: the runtime's, variables, misspelt ones, and those of elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from mm2pl.mmengine.config import Config
from mm2pl.plan import Note, Status
from mm2pl.translate import examine


def note(cfg: dict[str, Any], key: str) -> Note:
    notes = examine(Config({"model": {"type": "Net"}, **cfg})).plan.notes
    return next(one for one in notes if one.key_path == key)


VARIABLES = """train_pipeline val_pipeline test_pipeline tta_model tta_pipeline img_norm_cfg
train_batch_size dataset_type data_root backend_args norm_cfg crop_size max_epochs max_iters
base_lr num_classes pretrained checkpoint val_evaluator_full test_evaluator_Flickr30k
train_dataset query_dataloader gallery_dataloader models metrics dynamic_intervals
optim_wrapper_cfg lr codec stage2_num_epochs _data_root metainfo"""


@pytest.mark.parametrize("key", VARIABLES.split())
def test_a_configs_own_variable_is_no_finding(key: str) -> None:
    assert note({key: {"a": 1}}, key).status is Status.VARIABLE


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("optim_warpper", "optim_wrapper"),
        ("train_dataloder", "train_dataloader"),
        ("defualt_hooks", "default_hooks"),
        ("val_evalutor", "val_evaluator"),
        ("custom_hook", "custom_hooks"),
        ("param_schedulers", "param_scheduler"),
        ("visualiser", "visualizer"),
        ("loadfrom", "load_from"),
        ("log_processer", "log_processor"),
    ],
)
def test_a_misspelt_key_of_the_runtime_is_told_with_the_right_one(key: str, meant: str) -> None:
    found = note({key: {"a": 1}}, key)
    assert (found.status, found.choices[0]) == (Status.UNKNOWN, meant)


@pytest.mark.parametrize(
    ("key", "value", "today"),
    [
        ("optimizer", {"type": "SGD"}, "optim_wrapper.optimizer"),
        ("optimizer_config", {"grad_clip": None}, "optim_wrapper.clip_grad"),
        ("lr_config", {"policy": "step"}, "param_scheduler"),
        ("runner", {"type": "IterBasedRunner", "max_iters": 3}, "train_cfg"),
        ("data", {"samples_per_gpu": 2}, "train_dataloader"),
        ("evaluation", {"interval": 1}, "val_evaluator"),
        ("checkpoint_config", {"interval": 1}, "default_hooks.checkpoint"),
        ("log_config", {"interval": 1}, "default_hooks.logger"),
        ("fp16", {"loss_scale": "dynamic"}, "optim_wrapper.type"),
        ("workflow", [("train", 1)], "train_cfg.val_interval"),
        ("dist_params", {"backend": "nccl"}, "env_cfg.dist_cfg"),
        ("cudnn_benchmark", True, "env_cfg.cudnn_benchmark"),
        ("seed", 3, "randomness.seed"),
        ("resume_from", "a.pth", "load_from"),
        ("total_epochs", 12, "train_cfg.max_epochs"),
        ("paramwise_cfg", {"lr_mult": 2}, "optim_wrapper.paramwise_cfg"),
    ],
)
def test_a_key_of_earlier_or_of_a_section_has_no_effect_and_names_its_place(
    key: str, value: Any, today: str
) -> None:
    found = note({key: value}, key)
    assert (found.status, found.choices) == (Status.NO_EFFECT, (today,))


@pytest.mark.parametrize(
    ("key", "value", "rest"),
    [
        ("optimizer", {"type": "SGD"}, {"optim_wrapper": {"optimizer": {"type": "SGD"}}}),
        ("seed", 3, {"randomness": {"seed": 3}}),
        ("total_epochs", 12, {"train_cfg": {"max_epochs": 12}}),
        ("cudnn_benchmark", True, {"env_cfg": {"cudnn_benchmark": True}}),
        ("vis_backends", [{"type": "A"}], {"visualizer": {"vis_backends": [{"type": "A"}]}}),
        ("resume_from", None, {}),
        ("workflow", [], {}),
        ("data", {"path": "here"}, {}),
        ("runner", "anything", {}),
    ],
)
def test_a_variable_of_that_name_that_filled_the_right_place_is_none(
    key: str, value: Any, rest: dict[str, Any]
) -> None:
    assert note({key: value, **rest}, key).status is Status.VARIABLE


def test_an_old_section_beside_todays_still_has_no_effect() -> None:
    cfg = {"fp16": {"loss_scale": 512.0}, "optim_wrapper": {"type": "OptimWrapper"}}
    assert note(cfg, "fp16").status is Status.NO_EFFECT


def test_a_value_that_differs_from_the_one_that_counts_has_no_effect() -> None:
    cfg = {"cudnn_benchmark": True, "env_cfg": {"cudnn_benchmark": False}}
    assert note(cfg, "cudnn_benchmark").status is Status.NO_EFFECT
