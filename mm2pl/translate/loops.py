"""``train_cfg``, ``val_cfg`` and ``test_cfg``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.plan import EvalPlan, Status, TrainPlan
from mm2pl.translate.data import read_dataloader
from mm2pl.translate.report import Report, Rule, type_name, whole_number

_SCOPE = Rule("_scope_", Status.AS_IS, "the registry scope of this section")
_COMMON = (
    _SCOPE,
    Rule("type", Status.TRANSLATED, "the Trainer's own fit loop, driven by the loop's settings"),
    Rule("by_epoch", Status.TRANSLATED, "the loop's type"),
    Rule("val_begin", Status.TRANSLATED, "when the Trainer validates", whole_number(0)),
    Rule("val_interval", Status.TRANSLATED, "when the Trainer validates", whole_number(1)),
    Rule("dynamic_intervals", Status.TRANSLATED, "when the Trainer validates"),
)
_EPOCHS = Rule("max_epochs", Status.TRANSLATED, "Trainer(max_epochs)", whole_number(0))
_ITERS = Rule("max_iters", Status.TRANSLATED, "the length of one Lightning epoch", whole_number(0))
TRAIN_RULES = {
    "EpochBasedTrainLoop": (*_COMMON, _EPOCHS),
    "IterBasedTrainLoop": (*_COMMON, _ITERS),
}
EVAL_RULES = (
    _SCOPE,
    Rule("type", Status.TRANSLATED, "Trainer.validate or Trainer.test"),
    Rule("fp16", Status.AS_IS, "predictions under autocast"),
)


def plan_train(cfg: Mapping[str, Any], report: Report) -> TrainPlan | None:
    """Read ``train_cfg`` and ``train_dataloader``; MMEngine wants both and ``optim_wrapper``."""
    if not _complete(cfg, ("train_dataloader", "train_cfg", "optim_wrapper"), report):
        return None
    loop = cfg["train_cfg"]
    if not isinstance(loop, Mapping):
        report.unsupported(
            "a train_cfg that is a built loop",
            "train_cfg",
            "Lightning's Trainer is made before the loop",
            "give train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=...)",
        )
        return None
    loop = dict(dict.items(loop)) if isinstance(loop, dict) else dict(loop)
    if "type" in loop and "by_epoch" in loop:
        report.problem("only one of 'type' and 'by_epoch' may be given", "train_cfg")
    by_epoch = loop.pop("by_epoch", True)
    if "type" not in loop:
        loop["type"] = "EpochBasedTrainLoop" if by_epoch else "IterBasedTrainLoop"
    name = type_name(loop["type"])
    report.read(
        cfg["train_cfg"],
        TRAIN_RULES.get(name, (*_COMMON, _EPOCHS, _ITERS)),
        "train_cfg",
        "" if name in TRAIN_RULES else f"an argument of {name}",
    )
    length = {"EpochBasedTrainLoop": "max_epochs", "IterBasedTrainLoop": "max_iters"}.get(name)
    if length and length not in loop:
        report.problem(f"{name} needs {length!r}", "train_cfg", f"add {length}=... to train_cfg")
    return TrainPlan(loop, read_dataloader(cfg["train_dataloader"], "train_dataloader", report))


def plan_eval(cfg: Mapping[str, Any], stage: str, report: Report) -> EvalPlan | None:
    """Read the loop, loader and evaluator of ``stage``, ``val`` or ``test``."""
    keys = (f"{stage}_dataloader", f"{stage}_cfg", f"{stage}_evaluator")
    if not _complete(cfg, keys, report):
        return None
    loop = cfg[keys[1]]
    if not isinstance(loop, Mapping):
        report.unsupported(
            f"a {keys[1]} that is a built loop", keys[1], "Lightning's Trainer drives the loop"
        )
        return None
    loop = dict(dict.items(loop)) if isinstance(loop, dict) else dict(loop)
    loop.setdefault("type", "ValLoop" if stage == "val" else "TestLoop")
    name = type_name(loop["type"])
    known = name in ("ValLoop", "TestLoop")
    report.read(cfg[keys[1]], EVAL_RULES, keys[1], "" if known else f"an argument of {name}")
    report.note(keys[2], Status.BY_CLASS, "MMEngine metrics, called by the validation step")
    return EvalPlan(loop, read_dataloader(cfg[keys[0]], keys[0], report), cfg[keys[2]])


def _complete(cfg: Mapping[str, Any], keys: tuple[str, ...], report: Report) -> bool:
    missing = [key for key in keys if cfg.get(key) is None]
    if missing and len(missing) < len(keys):
        given = ", ".join(key for key in keys if key not in missing)
        report.problem(
            f"{', '.join(missing)} is missing, beside {given}",
            missing[0],
            f"{', '.join(keys)} belong together: give all of them or none",
        )
    return not missing
