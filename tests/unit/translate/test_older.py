"""Older forms of configs: what they become, what is told, and what stays as it is in MMEngine."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import pytest

from mm2pl.mmengine.config import Config
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.registry import HOOKS
from mm2pl.plan import Note, Plan, Status
from mm2pl.translate import Examination, examine
from mm2pl.translate.older import OLDER_KEYS, describe
from mm2pl.translate.older_hooks import (
    ARGUMENTS,
    BACKENDS,
    RENAMED,
    TEXT,
    UPDATE_ARGUMENTS,
    UPDATES,
)

SGD = {"type": "SGD", "lr": 0.1}
WRAPPER = {"optimizer": SGD}
CLIP = {"max_norm": 1.0}
LOGGER = "default_hooks.logger"
BASE = {
    "model": {"type": "Net"},
    "train_dataloader": {"batch_size": 2, "dataset": {"type": "Data"}},
    "train_cfg": {"by_epoch": True, "max_epochs": 3},
}


def examined(**config: Any) -> Examination:
    kept = {key: value for key, value in {**BASE, **config}.items() if value is not None}
    return examine(Config(copy.deepcopy(kept)))


def plain(value: Any) -> Any:
    return Config({"value": value}).to_dict()["value"]


def today(plan: Plan, key: str) -> Any:
    return plain(plan.config.get(key))


def note(examination: Examination, path: str) -> Note:
    return next(one for one in examination.plan.notes if one.key_path == path)


FORMS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a hook that updates": (
        {"optim_wrapper": WRAPPER, "default_hooks": {"optimizer": {"type": "OptimizerHook"}}},
        {"optim_wrapper": WRAPPER, "default_hooks": {}},
    ),
    "a hook that clips": (
        {
            "optim_wrapper": WRAPPER,
            "default_hooks": {"optimizer": {"type": "OptimizerHook", "grad_clip": CLIP}},
        },
        {"optim_wrapper": {**WRAPPER, "clip_grad": CLIP}, "default_hooks": {}},
    ),
    "a hook that detects": (
        {
            "optim_wrapper": WRAPPER,
            "default_hooks": {
                "optimizer": {"type": "OptimizerHook", "detect_anomalous_params": True}
            },
        },
        {
            "optim_wrapper": WRAPPER,
            "default_hooks": {},
            "trainer": {"detect_anomalous_params": True},
        },
    ),
    "mixed precision": (
        {
            "optim_wrapper": WRAPPER,
            "default_hooks": {"optimizer": {"type": "Fp16OptimizerHook", "loss_scale": "dynamic"}},
        },
        {
            "optim_wrapper": {**WRAPPER, "type": "AmpOptimWrapper", "loss_scale": "dynamic"},
            "default_hooks": {},
        },
    ),
    "mixed precision with the loss scale of then": (
        {"optim_wrapper": WRAPPER, "custom_hooks": [{"type": "Fp16OptimizerHook"}]},
        {
            "optim_wrapper": {**WRAPPER, "type": "AmpOptimWrapper", "loss_scale": 512.0},
            "custom_hooks": [],
        },
    ),
    "accumulation in default_hooks": (
        {
            "optim_wrapper": WRAPPER,
            "default_hooks": {
                "optimizer": {"type": "GradientCumulativeOptimizerHook", "cumulative_iters": 4}
            },
        },
        {"optim_wrapper": {**WRAPPER, "accumulative_counts": 4}, "default_hooks": {}},
    ),
    "accumulation in custom_hooks": (
        {
            "optim_wrapper": WRAPPER,
            "custom_hooks": [
                {"type": "Mine"},
                {"type": "GradientCumulativeOptimizerHook", "cumulative_iters": 4},
            ],
        },
        {
            "optim_wrapper": {**WRAPPER, "accumulative_counts": 4},
            "custom_hooks": [{"type": "Mine"}],
        },
    ),
    "accumulation in mixed precision": (
        {
            "optim_wrapper": WRAPPER,
            "custom_hooks": [
                {
                    "type": "GradientCumulativeFp16OptimizerHook",
                    "cumulative_iters": 4,
                    "loss_scale": {"init_scale": 8.0},
                }
            ],
        },
        {
            "optim_wrapper": {
                **WRAPPER,
                "type": "AmpOptimWrapper",
                "accumulative_counts": 4,
                "loss_scale": {"init_scale": 8.0},
            },
            "custom_hooks": [],
        },
    ),
    "a log on the terminal": (
        {"default_hooks": {"logger": {"type": "TextLoggerHook", "interval": 5}}},
        {"default_hooks": {"logger": {"type": "LoggerHook", "interval": 5}}},
    ),
    "a log that counts iterations": (
        {"default_hooks": {"logger": {"type": "TextLoggerHook", "by_epoch": False}}},
        {"default_hooks": {"logger": {"type": "LoggerHook"}}, "log_processor": {"by_epoch": False}},
    ),
    "a log in custom_hooks": (
        {"custom_hooks": [{"type": "TextLoggerHook", "interval": 5}]},
        {"default_hooks": {"logger": {"type": "LoggerHook", "interval": 5}}, "custom_hooks": []},
    ),
    "TensorBoard": (
        {"custom_hooks": [{"type": "TensorboardLoggerHook", "log_dir": "here"}]},
        {
            "custom_hooks": [],
            "visualizer": {
                "type": "Visualizer",
                "vis_backends": [
                    {"type": "LocalVisBackend"},
                    {"type": "TensorboardVisBackend", "save_dir": "here"},
                ],
            },
        },
    ),
    "TensorBoard in the logger's place": (
        {"default_hooks": {"logger": {"type": "TensorboardLoggerHook", "interval": 5}}},
        {
            "default_hooks": {"logger": {"type": "LoggerHook", "interval": 5}},
            "visualizer": {
                "type": "Visualizer",
                "vis_backends": [{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}],
            },
        },
    ),
    "W&B beside a visualizer": (
        {
            "visualizer": {"type": "Mine", "vis_backends": [{"type": "LocalVisBackend"}]},
            "default_hooks": {
                "wandb": {
                    "type": "WandbLoggerHook",
                    "init_kwargs": {"project": "p"},
                    "define_metric_cfg": {"loss": "min"},
                    "commit": False,
                }
            },
        },
        {
            "visualizer": {
                "type": "Mine",
                "vis_backends": [
                    {"type": "LocalVisBackend"},
                    {
                        "type": "WandbVisBackend",
                        "init_kwargs": {"project": "p"},
                        "define_metric_cfg": {"loss": "min"},
                        "commit": False,
                    },
                ],
            },
            "default_hooks": {},
        },
    ),
    "MLflow": (
        {
            "visualizer": {"type": "Visualizer", "vis_backends": []},
            "custom_hooks": [{"type": "MlflowLoggerHook", "exp_name": "e"}],
        },
        {
            "visualizer": {
                "type": "Visualizer",
                "vis_backends": [{"type": "MLflowVisBackend", "exp_name": "e"}],
            },
            "custom_hooks": [],
        },
    ),
    "arguments of which nothing is left": (
        {
            "optim_wrapper": WRAPPER,
            "custom_hooks": [
                {
                    "type": "Fp16OptimizerHook",
                    "loss_scale": 2.0,
                    "coalesce": True,
                    "bucket_size_mb": -1,
                    "distributed": True,
                    "priority": "ABOVE_NORMAL",
                }
            ],
        },
        {
            "optim_wrapper": {**WRAPPER, "type": "AmpOptimWrapper", "loss_scale": 2.0},
            "custom_hooks": [],
        },
    ),
    "a hook that draws": (
        {"custom_hooks": [{"type": "VisualizerHook", "priority": "LOWEST"}]},
        {"custom_hooks": [{"type": "NaiveVisualizationHook", "priority": "LOWEST"}]},
    ),
    "a hook that draws, by default": (
        {"default_hooks": {"visualizer": {"type": "VisualizerHook", "interval": 2}}},
        {"default_hooks": {"visualizer": {"type": "NaiveVisualizationHook", "interval": 2}}},
    ),
    "EMA from an iteration": (
        {"custom_hooks": [{"type": "EMAHook", "start_iters": 500, "internal": 2}]},
        {"custom_hooks": [{"type": "EMAHook", "begin_iter": 500, "interval": 2}]},
    ),
    "internal": (
        {"default_hooks": {"checkpoint": {"type": "CheckpointHook", "internal": 5}}},
        {"default_hooks": {"checkpoint": {"type": "CheckpointHook", "interval": 5}}},
    ),
    "one hook alone": (
        {"custom_hooks": {"type": "Mine", "interval": 50}},
        {"custom_hooks": [{"type": "Mine", "interval": 50}]},
    ),
    "hooks by name": (
        {"custom_hooks": {"a": {"type": "Mine"}, "b": {"type": "EMAHook", "start_iters": 5}}},
        {"custom_hooks": [{"type": "Mine"}, {"type": "EMAHook", "begin_iter": 5}]},
    ),
    "an optimizer": (
        {"optimizer": {**SGD, "paramwise_cfg": {"bias_lr_mult": 2.0}, "constructor": "C"}},
        {
            "optim_wrapper": {
                **WRAPPER,
                "paramwise_cfg": {"bias_lr_mult": 2.0},
                "constructor": "C",
            }
        },
    ),
    "an optimizer and how it is clipped": (
        {"optimizer": SGD, "optimizer_config": {"grad_clip": CLIP}},
        {"optim_wrapper": {**WRAPPER, "clip_grad": CLIP}},
    ),
    "an optimizer and what accumulates": (
        {
            "optimizer": SGD,
            "optimizer_config": {"type": "GradientCumulativeOptimizerHook", "cumulative_iters": 4},
        },
        {"optim_wrapper": {**WRAPPER, "accumulative_counts": 4}},
    ),
    "an optimizer in mixed precision": (
        {"optimizer": SGD, "optimizer_config": {"grad_clip": None}, "fp16": {"loss_scale": 64.0}},
        {"optim_wrapper": {**WRAPPER, "type": "AmpOptimWrapper", "loss_scale": 64.0}},
    ),
    "fp16 beside a hook that says it": (
        {
            "optimizer": SGD,
            "optimizer_config": {"type": "Fp16OptimizerHook", "loss_scale": "dynamic"},
            "fp16": {},
        },
        {"optim_wrapper": {**WRAPPER, "type": "AmpOptimWrapper", "loss_scale": "dynamic"}},
    ),
    "a scheduler": (
        {"optim_wrapper": WRAPPER, "scheduler": {"type": "MultiStepLR", "milestones": [2]}},
        {"optim_wrapper": WRAPPER, "param_scheduler": {"type": "MultiStepLR", "milestones": [2]}},
    ),
    "checkpoints": (
        {"checkpoint_config": {"internal": 5, "max_keep_ckpts": 2}},
        {
            "default_hooks": {
                "checkpoint": {"type": "CheckpointHook", "interval": 5, "max_keep_ckpts": 2}
            }
        },
    ),
    "logs": (
        {
            "log_config": {
                "interval": 5,
                "hooks": [{"type": "TextLoggerHook"}, {"type": "TensorboardLoggerHook"}],
            }
        },
        {
            "default_hooks": {"logger": {"type": "LoggerHook", "interval": 5}},
            "visualizer": {
                "type": "Visualizer",
                "vis_backends": [{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}],
            },
        },
    ),
    "epochs": (
        {"train_cfg": None, "runner": {"type": "EpochBasedRunner", "max_epochs": 4}},
        {"train_cfg": {"by_epoch": True, "max_epochs": 4}},
    ),
    "iterations": (
        {"train_cfg": None, "runner": {"type": "IterBasedRunner", "max_iters": 40}},
        {"train_cfg": {"by_epoch": False, "max_iters": 40}},
    ),
    "a number of epochs": (
        {"train_cfg": None, "total_epochs": 4},
        {"train_cfg": {"by_epoch": True, "max_epochs": 4}},
    ),
    "how often to validate": (
        {"val_cfg": {"interval": 2}},
        {"val_cfg": {}, "train_cfg": {"by_epoch": True, "max_epochs": 3, "val_interval": 2}},
    ),
}

FORMS |= {
    f"a {hook} and all its arguments": (
        {"custom_hooks": [{"type": hook, **{key: {"a": 1} for key in row.arguments}}]},
        {
            "custom_hooks": [],
            "visualizer": {
                "type": "Visualizer",
                "vis_backends": [
                    {"type": "LocalVisBackend"},
                    {"type": row.name, **{key: {"a": 1} for key in row.arguments.values()}},
                ],
            },
        },
    )
    for hook, row in BACKENDS.items()
}


def test_each_row_of_the_tables_has_a_form_here() -> None:
    written = json.dumps([older for older, _ in FORMS.values()])
    names = [
        *(key.partition(".")[2] or key for key in OLDER_KEYS),
        *(*UPDATES, TEXT, *BACKENDS, *RENAMED, *UPDATE_ARGUMENTS),
        *(old for table in ARGUMENTS.values() for old in table),
    ]
    assert [name for name in names if f'"{name}"' not in written] == []


@pytest.mark.proves("older.*")
@pytest.mark.parametrize("form", FORMS)
def test_an_older_form_becomes_todays(form: str) -> None:
    older, todays = FORMS[form]
    examination = examined(**older)
    expected = {**BASE, **todays}
    assert examination.plan.config.to_dict() == plain(expected)  # type: ignore[union-attr]
    assert examination.plan.older


@pytest.mark.parametrize("form", FORMS)
def test_the_plan_is_that_of_todays_form(form: str) -> None:
    older, todays = FORMS[form]
    found, expected = examined(**older).plan, examined(**todays).plan
    for part in ("train", "val", "optim", "hooks", "runtime"):
        assert getattr(found, part) == getattr(expected, part)


@pytest.mark.parametrize("form", FORMS)
def test_an_older_form_is_no_finding_and_is_told_of(form: str) -> None:
    older, _ = FORMS[form]
    examination = examined(**older)
    # The base config has no optimizer, or no validation data, beside some of them.
    assert not [one for one in examination.plan.notes if one.status.is_finding]
    paths = {one.key_path for one in examination.plan.notes if "older" in one.text}
    told = describe(examination.plan.older)
    assert paths
    assert told.startswith("the config has older forms, which mean today's: ")
    keys = {path.split(".")[0].split("[")[0] for path in paths}
    assert keys <= {*older}
    assert all(key in told for key in keys)


@pytest.mark.parametrize("form", FORMS)
def test_the_config_that_was_given_is_not_changed(form: str) -> None:
    older, _ = FORMS[form]
    config = Config(copy.deepcopy({**BASE, **older}))
    before = config.to_dict()
    examine(config)
    assert config.to_dict() == before


def test_a_config_of_today_has_no_older_forms() -> None:
    examination = examined(optim_wrapper=WRAPPER)
    assert examination.plan.older == ()
    assert [one for one in examination.plan.notes if "older" in one.text] == []


# ----------------------------------------------------------------- MMEngine's meaning is kept


LEFT_OVER: dict[str, tuple[str, dict[str, Any], Status]] = {
    "an optimizer that filled the wrapper": (
        "optimizer",
        {"optimizer": SGD, "optim_wrapper": WRAPPER},
        Status.VARIABLE,
    ),
    "how an optimizer of then was clipped": (
        "optimizer_config",
        {"optimizer_config": {"grad_clip": CLIP}, "optim_wrapper": WRAPPER},
        Status.NO_EFFECT,
    ),
    "what accumulated then": (
        "optimizer_config",
        {
            "optimizer_config": {"type": "GradientCumulativeOptimizerHook", "cumulative_iters": 4},
            "optim_wrapper": WRAPPER,
        },
        Status.NO_EFFECT,
    ),
    "fp16": (
        "fp16",
        {"fp16": {"loss_scale": "dynamic"}, "optim_wrapper": WRAPPER},
        Status.NO_EFFECT,
    ),
    "checkpoints beside today's": (
        "checkpoint_config",
        {
            "checkpoint_config": {"interval": 5},
            "default_hooks": {"checkpoint": {"type": "CheckpointHook", "interval": 1}},
        },
        Status.NO_EFFECT,
    ),
    "logs beside today's": (
        "log_config",
        {"log_config": {"interval": 5}, "default_hooks": {"logger": None}},
        Status.NO_EFFECT,
    ),
    "a runner beside a loop": (
        "runner",
        {"runner": {"type": "EpochBasedRunner", "max_epochs": 9}},
        Status.NO_EFFECT,
    ),
    "a rate of MMCV's": (
        "lr_config",
        {"lr_config": {"policy": "step", "step": [8, 11]}},
        Status.NO_EFFECT,
    ),
    "a scheduler of something else": (
        "scheduler",
        {"scheduler": {"type": "DDPMScheduler"}, "optim_wrapper": WRAPPER},
        Status.VARIABLE,
    ),
    "a scheduler beside today's": (
        "scheduler",
        {
            "scheduler": [{"type": "MultiStepLR", "milestones": [1]}],
            "param_scheduler": [],
            "optim_wrapper": WRAPPER,
        },
        Status.VARIABLE,
    ),
    "a scheduler that fills another place": (
        "scheduler",
        {
            "scheduler": {"type": "MultiStepLR", "milestones": [1]},
            "model": {"type": "Net", "init_cfg": [{"type": "MultiStepLR", "milestones": [1]}]},
            "optim_wrapper": WRAPPER,
        },
        Status.VARIABLE,
    ),
    "a scheduler with arguments of another": (
        "scheduler",
        {
            "scheduler": {"type": "MultiStepLR", "beta": 0.9},
            "optim_wrapper": WRAPPER,
        },
        Status.VARIABLE,
    ),
    "checkpoints with arguments of MMCV's": (
        "checkpoint_config",
        {"checkpoint_config": {"interval": 5, "create_symlink": False}, "optim_wrapper": WRAPPER},
        Status.NO_EFFECT,
    ),
    "logs by a hook that is not known": (
        "log_config",
        {
            "log_config": {"interval": 5, "hooks": [{"type": "PaviLoggerHook"}]},
            "optim_wrapper": WRAPPER,
        },
        Status.NO_EFFECT,
    ),
    "an optimizer of a config that trains nothing": (
        "optimizer",
        {"optimizer": SGD, "train_dataloader": None, "train_cfg": None},
        Status.NO_EFFECT,
    ),
    "several optimizers": (
        "optimizer",
        {"optimizer": {"generator": SGD, "discriminator": SGD}},
        Status.NO_EFFECT,
    ),
}


@pytest.mark.parametrize("case", LEFT_OVER)
def test_what_mmengine_ignores_beside_todays_form_stays_ignored(case: str) -> None:
    key, config, status = LEFT_OVER[case]
    examination = examined(**config)
    assert note(examination, key).status is status
    assert examination.plan.older == ()
    kept = {name: value for name, value in {**BASE, **config}.items() if value is not None}
    assert examination.plan.config.to_dict() == plain(kept)  # type: ignore[union-attr]


def test_todays_form_wins_over_a_hook() -> None:
    hook = {"type": "OptimizerHook", "grad_clip": CLIP}
    wrapper = {**WRAPPER, "clip_grad": {"max_norm": 9.0}}
    examination = examined(optim_wrapper=wrapper, default_hooks={"optimizer": hook})
    assert today(examination.plan, "optim_wrapper") == wrapper
    found = note(examination, "default_hooks.optimizer.grad_clip")
    assert found.status is Status.NO_EFFECT
    assert found.choices == ("optim_wrapper.clip_grad",)


def test_a_class_of_ones_own_by_an_older_name_stays() -> None:
    @HOOKS.register_module(name="VisualizerHook")
    class Mine(Hook):
        pass

    try:
        examination = examined(custom_hooks=[{"type": "VisualizerHook", "mine": 1}])
    finally:
        HOOKS.module_dict.pop("VisualizerHook")
    assert today(examination.plan, "custom_hooks") == [{"type": "VisualizerHook", "mine": 1}]


@pytest.mark.parametrize(
    "hook",
    [
        {"type": "mine.hooks.VisualizerHook"},
        {"type": "mine.hooks.EMAHook", "start_iters": 5},
        {"type": "Mine", "internal": 5},
        {"type": "EMAHook", "begin_iter": 5, "start_iters": 6},
    ],
)
def test_hooks_that_are_not_meant_stay(hook: dict[str, Any]) -> None:
    examination = examined(custom_hooks=[hook])
    assert today(examination.plan, "custom_hooks") == [hook]
    assert examination.plan.older == ()


# ----------------------------------------------------------------- findings and problems


def test_findings_name_the_key_of_the_config() -> None:
    examination = examined(
        optimizer={"type": "SGD", "lrr": 0.1},
        checkpoint_config={"max_keep_ckpt": 1},
        custom_hooks=[
            {"type": "GradientCumulativeOptimizerHook", "cumulative_iters": 4},
            {"type": "LoggerHook", "intervall": 1},
        ],
    )
    found = {one.key_path: one.choices for one in examination.plan.notes if one.status.is_finding}
    assert found == {
        "optimizer.lrr": ("lr",),
        "checkpoint_config.max_keep_ckpt": ("max_keep_ckpts",),
        "custom_hooks[1].intervall": ("interval", "interval_exp_name"),
    }


def test_problems_name_the_key_of_the_config() -> None:
    examination = examined(
        optim_wrapper=WRAPPER,
        custom_hooks=[
            {"type": "OptimizerHook", "grad_clipp": CLIP},
            {"type": "EMAHook", "priority": "HIHG"},
        ],
    )
    wrong, misspelt = examination.problems
    assert (wrong.key_path, wrong.choices) == ("custom_hooks[0].grad_clipp", ("grad_clip",))
    assert misspelt.key_path == "custom_hooks[1].priority"


@pytest.mark.parametrize(
    "wrapper", [{"generator": WRAPPER, "discriminator": WRAPPER, "constructor": "Gan"}, object()]
)
def test_a_hook_that_is_asked_of_no_single_wrapper_is_refused(wrapper: Any) -> None:
    hook = {"type": "OptimizerHook", "grad_clip": CLIP}
    config = {**BASE, "optim_wrapper": wrapper, "custom_hooks": [hook]}
    (problem,) = (one for one in examine(config).problems if one.key_path == "custom_hooks[0]")
    assert problem.hint == "set it there: optim_wrapper.clip_grad"


def test_a_logger_of_then_that_nothing_is_today_is_refused() -> None:
    logs = {"hooks": [{"type": "PaviLoggerHook"}]}
    problems = examined(optimizer=SGD, log_config=logs).problems
    assert [one.key_path for one in problems] == ["log_config.hooks[0]"]
    assert "no PaviLoggerHook today" in problems[0].message


def test_what_updates_is_left_out_where_nothing_trains() -> None:
    hook = {"type": "OptimizerHook", "grad_clip": CLIP}
    found = examined(train_dataloader=None, train_cfg=None, default_hooks={"optimizer": hook})
    assert today(found.plan, "default_hooks") == {}
    assert "default_hooks.optimizer -> optim_wrapper" in describe(found.plan.older)


def test_an_interval_that_is_not_the_loggers_is_approximated() -> None:
    hook = {"type": "TensorboardLoggerHook", "interval": 50}
    examination = examined(custom_hooks=[hook], default_hooks={"logger": {"type": "LoggerHook"}})
    found = note(examination, "custom_hooks[0].interval")
    assert (found.status, found.choices) == (Status.APPROXIMATED, (f"{LOGGER}.interval",))


def test_an_argument_that_nothing_does_today_is_told() -> None:
    hook = {"type": "WandbLoggerHook", "log_artifact": True}
    assert note(examined(custom_hooks=[hook]), "custom_hooks[0].log_artifact").status is (
        Status.NO_EFFECT
    )


def test_a_backend_that_is_there_is_not_added() -> None:
    backends = [{"type": "TensorboardVisBackend", "save_dir": "there"}]
    visualizer = {"type": "Visualizer", "vis_backends": backends}
    hook = {"type": "TensorboardLoggerHook", "log_dir": "here"}
    examination = examined(custom_hooks=[hook], visualizer=visualizer)
    assert today(examination.plan, "visualizer") == visualizer


def test_one_line_tells_of_all_and_is_no_page() -> None:
    hooks = [{"type": "EMAHook", "start_iters": 5} for _ in range(20)]
    told = describe(examined(custom_hooks=hooks, checkpoint_config={"interval": 1}).plan.older)
    assert told.endswith("; and 13 more")
    assert "checkpoint_config -> default_hooks.checkpoint" in told


def test_older_forms_need_no_torch() -> None:
    code = (
        "import sys\nfrom mm2pl.translate import examine\n"
        f"found = examine({ {**BASE, 'optimizer': SGD, 'custom_hooks': {'type': 'EMAHook'}}!r})\n"
        "assert found.plan.older\nassert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
