"""A misspelt word anywhere in a config is found, and the right one is named first."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from mm2pl.translate import examine

LOADER = {
    "batch_size": 2,
    "num_workers": 2,
    "persistent_workers": True,
    "pin_memory": True,
    "sampler": {"type": "DefaultSampler", "shuffle": True},
    "batch_sampler": {"type": "AspectRatioBatchSampler"},
    "collate_fn": {"type": "pseudo_collate"},
    "dataset": {
        "type": "RepeatDataset",
        "times": 3,
        "dataset": {"type": "CocoDataset", "ann_file": "a.json", "pipeline": [{"type": "Load"}]},
    },
}
CONFIG: dict[str, Any] = {
    "default_scope": "mmdet",
    "default_hooks": {
        "timer": {"type": "IterTimerHook"},
        "logger": {"type": "LoggerHook", "interval": 50},
        "param_scheduler": {"type": "ParamSchedulerHook"},
        "checkpoint": {
            "type": "CheckpointHook",
            "interval": 1,
            "save_best": "coco/bbox_mAP",
            "rule": "greater",
            "max_keep_ckpts": 3,
        },
        "sampler_seed": {"type": "DistSamplerSeedHook"},
        "visualization": {"type": "DetVisualizationHook", "draw": True},
    },
    "custom_hooks": [
        {"type": "EMAHook", "momentum": 0.0002, "update_buffers": True, "priority": 49},
        {"type": "EarlyStoppingHook", "monitor": "coco/bbox_mAP", "patience": 5},
        {"type": "NumClassCheckHook", "priority": "ABOVE_NORMAL"},
    ],
    "env_cfg": {
        "cudnn_benchmark": False,
        "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
        "dist_cfg": {"backend": "nccl"},
    },
    "randomness": {"seed": 3, "deterministic": False, "diff_rank_seed": True},
    "visualizer": {
        "type": "DetLocalVisualizer",
        "vis_backends": [{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}],
        "name": "visualizer",
    },
    "log_processor": {"type": "LogProcessor", "window_size": 50, "by_epoch": True},
    "log_level": "INFO",
    "load_from": None,
    "resume": False,
    "work_dir": "work",
    "launcher": "none",
    "model_wrapper_cfg": {"type": "MMDistributedDataParallel", "find_unused_parameters": True},
    "model": {"type": "FasterRCNN", "data_preprocessor": {"type": "DetDataPreprocessor"}},
    "train_dataloader": copy.deepcopy(LOADER),
    "val_dataloader": copy.deepcopy(LOADER),
    "test_dataloader": copy.deepcopy(LOADER),
    "val_evaluator": {"type": "CocoMetric", "metric": "bbox"},
    "test_evaluator": {"type": "CocoMetric", "metric": "bbox"},
    "train_cfg": {
        "type": "EpochBasedTrainLoop",
        "max_epochs": 36,
        "val_interval": 3,
        "val_begin": 2,
        "dynamic_intervals": [(30, 1)],
    },
    "val_cfg": {"type": "ValLoop", "fp16": True},
    "test_cfg": {"type": "TestLoop"},
    "optim_wrapper": {
        "type": "AmpOptimWrapper",
        "constructor": "DefaultOptimWrapperConstructor",
        "loss_scale": "dynamic",
        "dtype": "bfloat16",
        "accumulative_counts": 2,
        "optimizer": {"type": "AdamW", "lr": 1e-4, "betas": (0.9, 0.999), "weight_decay": 0.05},
        "clip_grad": {"type": "norm", "max_norm": 35, "norm_type": 2},
        "paramwise_cfg": {
            "norm_decay_mult": 0.0,
            "bias_lr_mult": 2.0,
            "bypass_duplicate": True,
            "custom_keys": {"backbone": {"lr_mult": 0.1, "decay_mult": 1.0}},
        },
    },
    "param_scheduler": [
        {"type": "LinearLR", "start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 500},
        {"type": "MultiStepLR", "milestones": [27, 33], "gamma": 0.1, "end": 36},
        {
            "type": "CosineAnnealingMomentum",
            "T_max": 36,
            "eta_min": 0.85,
            "convert_to_iter_based": True,
        },
    ],
    "auto_scale_lr": {"enable": False, "base_batch_size": 16},
}

# Where, and what stands there instead of the right key.
KEYS = [
    ("optim_wrapper", "optim_warpper"),
    ("param_scheduler", "param_schedular"),
    ("train_dataloader", "train_dataloder"),
    ("val_evaluator", "val_evalutor"),
    ("default_hooks", "default_hook"),
    ("custom_hooks", "costum_hooks"),
    ("visualizer", "visualiser"),
    ("log_processor", "log_procesor"),
    ("load_from", "load_form"),
    ("default_scope", "defualt_scope"),
    ("env_cfg", "env_cfgs"),
    ("randomness", "randomnes"),
    ("auto_scale_lr", "autoscale_lr"),
    ("train_cfg.val_interval", "val_inteval"),
    ("train_cfg.max_epochs", "max_epoch"),
    ("train_cfg.val_begin", "val_begins"),
    ("train_cfg.dynamic_intervals", "dynamic_interval"),
    ("val_cfg.fp16", "fp_16"),
    ("optim_wrapper.optimizer", "optimzer"),
    ("optim_wrapper.accumulative_counts", "accumulate_counts"),
    ("optim_wrapper.clip_grad", "clip_gard"),
    ("optim_wrapper.constructor", "constuctor"),
    ("optim_wrapper.paramwise_cfg", "paramwise_config"),
    ("optim_wrapper.loss_scale", "loss_scaler"),
    ("optim_wrapper.optimizer.weight_decay", "weight_dacay"),
    ("optim_wrapper.optimizer.betas", "beta"),
    ("optim_wrapper.optimizer.type", "tpye"),
    ("optim_wrapper.clip_grad.max_norm", "max_nrom"),
    ("optim_wrapper.clip_grad.norm_type", "normtype"),
    ("optim_wrapper.paramwise_cfg.norm_decay_mult", "norm_decay_multi"),
    ("optim_wrapper.paramwise_cfg.bias_lr_mult", "bias_lr_mul"),
    ("optim_wrapper.paramwise_cfg.bypass_duplicate", "bypass_duplicates"),
    ("optim_wrapper.paramwise_cfg.custom_keys", "custom_key"),
    ("optim_wrapper.paramwise_cfg.custom_keys.backbone.decay_mult", "decay_multi"),
    ("optim_wrapper.paramwise_cfg.custom_keys.backbone.decay_mult", "wd_mult"),
    ("optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult", "lr_multi"),
    ("param_scheduler[0].start_factor", "start_facter"),
    ("param_scheduler[0].by_epoch", "by_epochs"),
    ("param_scheduler[0].type", "tpye"),
    ("param_scheduler[1].milestones", "milestone"),
    ("param_scheduler[1].gamma", "gama"),
    ("param_scheduler[2].T_max", "T_Max"),
    ("param_scheduler[2].eta_min", "eta_mim"),
    ("param_scheduler[2].convert_to_iter_based", "convert_to_iterbased"),
    ("auto_scale_lr.enable", "enabled"),
    ("auto_scale_lr.base_batch_size", "base_batchsize"),
    ("default_hooks.checkpoint", "checkpiont"),
    ("default_hooks.checkpoint.save_best", "save_bset"),
    ("default_hooks.checkpoint.max_keep_ckpts", "max_keep_ckpt"),
    ("default_hooks.checkpoint.rule", "rules"),
    ("default_hooks.logger.interval", "intervel"),
    ("custom_hooks[0].momentum", "momentun"),
    ("custom_hooks[0].update_buffers", "update_buffer"),
    ("custom_hooks[1].monitor", "moniter"),
    ("custom_hooks[1].patience", "patient"),
    ("env_cfg.cudnn_benchmark", "cudnn_bechmark"),
    ("env_cfg.mp_cfg", "mp_config"),
    ("env_cfg.dist_cfg", "dist_cgf"),
    ("env_cfg.mp_cfg.mp_start_method", "mp_start_methods"),
    ("randomness.seed", "seeds"),
    ("randomness.deterministic", "determinstic"),
    ("log_processor.window_size", "windows_size"),
    ("train_dataloader.batch_size", "batchsize"),
    ("train_dataloader.num_workers", "num_worker"),
    ("val_dataloader.persistent_workers", "presistent_workers"),
    ("test_dataloader.pin_memory", "pin_memroy"),
    ("train_dataloader.sampler.shuffle", "shufle"),
    ("train_dataloader.dataset.times", "time"),
    ("model_wrapper_cfg.find_unused_parameters", "find_unused_parameter"),
]
# Where, and what stands there instead of the right value.
VALUES = [
    ("train_cfg.type", "EpochBaseTrainLoop"),
    ("val_cfg.type", "ValLop"),
    ("test_cfg.type", "Testloop"),
    ("optim_wrapper.type", "AmpOptimWraper"),
    ("optim_wrapper.constructor", "DefaultOptimWrapperConstuctor"),
    ("optim_wrapper.dtype", "bfloat_16"),
    ("optim_wrapper.loss_scale", "dynamc"),
    ("optim_wrapper.optimizer.type", "Adamw"),
    ("optim_wrapper.clip_grad.type", "nrom"),
    ("param_scheduler[0].type", "LinearLr"),
    ("param_scheduler[1].type", "MultistepLR"),
    ("param_scheduler[1].type", "MutliStepLR"),
    ("param_scheduler[2].type", "CosineAnealingMomentum"),
    ("default_hooks.checkpoint.type", "CheckPointHook"),
    ("default_hooks.logger.type", "LoggerHok"),
    ("custom_hooks[0].type", "EmaHook"),
    ("custom_hooks[1].type", "EarlyStopHook"),
    ("custom_hooks[2].priority", "ABOVE_NORMLA"),
    ("train_dataloader.sampler.type", "DefaultSamper"),
    ("train_dataloader.collate_fn.type", "psuedo_collate"),
    ("train_dataloader.dataset.type", "RepeatDatset"),
    ("visualizer.vis_backends[1].type", "TensorBoardVisBackend"),
    ("log_processor.type", "LogProcesor"),
    ("model_wrapper_cfg.type", "MMDistributedDataParalel"),
    ("launcher", "pytroch"),
]
PYTORCH = {"launcher": "pytorch"}  # what a value was meant to be, where the config has another


def steps(path: str) -> list[str | int]:
    return [int(one) if one.isdigit() else one for one in re.findall(r"[^.\[\]]+", path)]


def at(cfg: Any, path: list[str | int]) -> Any:
    for step in path:
        cfg = cfg[step]
    return cfg


def found(cfg: dict[str, Any]) -> dict[str, str | None]:
    """Return the findings' key paths, each with the word that was probably meant."""
    examination = examine(cfg)
    notes = [note for note in examination.plan.notes if note.status.is_finding]
    return {one.key_path: (one.choices or (None,))[0] for one in notes}


def problems(cfg: dict[str, Any]) -> dict[str | None, str | None]:
    return {one.key_path: (one.choices or (None,))[0] for one in examine(cfg).problems}


def test_the_config_without_a_mistake_has_no_finding() -> None:
    assert (found(CONFIG), problems(CONFIG)) == ({}, {})


@pytest.mark.parametrize(("path", "wrong"), KEYS)
def test_a_misspelt_key_is_the_only_finding_and_the_right_one_is_named_first(
    path: str, wrong: str
) -> None:
    cfg = copy.deepcopy(CONFIG)
    *place, right = steps(path)
    section = at(cfg, place)
    section[wrong] = section.pop(right)
    assert found(cfg) == {path.removesuffix(str(right)) + wrong: right}


@pytest.mark.parametrize(("path", "wrong"), VALUES)
def test_a_misspelt_value_is_the_only_finding_and_the_right_one_is_named_first(
    path: str, wrong: str
) -> None:
    cfg = copy.deepcopy(CONFIG)
    *place, key = steps(path)
    section = at(cfg, place)
    right, section[key] = PYTORCH.get(path, section[key]), wrong
    assert found(cfg) | problems(cfg) == {path: right}
