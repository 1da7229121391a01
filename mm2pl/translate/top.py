"""The keys of the top level: those the runtime reads, a config's own variables, misspelt ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from mm2pl.mmengine.config.lazy import LazyAttr, LazyObject
from mm2pl.plan import Status
from mm2pl.translate.report import Report, Rule, raw_items
from mm2pl.translate.spelling import misspelt

_OLD = "it was a key of MMCV's runner, which MMEngine's replaced"
_PLACE = "a section holds it"
# Keys that were read by MMEngine's predecessor, or that belong into a section: where it is today,
# and why nothing reads it. As a variable from which that place was filled a config may have them.
NOT_HERE = {
    "auto_resume": ("resume", _OLD),
    "autoscale_lr": ("auto_scale_lr", _OLD),
    "checkpoint_config": ("default_hooks.checkpoint", _OLD),
    "clip_grad": ("optim_wrapper.clip_grad", _PLACE),
    "cudnn_benchmark": ("env_cfg.cudnn_benchmark", _PLACE),
    "data": ("train_dataloader", _OLD),
    "deterministic": ("randomness.deterministic", _PLACE),
    "dist_cfg": ("env_cfg.dist_cfg", _PLACE),
    "dist_params": ("env_cfg.dist_cfg", _OLD),
    "evaluation": ("val_evaluator", _OLD),
    "fp16": ("optim_wrapper.type", _OLD),
    "log_config": ("default_hooks.logger", _OLD),
    "lr_config": ("param_scheduler", _OLD),
    "momentum_config": ("param_scheduler", _OLD),
    "mp_cfg": ("env_cfg.mp_cfg", _PLACE),
    "mp_start_method": ("env_cfg.mp_cfg.mp_start_method", _PLACE),
    "opencv_num_threads": ("env_cfg.mp_cfg.opencv_num_threads", _PLACE),
    "optimizer": ("optim_wrapper.optimizer", _PLACE),
    "optimizer_config": ("optim_wrapper.clip_grad", _OLD),
    "paramwise_cfg": ("optim_wrapper.paramwise_cfg", _PLACE),
    "resume_from": ("load_from", "today that is resume=True with load_from"),
    "runner": ("train_cfg", _OLD),
    "seed": ("randomness.seed", _PLACE),
    "total_epochs": ("train_cfg.max_epochs", _OLD),
    "total_iters": ("train_cfg.max_iters", _OLD),
    "val_interval": ("train_cfg.val_interval", _PLACE),
    "vis_backends": ("visualizer.vis_backends", _PLACE),
    "workflow": ("train_cfg.val_interval", _OLD),
}
# What such a key held; a variable of the same name that holds something else is the config's own.
_HELD = {
    "data": ("train", "val", "test", "samples_per_gpu", "workers_per_gpu"),
    "runner": ("type",),
    "evaluation": ("interval", "metric", "metrics", "save_best"),
}
_TEST_SCRIPT = "the library's test script reads it, for --tta"
_READ_BY_SCRIPTS = {"tta_model": _TEST_SCRIPT, "tta_pipeline": _TEST_SCRIPT}


def read_top(cfg: Mapping[str, Any], rules: Sequence[Rule], report: Report) -> None:
    """Note what each key of the top level is."""
    known = {rule.key: rule for rule in rules}
    names = tuple(known)
    for key, value in raw_items(cfg):
        if key in known:
            report.apply(known[key], key, value)
        elif key in NOT_HERE:
            _read_misplaced(key, value, cfg, report)
        elif isinstance(value, (LazyObject, LazyAttr, type)):
            report.note(str(key), Status.VARIABLE, "a name that the config imports")
        else:
            _read_other(str(key), names, report)


def _read_misplaced(key: str, value: Any, cfg: Mapping[str, Any], report: Report) -> None:
    place, why = NOT_HERE[key]
    held = _HELD.get(key)
    is_it = held is None or (isinstance(value, Mapping) and any(one in value for one in held))
    # A section of the old ones had another form than today's.
    is_variable = why is not _OLD or not isinstance(value, (Mapping, list))
    if not value or not is_it or (is_variable and _fills(value, place, cfg)):
        report.note(key, Status.VARIABLE, "the runtime does not read it")
    else:
        report.note(key, Status.NO_EFFECT, f"nothing reads it at the top level: {why}", (place,))


def _fills(value: Any, place: str, cfg: Mapping[str, Any]) -> bool:
    """Whether a key of the top level may be a variable from which its right place was filled."""
    there: Any = cfg
    for part in place.split("."):
        there = dict(raw_items(there)).get(part) if isinstance(there, Mapping) else None
    if isinstance(value, (bool, int, float, str)):
        return bool(there == value)
    return there is not None


def _read_other(key: str, names: tuple[str, ...], report: Report) -> None:
    meant = _meant(key, names)
    if meant:
        report.note(key, Status.UNKNOWN, "nothing reads this key", meant)
    else:
        text = _READ_BY_SCRIPTS.get(key, "the runtime does not read it")
        report.note(key, Status.VARIABLE, text)


@lru_cache(maxsize=4096)
def _meant(key: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(misspelt(key, names))
