"""A config becomes a plan with a note for every key, or one error with all its problems."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mm2pl.errors import ConfigError
from mm2pl.plan import Status
from mm2pl.translate import translate


def config(**changes):
    loader = {"dataset": {"type": "D"}, "sampler": {"type": "DefaultSampler"}, "batch_size": 2}
    cfg = {
        "model": {"type": "Net"},
        "train_dataloader": loader,
        "train_cfg": {"by_epoch": True, "max_epochs": 3, "val_interval": 2},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
        "val_dataloader": loader,
        "val_cfg": {},
        "val_evaluator": {"type": "Accuracy"},
    }
    return {key: value for key, value in {**cfg, **changes}.items() if value is not ...}


def note(plan, key_path):
    return next(one for one in plan.notes if one.key_path == key_path)


def test_by_epoch_becomes_the_loop_type():
    assert translate(config()).train.loop["type"] == "EpochBasedTrainLoop"
    iterations = translate(config(train_cfg={"by_epoch": False, "max_iters": 5}))
    assert iterations.train.loop["type"] == "IterBasedTrainLoop"


def test_an_iteration_based_run_is_one_epoch_to_the_trainer():
    plan = translate(config(train_cfg={"type": "IterBasedTrainLoop", "max_iters": 5}))
    assert plan.trainer_epochs == 1


def test_every_key_that_is_read_has_a_note():
    plan = translate(config())
    assert note(plan, "train_cfg.val_interval").status is Status.TRANSLATED
    assert note(plan, "train_dataloader.batch_size").status is Status.AS_IS
    assert note(plan, "model").status is Status.BY_CLASS


def test_an_unknown_key_is_noted_with_the_nearest_known_ones():
    unknown = note(translate(config(optim_warpper={})), "optim_warpper")
    assert (unknown.status, unknown.choices[0]) == (Status.UNKNOWN, "optim_wrapper")


def test_the_config_is_left_as_it_was():
    cfg = config()
    translate(cfg)
    assert cfg == config()


@pytest.mark.parametrize(
    ("changes", "key_path", "words"),
    [
        ({"model": ...}, "model", "no model"),
        ({"train_cfg": ...}, "train_dataloader", "train_cfg is missing"),
        ({"val_evaluator": None}, "val_dataloader", "val_evaluator is missing"),
        ({"train_cfg": {"by_epoch": True}}, "train_cfg", "needs 'max_epochs'"),
        (
            dict.fromkeys(["val_cfg", "val_evaluator"]),
            "val_dataloader",
            "val_evaluator are missing",
        ),
        ({"train_cfg": {"max_epochs": 1.5}}, "train_cfg.max_epochs", "whole number"),
        ({"train_cfg": {"max_epochs": 1, "val_interval": 0}}, "train_cfg.val_interval", "least 1"),
        ({"param_scheduler": [{"end": 3}]}, "param_scheduler[0]", "needs a 'type'"),
        ({"param_scheduler": "MultiStepLR"}, "param_scheduler", "must be a scheduler"),
        ({"custom_hooks": {"type_": "A"}}, "custom_hooks", "must be a list"),
        ({"default_hooks": {"logger": {"interval": 1}}}, "default_hooks.logger", "needs a 'type'"),
    ],
)
def test_a_mistake_is_an_error_with_its_key_path(changes, key_path, words):
    with pytest.raises(ConfigError, match=words) as caught:
        translate(config(**changes))
    assert caught.value.key_path == key_path


def test_a_scheduler_without_an_optimizer_is_an_error():
    cfg = config(train_dataloader=..., train_cfg=..., optim_wrapper=..., param_scheduler=[])
    with pytest.raises(ConfigError, match="optim_wrapper is missing"):
        translate(cfg)


def test_all_problems_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        translate(config(model=..., train_cfg={"max_epochs": -1}))
    assert "2 problems" in str(caught.value)
    assert "model" in str(caught.value)
    assert "train_cfg.max_epochs" in str(caught.value)


@pytest.mark.parametrize("launcher", ["none", "pytorch", "slurm", "mpi"])
def test_the_launchers_of_mmengine_are_known(launcher):
    assert translate(config(launcher=launcher)).runtime.launcher == launcher


def test_an_unknown_launcher_is_refused_with_those_that_there_are():
    with pytest.raises(ConfigError, match=r"launcher: .*'torchrun', only 'none', 'pytorch'"):
        translate(config(launcher="torchrun"))


def test_a_default_hook_set_to_none_is_left_out():
    names = [path for path, _ in translate(config(default_hooks={"timer": None})).hooks.entries]
    assert "default_hooks.timer" not in names
    assert "default_hooks.logger" in names


def test_hooks_keep_mmengines_order_of_registration():
    plan = translate(config(default_hooks={"mine": {"type": "A"}}, custom_hooks=[{"type": "B"}]))
    assert [path for path, _ in plan.hooks.entries][-2:] == [
        "default_hooks.mine",
        "custom_hooks[0]",
    ]


def test_translating_needs_neither_torch_nor_lightning():
    code = (
        "import sys, mm2pl\n"
        "from mm2pl.mmengine.config import Config\n"
        "mm2pl.translate(Config(dict(model=dict(type='Net'))))\n"
        "print([m for m in ('torch', 'lightning', 'numpy') if m in sys.modules])\n"
    )
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert printed.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("section", "key_path", "status"),
    [
        ({"env_cfg": {"cudnn_benchmark": True}}, "env_cfg.cudnn_benchmark", Status.AS_IS),
        ({"randomness": {"seed": 3}}, "randomness.seed", Status.AS_IS),
        ({"randomness": {"sed": 3}}, "randomness.sed", Status.UNKNOWN),
        ({"log_processor": {"window_size": 3}}, "log_processor.window_size", Status.AS_IS),
        ({"visualizer": {"type": "V", "extra": 1}}, "visualizer.extra", Status.BY_CLASS),
        ({"auto_scale_lr": {"enable": False}}, "auto_scale_lr.enable", Status.AS_IS),
    ],
)
def test_the_keys_of_small_sections_have_notes(section, key_path, status):
    assert note(translate(config(**section)), key_path).status is status
