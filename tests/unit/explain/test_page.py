"""The page: what the plan says, in data and in words."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest

from mm2pl.callbacks import HookCollection
from mm2pl.explain import hooks
from mm2pl.explain.lightning import trainer_arguments
from mm2pl.explain.page import page
from mm2pl.explain.text import columns, render
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.config._positions import Positions
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.registry import HOOKS
from mm2pl.mmengine.runner.priority import Priority
from mm2pl.trainer import make_trainer
from mm2pl.translate import examine, translate

LOADER = {
    "batch_size": 2,
    "num_workers": 3,
    "dataset": {
        "type": "RepeatDataset",
        "dataset": {"type": "x.Toys", "pipeline": [{"type": "Load"}, {"type": "x.Pack"}]},
    },
    "sampler": {"type": "DefaultSampler", "shuffle": True},
}
CONFIG: dict[str, Any] = {
    "model": {
        "type": "x.Detector",
        "data_preprocessor": {"type": "ImgDataPreprocessor", "mean": [1]},
        "backbone": {"type": "ResNet", "depth": 50},
        "heads": [{"type": "One"}, {"type": "Two"}],
        "width": 3,
    },
    "train_dataloader": LOADER,
    "val_dataloader": LOADER,
    "val_evaluator": [{"type": "Coco", "metric": "bbox"}],
    "train_cfg": {"by_epoch": True, "max_epochs": 12, "val_interval": 2},
    "val_cfg": {},
    "optim_wrapper": {
        "type": "AmpOptimWrapper",
        "optimizer": {"type": "SGD", "lr": 0.02},
        "accumulative_counts": 4,
        "clip_grad": {"max_norm": 35, "norm_type": 2},
        "paramwise_cfg": {
            "norm_decay_mult": 0,
            "bias_lr_mult": 2,
            "custom_keys": {"backbone": {"lr_mult": 0.1, "decay_mult": 0.5}},
        },
    },
    "param_scheduler": [{"type": "MultiStepLR", "milestones": [8, 11]}],
    "custom_hooks": [
        {"type": "EMAHook", "priority": "ABOVE_NORMAL"},
        {"type": "EarlyStoppingHook", "monitor": "a", "rule": "less"},
        {"type": "SyncBuffersHook", "priority": 5},
    ],
    "auto_scale_lr": {"enable": False, "base_batch_size": 16},
    "work_dir": "out",
}


PLAIN = {"optimizer": {"type": "SGD", "lr": 0.02}}


def _page(command: str = "fit", **changes: Any) -> dict[str, Any]:
    return page(examine({**CONFIG, **changes}, command=command).plan, command)


def _optimizer(**wrapper: Any) -> Any:
    return _page(optim_wrapper={**CONFIG["optim_wrapper"], **wrapper})["optimizer"]


def _text(made: dict[str, Any]) -> str:
    return "\n".join("\n".join([title, *columns(rows)]) for title, rows in render(made))


# --------------------------------------------------------------------------- hooks


def test_priorities_are_those_of_mmengine() -> None:
    assert {one.name: one.value for one in Priority} == hooks.PRIORITIES


def test_points_are_those_of_mmengine() -> None:
    assert sorted(hooks.STAGES) == sorted(Hook.stages)


def test_hooks_stand_in_the_order_in_which_they_run() -> None:
    real = HookCollection(None, [])
    plan = translate(CONFIG)
    for _, cfg in plan.hooks.entries:
        priority = cfg.get("priority")
        hook = HOOKS.build({key: value for key, value in cfg.items() if key != "priority"})
        if priority is not None:
            hook.priority = priority
        real.add(hook)
    assert [row.kind for row in hooks.rows(plan)] == [type(one).__name__ for one in real.hooks]
    for row, hook in zip(hooks.rows(plan), real.hooks, strict=True):
        assert list(row.points or ()) == hook.get_triggered_stages()
    points = hooks.points_of(plan, "fit")
    for point, rows in points.items():
        expected = [one for one in real.hooks if point in one.get_triggered_stages()]
        assert [row.kind for row in rows] == [type(one).__name__ for one in expected]


def test_a_librarys_hook_says_that_its_class_decides() -> None:
    made = _page(custom_hooks=[{"type": "mmdet.YOLOXModeSwitchHook"}])
    row = next(one for one in made["hooks"] if one["hook"] == "YOLOXModeSwitchHook")
    assert (row["priority"], row["points"]) == (None, None)
    assert "its class decides where it runs" in _text(made)


def test_the_priority_that_a_config_gives_it_is_shown() -> None:
    made = _page(custom_hooks=[{"type": "mmdet.YOLOXModeSwitchHook", "priority": 48}])
    row = next(one for one in made["hooks"] if one["hook"] == "YOLOXModeSwitchHook")
    assert row["priority"] == 48


@pytest.mark.parametrize(
    ("command", "there", "not_there"),
    [("fit", "after_train_iter", "after_test_iter"), ("validate", "after_val", "before_train")],
)
def test_only_the_points_of_the_command_are_shown(command: str, there: str, not_there: str) -> None:
    points = _page(command)["points"]
    assert there in points
    assert not_there not in points


def test_without_validation_there_are_no_points_of_it() -> None:
    made = _page(val_dataloader=None, val_cfg=None, val_evaluator=None)
    assert not [point for point in made["points"] if "val" in point]
    assert made["loop"]["validates"] == "never"


# --------------------------------------------------------------------------- the other parts


def test_a_loader_names_dataset_sampler_pipeline_and_metrics() -> None:
    assert _page()["data"]["val"] == {
        "dataset": "RepeatDataset of Toys",
        "batch_size": 2,
        "num_workers": 3,
        "sampler": "DefaultSampler(shuffle=True)",
        "pipeline": ["Load", "Pack"],
        "metrics": ["Coco(metric='bbox')"],
    }


def test_the_model_names_its_parts() -> None:
    assert _page()["model"] == {
        "type": "Detector",
        "data_preprocessor": "ImgDataPreprocessor(mean=[1])",
        "parts": {"backbone": "ResNet", "heads": ["One", "Two"]},
    }


def test_the_optimizer_in_words() -> None:
    assert _page()["optimizer"] == {
        "wrapper": "AmpOptimWrapper",
        "optimizer": "SGD(lr=0.02)",
        "precision": "mixed: the wrapper's own autocast and loss scale (dynamic)",
        "updates": "after every 4 iterations",
        "clips": "gradients to a norm of 35",
        "paramwise": [
            "weight_decay x0 for norm layers",
            "lr x2 for biases",
            "lr x0.1, weight_decay x0.5 for names with 'backbone' in them",
        ],
        "auto_scale_lr": "off (the rates are meant for batches of 16)",
    }


def test_a_librarys_constructor_has_rules_of_its_own() -> None:
    row = _optimizer(constructor="LayerDecay", paramwise_cfg={"layer_decay_rate": 0.6})
    assert row["constructor"] == "LayerDecay, whose class decides the parameter groups"
    assert row["paramwise"] == ["layer_decay_rate=0.6"]


def test_layer_decay_in_words() -> None:
    row = _optimizer(
        constructor="LearningRateDecayOptimizerConstructor",
        paramwise_cfg={"decay_rate": 0.9, "num_layers": 6, "norm_decay_mult": 0},
    )
    assert row["constructor"].endswith("groups by layer of the backbone")
    assert row["paramwise"] == [
        "lr x0.9 from each layer to the one below, 6 layers, layer_wise",
        "weight_decay 0 for parameters of one dimension",
        "norm_decay_mult=0",
    ]


def test_precision_of_the_trainer_is_that_of_the_wrapper() -> None:
    changes = {"trainer": {"precision": "bf16-mixed"}, "optim_wrapper": PLAIN}
    made = _page(**changes)
    assert made["optimizer"]["wrapper"] == "AmpOptimWrapper(dtype='bfloat16')"
    assert made["optimizer"]["precision"].startswith("mixed: the wrapper's own autocast of bfloat")
    assert made["lightning"]["settings"] == [
        "trainer.precision becomes optim_wrapper.type='AmpOptimWrapper'",
        "trainer.precision becomes optim_wrapper.dtype='bfloat16'",
    ]


def test_schedules_that_count_updates_are_measured_by_them() -> None:
    made = _page(
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": 42},
        optim_wrapper={**PLAIN, "accumulative_counts": 4},
        param_scheduler={"type": "PolyLR", "by_epoch": False},
        trainer={"schedule_per_update": True},
    )
    assert made["schedules"][0]["words"] == "lr falls linearly to 0 over updates 0-11"
    assert "once per update" in made["lightning"]["schedules"]


def test_several_optimizers_have_names() -> None:
    one = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 1}}
    made = _page(optim_wrapper={"constructor": "X", "gen": one, "disc": one}, auto_scale_lr=None)
    assert list(made["optimizer"]["optimizers"]) == ["gen", "disc"]
    assert "gen" in _text(made)


@pytest.mark.parametrize(
    ("loop", "words"),
    [
        ({"max_epochs": 3}, "after every epoch"),
        (
            {"max_epochs": 9, "val_interval": 3, "val_begin": 4},
            "after every 3 epochs from epoch 4 on",
        ),
        (
            {"max_epochs": 9, "dynamic_intervals": [(7, 1)], "val_interval": 3},
            "after every 3 epochs; after every 1 from epoch 7 on",
        ),
        ({"type": "IterBasedTrainLoop", "max_iters": 9000}, "after every 1000 iterations"),
        ({"max_epochs": 3, "val_interval": 5}, "never before the end"),
    ],
)
def test_when_it_validates(loop: dict[str, Any], words: str) -> None:
    assert words in _page(train_cfg=loop)["loop"]["validates"]


def test_the_profile_and_what_it_added() -> None:
    made = _page(default_scope="mmpretrain")
    assert made["profile"]["source"].startswith("mmpretrain 1.2.0")
    assert made["profile"]["added"]["train_dataloader.pin_memory"] == "True"
    assert "train_dataloader.pin_memory = True" in _text(made)


def test_findings_name_the_file_and_the_line(tmp_path: Path) -> None:
    (tmp_path / "c.py").write_text("model = dict(type='A')\noptim_warpper = dict()\n")
    cfg = Config.fromfile(tmp_path / "c.py", import_custom_modules=False)
    made = page(translate(cfg), "fit", Positions(tmp_path / "c.py"))
    (found,) = made["findings"]
    assert (Path(found["file"]).name, found["line"]) == ("c.py", 2)
    assert "c.py:2  unknown" in _text(made)


def test_findings_are_those_of_the_plan() -> None:
    made = _page(train_cfg={"max_epochs": 12, "val_inteval": 1})
    assert [(one["key_path"], one["choices"][0]) for one in made["findings"]] == [
        ("train_cfg.val_inteval", "val_interval")
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"load_from": "a.pth"}, "the weights of a.pth"),
        ({"load_from": "a.pth", "resume": True}, "goes on from a.pth"),
    ],
)
def test_where_it_starts_from(changes: dict[str, Any], words: str | None) -> None:
    assert _page(**changes)["starts_from"] == words


def test_the_trainers_arguments_are_those_that_it_gets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    given: dict[str, Any] = {}
    real = pl.Trainer

    def record(**kwargs: Any) -> pl.Trainer:
        given.update(kwargs)
        return real(**kwargs)

    monkeypatch.setattr("mm2pl.trainer.pl.Trainer", record)
    plan = translate(CONFIG)
    make_trainer(plan, [], str(tmp_path))
    shown = trainer_arguments(plan)
    assert {key: given[key] for key in shown} == shown


def test_the_configs_own_trainer_settings_are_shown() -> None:
    made = _page(trainer={"max_epochs": 3, "detect_anomaly": True})
    assert made["lightning"]["settings"] == [
        "trainer.max_epochs becomes train_cfg.max_epochs=3",
        "trainer.detect_anomaly=True",
    ]
    assert made["loop"]["length"] == 3


def test_the_page_is_json_and_imports_neither_torch_nor_lightning() -> None:
    source = (
        "import json, sys; from mm2pl.cli import main; main(sys.argv[1:]);"
        "print([one for one in ('torch', 'lightning', 'rich') if one in sys.modules])"
    )
    call = ["explain", "configs/digits/digits_cnn_20e_lazy.py", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", source, *call], capture_output=True, text=True, check=True
    )
    document, _, imported = done.stdout.strip().rpartition("\n")
    assert json.loads(document)["optimizer"]["optimizer"] == "AdamW(lr=0.003, weight_decay=0.05)"
    assert imported == "[]"


def test_a_line_holds_no_path_that_is_cut() -> None:
    path = "train_dataloader." + "x" * 200
    assert columns([(path, "1"), ("a", "2")])[0] == f"{path}  1"


def test_several_sets_are_told_one_by_one() -> None:
    loaders = [{"name": "a", "dataset": {"type": "A"}}, {"dataset": {"type": "B"}}]
    cfg = {"val_dataloader": loaders, "val_cfg": {"loss": True}}
    page = _page(**cfg, val_evaluator=[[{"type": "One"}], {"metrics": [{"type": "Two"}]}])
    rows = {stage: row for stage, row in page["data"].items() if stage.startswith("val")}
    assert rows == {
        "val[0]": {"dataset": "A", "name": "a", "metrics": ["One"]},
        "val[1]": {"dataset": "B", "metrics": ["Two"]},
    }
    assert page["loop"]["val_loss"] is True


def test_losses_beside_the_metrics_are_told() -> None:
    loaders = {"val_dataloader": {"dataset": {"type": "A"}}, "val_evaluator": {"type": "One"}}
    assert "beside the metrics in val" in _text(_page(**loaders, val_cfg={"loss": True}))
