"""Values that are told to be wrong are those with which MMEngine cannot build the part."""

from __future__ import annotations

from typing import Any

import pytest

from mm2pl.plan import Status
from mm2pl.translate import examine

SAMPLER = {"type": "DefaultSampler", "shuffle": True}
LOADER = {"dataset": [1, 2], "sampler": SAMPLER, "batch_size": 1, "num_workers": 0}
LOGGER, CHECKPOINT = {"type": "LoggerHook"}, {"type": "CheckpointHook", "interval": 1}
STOP, EMA = {"type": "EarlyStoppingHook", "monitor": "acc"}, {"type": "EMAHook"}
STEPS, COSINE = {"type": "MultiStepLR"}, {"type": "CosineAnnealingLR", "T_max": 3}
CYCLE = {"type": "OneCycleLR", "eta_max": 0.1, "total_steps": 4, "end": 4}
PLATEAU = {"type": "ReduceOnPlateauLR", "monitor": "acc"}
RESTARTS = {"type": "CosineRestartLR", "periods": [2, 3], "eta_min": 0}
SGD, ADAM = {"type": "SGD", "lr": 0.1}, {"type": "Adam", "lr": 0.1}
EPOCHS = {"type": "EpochBasedTrainLoop", "max_epochs": 3}
# Section and its value -> the key that is wrong; None if nothing is.
CASES: list[tuple[str, Any, str | None]] = [
    ("hook", {**LOGGER, "interval": 10}, None),
    ("hook", {**LOGGER, "interval": 0}, ".interval"),
    ("hook", {**LOGGER, "interval": "10"}, ".interval"),
    ("hook", {**CHECKPOINT, "rule": "less", "save_best": "acc"}, None),
    ("hook", {**CHECKPOINT, "rule": ["less", "greater"], "save_best": ["a", "b"]}, None),
    ("hook", {**CHECKPOINT, "rule": "max", "save_best": "acc"}, ".rule"),
    ("hook", {**CHECKPOINT, "save_best": True}, ".save_best"),
    ("hook", {**STOP, "rule": "greater"}, None),
    ("hook", {**STOP, "rule": "max"}, ".rule"),
    ("hook", {**EMA, "begin_iter": 0, "begin_epoch": 3}, None),
    ("hook", {**EMA, "begin_iter": 5, "begin_epoch": 3}, ".begin_epoch"),
    ("hook", {"type": None}, ".type"),
    ("scheduler", {**STEPS, "milestones": (1, 2)}, None),
    ("scheduler", {**STEPS, "milestones": 8}, ".milestones"),
    ("scheduler", {**STEPS, "milestones": [1], "end": "2"}, ".end"),
    ("scheduler", {"type": "LinearLR", "start_factor": 1}, None),
    ("scheduler", {"type": "LinearLR", "start_factor": 2}, ".start_factor"),
    ("scheduler", {**COSINE, "eta_min_ratio": 0.1}, None),
    ("scheduler", {**COSINE, "eta_min_ratio": 0.1, "eta_min": 0.1}, ".eta_min_ratio"),
    ("scheduler", {"type": "CosineRestartLR", "periods": 1, "eta_min": 0}, ".periods"),
    ("scheduler", {**CYCLE, "pct_start": 0.5}, None),
    ("scheduler", {**CYCLE, "pct_start": 2.0}, ".pct_start"),
    ("scheduler", {**CYCLE, "anneal_strategy": "lin"}, ".anneal_strategy"),
    ("scheduler", {**PLATEAU, "rule": "less"}, None),
    ("scheduler", {**PLATEAU, "rule": "min"}, ".rule"),
    ("scheduler", {**PLATEAU, "factor": 1.5}, ".factor"),
    ("scheduler", {"type": "LinearLR", "start_factor": 0}, ".start_factor"),
    ("scheduler", {"type": "StepLR", "step_size": 1, "gamma": "0.1"}, ".gamma"),
    ("scheduler", {"type": "StepLR", "step_size": 0}, ".step_size"),
    ("scheduler", {"type": "StepLR", "step_size": "1"}, ".step_size"),
    ("scheduler", {"type": "PolyLR", "power": "1"}, ".power"),
    ("scheduler", {"type": "LinearLR", "end_factor": 1.5}, ".end_factor"),
    ("scheduler", {"type": "ConstantLR", "factor": 2}, ".factor"),
    ("scheduler", {"type": "ConstantLR", "factor": 1}, None),
    ("scheduler", {**CYCLE, "total_steps": 0}, ".total_steps"),
    ("scheduler", {**CYCLE, "total_steps": None}, None),
    ("scheduler", {**PLATEAU, "threshold": -1}, ".threshold"),
    ("scheduler", {**PLATEAU, "threshold_rule": "relative"}, ".threshold_rule"),
    ("scheduler", {**PLATEAU, "by_epoch": False}, ".by_epoch"),
    ("scheduler", {**COSINE, "T_max": "3"}, ".T_max"),
    ("scheduler", {**RESTARTS, "restart_weights": [1, 0.5]}, None),
    ("scheduler", RESTARTS, ".restart_weights"),
    ("scheduler", {**RESTARTS, "periods": [3], "eta_min_ratio": 0.1}, ".eta_min_ratio"),
    ("scheduler", {"type": "CosineRestartLR", "periods": [3]}, ""),
    ("scheduler", {"type": "LinearMomentum"}, None),
    ("scheduler", {"type": "LinearParamScheduler", "param_name": "weight_decay"}, None),
    ("scheduler", {"type": "LinearParamScheduler", "param_name": "wd"}, ".param_name"),
    ("scheduler", [{"type": "StepLR", "step_size": 1}], ""),
    ("optimizer", {**ADAM, "betas": [0.5, 0.999]}, None),
    ("optimizer", {**ADAM, "betas": 0.9}, ".betas"),
    ("optimizer", {**ADAM, "betas": (0.9, 1.9)}, ".betas"),
    ("optimizer", {**ADAM, "lr": 0}, None),
    ("optimizer", {**SGD, "lr": "0.1"}, ".lr"),
    ("optimizer", {**SGD, "lr": -0.1}, ".lr"),
    ("optimizer", {**SGD, "weight_decay": -1}, ".weight_decay"),
    ("optimizer", {**SGD, "nesterov": True}, ".nesterov"),
    ("optimizer", {**SGD, "nesterov": True, "momentum": 0.9}, None),
    ("optimizer", {**SGD, "nesterov": True, "momentum": 0.9, "dampening": 0.1}, ".nesterov"),
    ("optimizer", {"type": ["SGD"], "lr": 0.1}, ".type"),
    ("loader", LOADER, None),
    ("loader", {key: LOADER[key] for key in LOADER if key != "sampler"}, None),
    ("loader", {**LOADER, "sampler": {"shuffle": True}}, ".sampler"),
    ("loader", {**LOADER, "shuffle": False}, None),
    ("loader", {**LOADER, "shuffle": True}, ".shuffle"),
    ("loader", {**LOADER, "persistent_workers": True}, ".persistent_workers"),
    ("loader", {**LOADER, "prefetch_factor": 2}, ".prefetch_factor"),
    ("loader", {**LOADER, "num_batch_per_epoch": 1}, None),
    ("loader", {**LOADER, "num_batch_per_epoch": "2"}, ".num_batch_per_epoch"),
    ("loader", {**LOADER, "timeout": -1}, ".timeout"),
    ("loader", {**LOADER, "collate_fn": "default_collate"}, ".collate_fn"),
    ("loader", {**LOADER, "dataset": None}, ".dataset"),
    ("loader", {**LOADER, "dataset": {"length": 3}}, ".dataset"),
    ("evaluator", "Metric", ""),
    ("evaluator", ["Metric"], "[0]"),
    ("evaluator", [None], "[0]"),
    ("evaluator", {"acc": {"type": "DumpResults", "out_file_path": "x.pkl"}}, ""),
    ("evaluator", {"type": "Evaluator"}, ""),
    ("train_loop", {**EPOCHS, "dynamic_intervals": [(1, 2)]}, None),
    ("train_loop", {**EPOCHS, "dynamic_intervals": []}, None),
    ("train_loop", {**EPOCHS, "dynamic_intervals": {1: 2}}, ".dynamic_intervals"),
    ("train_loop", {**EPOCHS, "dynamic_intervals": [1, 2]}, ".dynamic_intervals"),
    ("train_loop", {"type": "ValLoop"}, ".type"),
    ("val_loop", {"type": "ValLoop"}, None),
    ("val_loop", {"type": "TestLoop"}, None),
    ("val_loop", EPOCHS, ".type"),
    ("val_loop", {"type": "IterBasedTrainLoop", "max_iters": 3}, ".type"),
]
SOURCE = """
import json
import torch
from mmengine import Config
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.optim import build_optim_wrapper
from mmengine.registry import EVALUATOR, HOOKS, OPTIMIZERS, PARAM_SCHEDULERS
from mmengine.runner import Runner

def build(kind, cfg):
    if kind == "hook":
        return HOOKS.build(cfg)
    weights = [torch.nn.Parameter(torch.ones(1))]
    if kind == "optimizer":
        return OPTIMIZERS.build(cfg, default_args=dict(params=weights))
    if kind == "scheduler":
        optimizer = torch.optim.SGD(weights, lr=0.1)
        schedule = PARAM_SCHEDULERS.build(cfg, default_args=dict(optimizer=optimizer))
        for _ in range(0 if "Plateau" in cfg.type else 3):
            schedule.step()
        return
    if kind.endswith("_loop"):
        runner = Runner.__new__(Runner)
        runner._train_loop, runner._train_dataloader, runner._val_evaluator = None, loader, None
        runner._val_loop = runner._val_dataloader = None
        if kind == "val_loop":
            runner._val_dataloader, runner._val_evaluator = loader, Evaluator([])
        return getattr(runner, f"build_{kind}")(cfg)
    if kind == "loader":
        return Runner.build_dataloader(cfg, seed=0)
    built = Runner.build_evaluator(None, cfg)
    built.dataset_meta = None

loader = torch.utils.data.DataLoader([1, 2])
results = []
for kind, value, _ in CASES:
    try:
        build(kind, Config(dict(value=value)).value)
        results.append(None)
    except Exception as error:
        results.append(f"{type(error).__name__}: {error}")
print(json.dumps(results))
"""
_PLACES = {
    "hook": "custom_hooks[0]",
    "scheduler": "param_scheduler[0]",
    "optimizer": "optim_wrapper.optimizer",
    "loader": "train_dataloader",
    "evaluator": "val_evaluator",
    "train_loop": "train_cfg",
    "val_loop": "val_cfg",
}


def config(kind: str, value: Any) -> dict[str, Any]:
    loader = {**LOADER, "dataset": {"type": "Numbers"}}
    sections = {
        "hook": {"custom_hooks": [value]},
        "scheduler": {"param_scheduler": [value]},
        "optimizer": {"optim_wrapper": {"optimizer": value}},
        "loader": {"train_dataloader": value},
        "evaluator": {"val_evaluator": value, "val_cfg": {}, "val_dataloader": loader},
        "train_loop": {"train_cfg": value},
        "val_loop": {
            "val_cfg": value,
            "val_dataloader": loader,
            "val_evaluator": {"type": "DumpResults", "out_file_path": "x.pkl"},
        },
    }
    whole = {
        "model": {"type": "Net"},
        "train_dataloader": loader,
        "train_cfg": {"max_epochs": 9},
        "optim_wrapper": {"optimizer": SGD},
    }
    return {**whole, **sections[kind]}


@pytest.fixture(scope="module")
def errors(reference: Any) -> list[str | None]:
    found: list[str | None] = reference.run(SOURCE.replace("CASES", repr(CASES)))
    return found


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_value_is_wrong_where_mmengine_raises(number: int, errors: list[str | None]) -> None:
    kind, value, key = CASES[number]
    problems = [one.key_path for one in examine(config(kind, value)).problems]
    assert problems == ([] if key is None else [_PLACES[kind] + key])
    assert (errors[number] is None) == (key is None), errors[number]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model", "Net"),
        ("model", {"width": 4}),
        ("model", {"type": None}),
        ("visualizer", [{"type": "Visualizer"}]),
        ("visualizer", {"vis_backends": []}),
        ("log_processor", "LogProcessor"),
        ("log_processor", {"window_size": "10"}),
        ("visualizer", {"type": "Visualizer", "vis_backends": ["LocalVisBackend"]}),
        ("data_preprocessor", "BaseDataPreprocessor"),
        ("custom_imports", ["a.module"]),
        ("compile", "yes"),
        ("work_dir", 5),
        ("load_from", {"path": "x"}),
        ("train_cfg", "EpochBasedTrainLoop"),
        ("default_scope", 5),
    ],
)
def test_a_section_of_another_form_is_wrong_once(key: str, value: Any) -> None:
    (problem,) = examine({**config("optimizer", SGD), key: value}).problems
    assert (problem.key_path or "").startswith(key)


@pytest.mark.parametrize(
    "hooks",
    [
        {"default_hooks": {"logger": "LoggerHook"}},
        {"default_hooks": {"logger": False}},
        {"default_hooks": {"mine": None}},
        {"custom_hooks": ["EMAHook"]},
        {"custom_hooks": [None]},
        {"custom_hooks": [[EMA]]},
        {"custom_hooks": [{**EMA, "priority": 1.5}]},
    ],
)
def test_what_is_no_hook_is_wrong(hooks: dict[str, Any]) -> None:
    assert len(examine({**config("optimizer", SGD), **hooks}).problems) == 1


def test_a_built_object_is_not_judged() -> None:
    whole = config("optimizer", {**SGD, "lr": object()})
    whole |= {"visualizer": object(), "custom_hooks": [object()], "train_dataloader": object()}
    assert examine(whole).problems == ()


def test_a_misspelt_default_scope_is_told_once() -> None:
    notes = examine({**config("optimizer", SGD), "default_scope": "mmpretrian"}).plan.notes
    found = [(one.key_path, one.status) for one in notes if one.status.is_finding]
    assert found == [("default_scope", Status.UNKNOWN)]


def test_a_message_does_not_quote_a_whole_section() -> None:
    whole = {**config("optimizer", SGD), "default_hooks": [{"type": "LoggerHook"}] * 100}
    (problem,) = examine(whole).problems
    assert len(problem.message) < 120


@pytest.mark.parametrize("key", ["paramwise_cfg", "clip_grad"])
def test_an_option_of_the_wrapper_within_the_optimizer_is_sent_one_level_up(key: str) -> None:
    notes = examine(config("optimizer", {**SGD, key: {"max_norm": 1}})).plan.notes
    (found,) = (one for one in notes if one.status.is_finding)
    assert found.key_path == f"optim_wrapper.optimizer.{key}"
    assert found.choices == (f"optim_wrapper.{key}",)
