"""Which registry must hold each class that a config names."""

from __future__ import annotations

from typing import Any

import pytest

from mm2pl.check.places import ANY, Place, places
from mm2pl.mmengine.config import Config


def found(**cfg: Any) -> dict[str, Place]:
    return {one.key_path: one for one in places(Config(cfg))}


LOADER = dict(
    dataset=dict(
        type="Repeat", dataset=dict(type="Coco", pipeline=[dict(type="Load"), dict(type="Pack")])
    ),
    sampler=dict(type="DefaultSampler"),
    collate_fn=dict(type="default_collate"),
)


@pytest.mark.parametrize(
    ("cfg", "expected"),
    [
        (
            {"model": {"type": "Net", "head": [{"type": "Head"}]}},
            {"model.type": "MODELS", "model.head[0].type": ANY},
        ),
        (
            {"train_dataloader": LOADER},
            {
                "train_dataloader.dataset.type": "DATASETS",
                "train_dataloader.dataset.dataset.type": "DATASETS",
                "train_dataloader.dataset.dataset.pipeline[0].type": "TRANSFORMS",
                "train_dataloader.dataset.dataset.pipeline[1].type": "TRANSFORMS",
                "train_dataloader.sampler.type": "DATA_SAMPLERS",
                "train_dataloader.collate_fn.type": "FUNCTIONS",
            },
        ),
        (
            {"optim_wrapper": {"constructor": "Own", "optimizer": {"type": "SGD"}}},
            {
                "optim_wrapper.constructor": "OPTIM_WRAPPER_CONSTRUCTORS",
                "optim_wrapper.optimizer.type": "OPTIMIZERS",
            },
        ),
        (
            {"param_scheduler": {"generator": [{"type": "LinearLR"}]}},
            {"param_scheduler.generator[0].type": "PARAM_SCHEDULERS"},
        ),
        (
            {"default_hooks": {"logger": {"type": "A"}}, "custom_hooks": [{"type": "B"}]},
            {"default_hooks.logger.type": "HOOKS", "custom_hooks[0].type": "HOOKS"},
        ),
        (
            {"val_evaluator": [{"type": "Acc"}], "test_evaluator": {"metrics": [{"type": "Acc"}]}},
            {"val_evaluator[0].type": "METRICS", "test_evaluator.metrics[0].type": "METRICS"},
        ),
        ({"runner_type": "FlexibleRunner"}, {"runner_type": "RUNNERS"}),
        ({"train_cfg": {"by_epoch": True}, "my_variable": {"type": "Dead"}}, {}),
    ],
)
def test_each_place_has_its_registry(cfg: dict[str, Any], expected: dict[str, str]) -> None:
    assert {key: one.registry for key, one in found(**cfg).items()} == expected


def test_a_scope_counts_for_all_below_it() -> None:
    model = {"type": "Net", "neck": {"_scope_": "mmdet", "type": "Neck", "conv": {"type": "Conv"}}}
    scopes = {key: one.scope for key, one in found(model=model).items()}
    assert scopes == {
        "model.type": None,
        "model.neck.type": "mmdet",
        "model.neck.conv.type": "mmdet",
    }


def test_the_keys_beside_a_type_are_its_arguments() -> None:
    one = found(model={"type": "Net", "_scope_": "x", "depth": 3})["model.type"]
    assert one.arguments == ("depth",)


def test_classes_of_other_packages_are_left_alone() -> None:
    pipeline = [{"type": "Albu", "transforms": [{"type": "Blur"}]}]
    loader = {"dataset": {"type": "D", "pipeline": pipeline}}
    assert "train_dataloader.dataset.pipeline[0].transforms[0].type" not in found(
        train_dataloader=loader
    )
