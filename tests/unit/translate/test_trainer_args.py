"""``trainer = dict(...)``: what becomes of each argument of Lightning's Trainer."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import lightning
import pytest
from lightning.pytorch import Trainer
from packaging.version import Version

from mm2pl.errors import ConfigError, UnsupportedError
from mm2pl.mmengine.config import Config
from mm2pl.plan import ABSENT, Status
from mm2pl.translate import examine, translate
from mm2pl.translate.trainer_args import TRAINER_RULES
from mm2pl.translate.trainer_meaning import MEANINGS

LOADER = {"dataset": {"type": "Any"}, "sampler": {"type": "DefaultSampler"}, "batch_size": 2}
EPOCHS = {"by_epoch": True, "max_epochs": 10, "val_interval": 2}
ITERATIONS = {"type": "IterBasedTrainLoop", "max_iters": 100, "val_interval": 10}
RULES = {rule.key: rule for rule in TRAINER_RULES}


def config(train_cfg: dict[str, Any] = EPOCHS, **changes: Any) -> dict[str, Any]:
    return {
        "model": {"type": "Any"},
        "work_dir": "runs",
        "train_dataloader": LOADER,
        "train_cfg": train_cfg,
        "optim_wrapper": {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1}},
        "val_dataloader": LOADER,
        "val_cfg": {},
        "val_evaluator": {"type": "Any"},
        **changes,
    }


def changes(trainer: dict[str, Any], **config_changes: Any) -> dict[str, Any]:
    plan = translate(config(**config_changes) | {"trainer": trainer})
    return {change.key_path: change.value for change in plan.runtime.trainer_changes}


def passed(trainer: dict[str, Any], **config_changes: Any) -> dict[str, Any]:
    return dict(translate(config(**config_changes) | {"trainer": trainer}).runtime.trainer)


def problem(trainer: dict[str, Any], **config_changes: Any) -> str:
    problems = examine(config(**config_changes) | {"trainer": trainer}).problems
    (found,) = [one for one in problems if (one.key_path or "").startswith("trainer")]
    return str(found)


# --------------------------------------------------------------------------- the table


def test_every_argument_of_the_installed_trainer_has_a_row():
    assert set(inspect.signature(Trainer).parameters) <= set(RULES)


def test_every_row_is_an_argument_of_the_installed_trainer_or_of_a_newer_one():
    installed = Version(lightning.__version__)
    lightnings = {key: rule for key, rule in RULES.items() if not rule.own}
    rows = {key for key, rule in lightnings.items() if Version(rule.since) <= installed}
    assert rows <= set(inspect.signature(Trainer).parameters)


def test_each_row_that_is_not_refused_is_worked_in():
    done = {key for key, rule in RULES.items() if rule.status is not Status.UNSUPPORTED}
    assert set(MEANINGS) == done - {"enable_autolog_hparams"}


def test_each_refused_row_says_what_to_write_instead():
    refused = [rule for rule in TRAINER_RULES if rule.status is Status.UNSUPPORTED]
    assert all(rule.hint for rule in refused)


def test_lightnings_defaults_ask_for_nothing_but_where_here_they_mean_something():
    meaning = {
        "accumulate_grad_batches",
        "check_val_every_n_epoch",
        "devices",
        "inference_mode",
        "sync_batchnorm",
        "use_distributed_sampler",
        "enable_autolog_hparams",
    }
    for name, parameter in inspect.signature(Trainer).parameters.items():
        if name not in meaning:
            assert RULES[name].asks_nothing(parameter.default), name


# --------------------------------------------------------------------------- translated


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({"max_epochs": 3}, {"train_cfg.max_epochs": 3}),
        ({"check_val_every_n_epoch": 5}, {"train_cfg.val_interval": 5}),
        ({"accumulate_grad_batches": 4}, {"optim_wrapper.accumulative_counts": 4}),
        ({"gradient_clip_val": 0.5}, {"optim_wrapper.clip_grad": {"max_norm": 0.5}}),
        (
            {"gradient_clip_val": 0.5, "gradient_clip_algorithm": "value"},
            {"optim_wrapper.clip_grad": {"type": "value", "clip_value": 0.5}},
        ),
        ({"precision": "16-mixed"}, {"optim_wrapper.type": "AmpOptimWrapper"}),
        (
            {"precision": "bf16-mixed"},
            {"optim_wrapper.type": "AmpOptimWrapper", "optim_wrapper.dtype": "bfloat16"},
        ),
        ({"precision": "32-true"}, {}),
        ({"deterministic": True}, {"randomness.deterministic": True}),
        ({"sync_batchnorm": True}, {"sync_bn": "torch"}),
        ({"default_root_dir": "elsewhere"}, {"work_dir": "elsewhere"}),
        ({"enable_checkpointing": False}, {"default_hooks.checkpoint": None}),
        ({"enable_checkpointing": True}, {}),
        (
            {"log_every_n_steps": 7},
            {"default_hooks.logger": {"type": "LoggerHook", "interval": 7}},
        ),
        ({"strategy": "ddp_find_unused_parameters_true"}, {"find_unused_parameters": True}),
        ({"logger": False}, {"visualizer": {"type": "Visualizer", "vis_backends": []}}),
        (
            {"limit_val_batches": 0},
            {"val_cfg": None, "val_dataloader": None, "val_evaluator": None},
        ),
    ],
)
def test_an_argument_becomes_the_key_that_says_it(trainer, expected):
    assert changes(trainer) == expected


@pytest.mark.parametrize(
    ("trainer", "expected"),
    [
        ({"max_steps": 30}, {"train_cfg.max_iters": 30}),
        (
            {"max_steps": 30, "accumulate_grad_batches": 2},
            {"optim_wrapper.accumulative_counts": 2, "train_cfg.max_iters": 60},
        ),
        ({"val_check_interval": 25}, {"train_cfg.val_interval": 25}),
        ({"val_check_interval": 0.25}, {"train_cfg.val_interval": 25}),
        ({"limit_train_batches": 7}, {"train_cfg.max_iters": 7}),
        ({"limit_train_batches": 0.5}, {"train_cfg.max_iters": 50}),
    ],
)
def test_an_iteration_loop_is_one_epoch_to_lightning(trainer, expected):
    assert changes(trainer, train_cfg=ITERATIONS) == expected


@pytest.mark.parametrize(
    "trainer",
    [
        {"limit_train_batches": 0.5, "val_check_interval": 0.5},
        {"max_steps": 30, "accumulate_grad_batches": 2, "gradient_clip_val": 1.0},
        {"limit_val_batches": 0, "precision": "bf16-mixed", "logger": False},
    ],
)
def test_the_config_with_the_changes_means_the_same_once_more(trainer):
    once = translate(Config(config(ITERATIONS, trainer=trainer))).config
    again = translate(once)
    assert again.runtime.trainer_changes == ()
    assert again.config == once


def test_updates_count_the_accumulation_of_the_config_too():
    wrapper = {"optimizer": {"type": "SGD"}, "accumulative_counts": 4}
    found = changes({"max_steps": 5}, train_cfg=ITERATIONS, optim_wrapper=wrapper)
    assert found == {"train_cfg.max_iters": 20}


def test_full_precision_takes_mixed_precision_out_of_the_wrapper():
    wrapper = {"type": "AmpOptimWrapper", "optimizer": {"type": "SGD"}, "dtype": "bfloat16"}
    found = changes({"precision": 32}, optim_wrapper=wrapper)
    assert found == {"optim_wrapper.type": "OptimWrapper", "optim_wrapper.dtype": ABSENT}


def test_a_model_wrapper_gets_find_unused_parameters():
    wrapper = {"type": "MMDistributedDataParallel"}
    found = changes({"strategy": "ddp_find_unused_parameters_true"}, model_wrapper_cfg=wrapper)
    assert found == {"model_wrapper_cfg.find_unused_parameters": True}


def test_an_interval_of_the_trainer_replaces_dynamic_intervals():
    loop = EPOCHS | {"dynamic_intervals": [(8, 1)]}
    found = changes({"check_val_every_n_epoch": 3}, train_cfg=loop)
    assert found == {"train_cfg.val_interval": 3, "train_cfg.dynamic_intervals": None}


def test_cudnn_benchmark_keeps_the_default_backend():
    found = changes({"benchmark": True})
    assert found == {"env_cfg": {"cudnn_benchmark": True, "dist_cfg": {"backend": "nccl"}}}


def test_a_trial_run_is_short_and_writes_nothing():
    found = changes({"fast_dev_run": 2}, resume=True)
    assert found == {
        "train_cfg.max_epochs": 1,
        "train_cfg.val_interval": 1,
        "default_hooks.checkpoint": None,
        "visualizer": {"type": "Visualizer", "vis_backends": []},
        "resume": False,
    }
    assert passed({"fast_dev_run": 2}) == {
        "fast_dev_run": 2,
        "limit_train_batches": 2,
        "limit_val_batches": 2,
    }


def test_processes_on_cpus_meet_by_gloo():
    found = changes({"devices": 2, "accelerator": "cpu"})
    assert found == {"env_cfg.dist_cfg.backend": "gloo"}


def test_the_trainer_wins_over_the_key_and_the_change_says_what_was():
    plan = translate(config() | {"trainer": {"max_epochs": 3}})
    (change,) = plan.runtime.trainer_changes
    assert (change.before, str(change)) == (10, "train_cfg.max_epochs=3")
    assert plan.train is not None
    assert plan.train.loop["max_epochs"] == 3
    assert plan.trainer_epochs == 3


def test_the_config_is_not_changed():
    cfg = Config(config() | {"trainer": {"max_epochs": 3, "precision": "16-mixed"}})
    before = cfg.pretty_text
    translate(cfg)
    assert cfg.pretty_text == before


def test_a_section_that_was_worked_in_gives_the_same_plan_again():
    trainer = {"max_epochs": 3, "precision": "bf16-mixed", "logger": False, "benchmark": True}
    once = translate(Config(config() | {"trainer": trainer}))
    again = translate(once.config)
    assert again.runtime.trainer_changes == ()
    assert again.config.pretty_text == once.config.pretty_text


def test_nothing_is_passed_on_where_no_section_is():
    plan = translate(config())
    assert (plan.runtime.trainer, plan.runtime.trainer_changes) == ({}, ())


@pytest.mark.parametrize("key", ["max_epochs", "max_steps", "overfit_batches"])
def test_what_is_about_training_has_no_effect_where_nothing_trains(key):
    cfg = config() | {"trainer": {key: 2}}
    for part in ("train_cfg", "train_dataloader", "optim_wrapper"):
        del cfg[part]
    notes = {note.key_path: note.status for note in translate(cfg).notes}
    assert notes[f"trainer.{key}"] is Status.NO_EFFECT


# --------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("trainer", "message"),
    [
        ({"max_epoch": 3}, "Did you mean: max_epochs"),
        ({"limit_batches": 3}, "Did you mean: limit_val_batches"),
        ({"max_epochs": "3"}, "whole number"),
        ({"max_epochs": -1}, "no training without end"),
        ({"max_steps": 0}, "at least 1"),
        ({"limit_train_batches": 1.5}, "fraction"),
        ({"limit_train_batches": 0}, "no training without data"),
        ({"val_check_interval": 0.5}, "whole epochs"),
        ({"val_check_interval": "00:01:00:00"}, "no intervals of time"),
        ({"precision": "16-true"}, "'16-mixed'"),
        ({"precision": "bf16-mixe"}, "did you mean 'bf16-mixed'"),
        ({"gradient_clip_algorithm": "value"}, "needs gradient_clip_val"),
        ({"strategy": "fsdp"}, "parameters would be sharded"),
        ({"strategy": "deepspeed_stage_2"}, "from the OptimWrapper"),
        ({"strategy": "ddp_spawn"}, "that a launcher started"),
        ({"accelerator": "tpu"}, "must be one of 'auto', 'cpu'"),
        ({"devices": [0, 2]}, "CUDA_VISIBLE_DEVICES"),
        ({"num_nodes": 2}, "torchrun --nnodes"),
        ({"max_time": "1h"}, "DD:HH:MM:SS"),
        ({"deterministic": "wran"}, "did you mean 'warn'"),
        ({"profiler": "simpel"}, "did you mean 'simple'"),
        ({"detect_anomaly": 1}, "True or False"),
        ({"callbacks": ["lightning.pytorch.callbacks.StochasticWeightAveraging"]}, "EMAHook"),
        ({"callbacks": [3]}, "must be a callback"),
    ],
)
def test_a_wrong_value_is_said_with_the_argument_and_what_is_right(trainer, message):
    assert message in problem(trainer)
    with pytest.raises(ConfigError, match=f"trainer.{next(iter(trainer))}"):
        translate(config() | {"trainer": trainer})


@pytest.mark.parametrize(
    "key",
    [rule.key for rule in TRAINER_RULES if rule.status is Status.UNSUPPORTED],
)
def test_a_refused_argument_says_why_and_what_instead(key):
    with pytest.raises(UnsupportedError, match=f"trainer.{key}") as caught:
        translate(config() | {"trainer": {key: True}})
    assert RULES[key].text in str(caught.value)
    assert f"Hint: {RULES[key].hint}" in str(caught.value)


def test_epochs_are_refused_where_the_loop_counts_iterations():
    assert "trainer.max_steps" in problem({"max_epochs": 3}, train_cfg=ITERATIONS)


@pytest.mark.parametrize("key", ["accumulate_grad_batches", "gradient_clip_val", "precision"])
def test_several_wrappers_are_not_changed_by_one_argument(key):
    value = {"precision": "16-mixed"}.get(key, 2)
    found = problem({key: value}, optim_wrapper={"constructor": "Two", "generator": {}})
    assert "several wrappers" in found


def test_a_section_that_is_no_dict_is_refused():
    assert "must be a dict of the Trainer's arguments" in problem([3])  # type: ignore[arg-type]


def test_all_problems_are_told_at_once():
    with pytest.raises(ConfigError, match="3 problems in the config"):
        translate(config() | {"trainer": {"max_epoch": 1, "plugins": [1], "devices": 0}})


# --------------------------------------------------------------------------- the document


def test_the_document_lists_each_argument_as_its_row_says():
    text = (Path(__file__).parents[3] / "docs/trainer.md").read_text()
    table = [line for line in text.splitlines() if line.startswith("| `")]
    rows = [f"| `{rule.key}` | {rule.status.value} | {rule.text} |" for rule in TRAINER_RULES]
    assert table == rows
