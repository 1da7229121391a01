"""What a library's own script adds to a config is added by the commands, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest

from mm2pl import profiles, translate
from mm2pl.mmengine.config import Config
from mm2pl.plan import Status

LOADER = dict(
    batch_size=2,
    num_workers=1,
    dataset=dict(type="Numbers"),
    sampler=dict(type="DefaultSampler", shuffle=False),
)


def config(scope: str | None = "mmpretrain", **sections: Any) -> Config:
    return Config(dict(default_scope=scope, model=dict(type="Net"), **sections))


def added(command: str, cfg: Config) -> dict[str, Any]:
    return profiles.with_profile(cfg, command)[1]


@pytest.mark.proves("profile.mmpretrain")
@pytest.mark.parametrize("command", ["fit", "validate"])
def test_mmpretrains_loaders_get_the_defaults_of_its_train_script(command: str) -> None:
    cfg = config(train_dataloader=LOADER, val_dataloader=LOADER, test_dataloader=LOADER)
    values = {
        "pin_memory": True,
        "persistent_workers": True,
        "collate_fn": {"type": "default_collate"},
    }
    assert added(command, cfg) == {
        f"{stage}_dataloader.{key}": value
        for stage in ("train", "val", "test")
        for key, value in values.items()
    }


@pytest.mark.proves("profile.mmpretrain")
def test_mmpretrains_test_script_adds_to_the_test_loader_alone() -> None:
    cfg = config(train_dataloader=LOADER, val_dataloader=LOADER, test_dataloader=LOADER)
    assert added("test", cfg) == {
        "test_dataloader.pin_memory": True,
        "test_dataloader.collate_fn": {"type": "default_collate"},
    }


def test_what_the_config_says_stays() -> None:
    own = dict(pin_memory=False, persistent_workers=None, collate_fn=dict(type="mine"))
    cfg = config(train_dataloader=dict(LOADER, **own))
    changed, values = profiles.with_profile(cfg, "fit")
    assert (changed, values) == (cfg, {})


def test_without_workers_none_persist() -> None:
    cfg = config(train_dataloader=dict(LOADER, num_workers=0))
    assert "train_dataloader.persistent_workers" not in added("fit", cfg)


@pytest.mark.parametrize("section", [None, "built", [LOADER]])
def test_a_section_that_is_no_dict_is_left_alone(section: Any) -> None:
    assert added("fit", config(train_dataloader=section)) == {}


def test_the_defaults_stand_first_as_the_script_puts_them() -> None:
    cfg = config(train_dataloader=dict(LOADER, pin_memory=False))
    changed, _ = profiles.with_profile(cfg, "fit")
    keys = ["persistent_workers", "collate_fn", *LOADER, "pin_memory"]
    assert list(changed.train_dataloader) == keys


def test_the_given_config_is_not_changed() -> None:
    cfg = config(train_dataloader=LOADER)
    profiles.with_profile(cfg, "fit")
    assert cfg.to_dict() == config(train_dataloader=LOADER).to_dict()


@pytest.mark.proves("profile.mmpose")
def test_mmposes_preprocess_cfg_becomes_the_models() -> None:
    cfg = config("mmpose", preprocess_cfg=dict(mean=1))
    changed, values = profiles.with_profile(cfg, "fit")
    assert values == {"model.data_preprocessor": {"mean": 1}}
    assert changed.model.data_preprocessor == {"mean": 1}


@pytest.mark.parametrize("command", ["fit", "test"])
def test_mmposes_model_keeps_its_own_preprocessor(command: str) -> None:
    cfg = config("mmpose", preprocess_cfg=dict(mean=1))
    if command == "fit":  # test.py adds nothing, own preprocessor or not
        cfg.model.data_preprocessor = dict(mean=2)
    assert added(command, cfg) == {}


@pytest.mark.proves("profile.mmaction")
def test_mmaction_without_randomness_gets_none_named() -> None:
    expected = {"randomness": {"seed": None, "diff_rank_seed": False, "deterministic": False}}
    assert added("fit", config("mmaction")) == expected
    assert added("fit", config("mmaction", randomness=dict(seed=1))) == {}


@pytest.mark.proves("profile.{mmseg,mmdet,mmdet3d,mmyolo}")
@pytest.mark.parametrize(
    "scope", ["mmseg", "mmdet", "mmdet3d", "mmyolo", "mmfoo", "mmengine", None]
)
def test_other_scopes_have_no_defaults(scope: str | None) -> None:
    assert added("fit", config(scope, train_dataloader=LOADER)) == {}


def test_a_plan_for_a_command_says_what_the_profile_adds() -> None:
    cfg = config(val_dataloader=LOADER, val_evaluator=dict(type="Mean"), val_cfg=dict())
    plan = translate(cfg, command="validate")
    notes = {note.key_path: note.text for note in plan.notes if note.status is Status.ADDED}
    assert list(notes) == [
        "val_dataloader.pin_memory",
        "val_dataloader.persistent_workers",
        "val_dataloader.collate_fn",
    ]
    assert notes["val_dataloader.pin_memory"].startswith("True, as mmpretrain 1.2.0's tools/train")
    assert plan.val is not None
    assert plan.val.dataloader["pin_memory"] is True


def test_a_plan_without_a_command_adds_nothing() -> None:
    cfg = config(val_dataloader=LOADER, val_evaluator=dict(type="Mean"), val_cfg=dict())
    plan = translate(cfg)
    assert plan.val is not None
    assert "pin_memory" not in plan.val.dataloader


def test_the_line_for_the_log_names_the_profile_and_the_way_out() -> None:
    line = profiles.describe(config(), {"train_dataloader.pin_memory": True})
    assert line.startswith("profile mmpretrain: train_dataloader.pin_memory=True")
    assert "--no-profile" in line
