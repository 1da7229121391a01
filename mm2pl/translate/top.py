"""The keys of the top level: those the runtime reads, a config's own variables, misspelt ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from mm2pl.plan import Status
from mm2pl.translate.report import Report, Rule, raw_items
from mm2pl.translate.spelling import misspelt

# Keys that MMEngine's predecessor (MMCV 1.x) read, and today's.
OLD_KEYS = {
    "optimizer": "optim_wrapper",
    "optimizer_config": "optim_wrapper",
    "fp16": "optim_wrapper",
    "lr_config": "param_scheduler",
    "momentum_config": "param_scheduler",
    "runner": "train_cfg",
    "total_epochs": "train_cfg",
    "workflow": "train_cfg",
    "evaluation": "val_evaluator",
    "data": "train_dataloader",
    "checkpoint_config": "default_hooks",
    "log_config": "default_hooks",
    "resume_from": "resume",
    "auto_resume": "resume",
    "dist_params": "env_cfg",
    "cudnn_benchmark": "env_cfg",
    "opencv_num_threads": "env_cfg",
    "mp_start_method": "env_cfg",
    "seed": "randomness",
    "deterministic": "randomness",
    "autoscale_lr": "auto_scale_lr",
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
            continue
        today = OLD_KEYS.get(key)
        if today is not None and value and not _serves(key, today, cfg):
            text = f"a key of MMEngine's predecessor; nothing reads it since {today} took its place"
            report.note(key, Status.NO_EFFECT, text, (today,))
            continue
        meant = [] if key in OLD_KEYS else _meant(str(key), names)
        if meant:
            report.note(key, Status.UNKNOWN, "nothing reads this key", meant)
        else:
            text = _READ_BY_SCRIPTS.get(key, "the runtime does not read it")
            report.note(key, Status.VARIABLE, text)


def _serves(key: str, today: str, cfg: Mapping[str, Any]) -> bool:
    """Whether an old key is a variable from which today's was made."""
    return key == "optimizer" and cfg.get(today) is not None


@lru_cache(maxsize=4096)
def _meant(key: str, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(misspelt(key, names))
