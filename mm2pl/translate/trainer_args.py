"""What becomes of each argument of Lightning's Trainer, given as ``trainer = dict(...)``.

Loops, optimizers, data and hooks of a run are MMEngine's, so an argument that is about them becomes
the key of the config that says it; what Lightning does here by itself is passed on to it; the rest
is refused, with the key that does it.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mm2pl.errors import ConfigError, nearest
from mm2pl.plan import ABSENT, Change, Status
from mm2pl.translate.report import Report, Rule, raw_items, whole_number
from mm2pl.translate.trainer_draft import Draft
from mm2pl.translate.trainer_meaning import MEANINGS

SECTION = "trainer"


@dataclass(frozen=True)
class TrainerRule(Rule):
    """What becomes of one argument of the Trainer.

    Attributes:
        hint: For a refused one, what to write instead.
        neutral: Values that ask for nothing, beside None; those of another type are others.
        since: The first version of Lightning that has the argument.
    """

    hint: str | None = None
    neutral: tuple[Any, ...] = ()
    since: str = "2.5.0"

    def asks_nothing(self, value: Any) -> bool:
        return value is None or any(
            type(value) is type(one) and value == one for one in self.neutral
        )


def _passed(key: str, text: str, check: Any = None, neutral: Any = ()) -> TrainerRule:
    text = f"passed on to the Trainer: {text}"
    return TrainerRule(key, Status.AS_IS, text, check, neutral=neutral)


def _means(key: str, text: str, check: Any = None, neutral: Any = ()) -> TrainerRule:
    return TrainerRule(key, Status.TRANSLATED, text, check, neutral=neutral)


def _refused(key: str, why: str, hint: str, neutral: Any = (), since: str = "2.5.0") -> TrainerRule:
    return TrainerRule(key, Status.UNSUPPORTED, why, hint=hint, neutral=neutral, since=since)


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be True or False"


def _among(*choices: Any) -> Any:
    names = ", ".join(map(repr, choices))

    def check(value: Any) -> str | None:
        fits = any(type(value) is type(one) and value == one for one in choices)
        near = nearest(str(value), [one for one in choices if isinstance(one, str)])
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        return None if fits else f"must be one of {names}{meant}"

    return check


def _amount(value: Any) -> str | None:
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
    if fits and (value <= 1 or float(value).is_integer()):
        return None
    return "must be a number of batches, or a fraction from 0.0 to 1.0"


def _number(value: Any) -> str | None:
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0
    return None if fits else "must be a number of at least 0"


def _batches_of_a_trial(value: Any) -> str | None:
    return None if isinstance(value, bool) else whole_number(0)(value)


def _duration(value: Any) -> str | None:
    if isinstance(value, (datetime.timedelta, Mapping)):
        return None
    parts = value.split(":") if isinstance(value, str) else []
    fits = len(parts) == 4 and all(part.strip().isdecimal() for part in parts)
    return None if fits else "must be 'DD:HH:MM:SS', a timedelta or a dict(hours=...)"


def _device_count(value: Any) -> str | None:
    if isinstance(value, str) and (value == "auto" or value.isdecimal() or value == "-1"):
        return None
    fits = isinstance(value, int) and not isinstance(value, bool) and (value > 0 or value == -1)
    return (
        None
        if fits
        else "must be how many, 'auto' or -1 (all); which ones says CUDA_VISIBLE_DEVICES"
    )


_LOADER = "the loop's loader ends after that many batches, or after that share of them"
_ENGINE = "mm2pl brings the Trainer's strategy, precision and checkpoints itself"
_ONE_LOADER = "MMEngine builds a loader once, and hooks change it in mid run"
_RUNS_ON = "MMEngine's loops have no minimum"
TRAINER_RULES: tuple[TrainerRule, ...] = (
    _passed(
        "accelerator",
        "the device of model and data, which get_device() gives too",
        _among("auto", "cpu", "gpu", "cuda", "mps"),
        ("auto",),
    ),
    _means(
        "strategy",
        "MMEngine's DistributedDataParallel; find_unused_parameters or model_wrapper_cfg",
        None,
        ("auto",),
    ),
    _means(
        "devices", "processes, which `mm2pl fit` launches (elsewhere torchrun does)", _device_count
    ),
    _means(
        "num_nodes", "a launcher starts the processes of several machines", whole_number(1), (1,)
    ),
    _means("precision", "optim_wrapper.type: AmpOptimWrapper or OptimWrapper"),
    _means(
        "logger",
        "more of Lightning's loggers beside the visualizer's backends; False: none",
        None,
        (True,),
    ),
    _passed("callbacks", "they run beside MMEngine's hooks"),
    _means(
        "fast_dev_run",
        "that many batches of each stage; nothing is written",
        _batches_of_a_trial,
        (False, 0),
    ),
    _means("max_epochs", "train_cfg.max_epochs"),
    _refused("min_epochs", _RUNS_ON, "EarlyStoppingHook(patience=...) in custom_hooks waits", (0,)),
    _means(
        "max_steps",
        "updates of the optimizer: train_cfg.max_iters, or the end of an epoch loop",
        None,
        (-1,),
    ),
    _refused("min_steps", _RUNS_ON, "EarlyStoppingHook(patience=...) in custom_hooks waits", (0,)),
    _passed("max_time", "training ends then, as if the epoch were over", _duration),
    _means(
        "limit_train_batches",
        f"{_LOADER}; train_cfg.max_iters of an iteration loop",
        _amount,
        (1.0,),
    ),
    _means("limit_val_batches", f"{_LOADER}; 0 turns validation off", _amount, (1.0,)),
    _means("limit_test_batches", f"{_LOADER}; 0 turns the test off", _amount, (1.0,)),
    _refused(
        "limit_predict_batches", "there is no predict loop", "trainer.limit_test_batches", (1.0,)
    ),
    _means(
        "overfit_batches",
        "the same first batches in every epoch, for training and validation",
        _amount,
        (0, 0.0),
    ),
    _means("val_check_interval", "train_cfg.val_interval of an iteration loop"),
    _means("check_val_every_n_epoch", "train_cfg.val_interval of an epoch loop"),
    _means(
        "num_sanity_val_steps", "so many batches are validated first, without hooks", None, (0,)
    ),
    _means("log_every_n_steps", "default_hooks.logger.interval", whole_number(1)),
    _means("enable_checkpointing", "default_hooks.checkpoint", _flag),
    _passed("enable_progress_bar", "mm2pl's bar, on a terminal only", _flag, (True,)),
    _passed("enable_model_summary", "ModelSummary, into the log", _flag, (False,)),
    _means("accumulate_grad_batches", "optim_wrapper.accumulative_counts", whole_number(1)),
    _means("gradient_clip_val", "optim_wrapper.clip_grad", _number),
    _means("gradient_clip_algorithm", "optim_wrapper.clip_grad.type", _among("norm", "value")),
    _means(
        "deterministic",
        "randomness.deterministic; 'warn' is passed on",
        _among(True, False, "warn"),
    ),
    _means("benchmark", "env_cfg.cudnn_benchmark", _flag),
    _refused(
        "inference_mode",
        "MMEngine predicts under no_grad: hooks may train on what a validation made",
        "leave it out, or False",
        (False,),
    ),
    _refused(
        "use_distributed_sampler",
        "the config's samplers share the data between processes already",
        "sampler=dict(type='DefaultSampler', shuffle=True) in the loader",
        (False,),
    ),
    _passed("profiler", "what Lightning calls, and each hook", None),
    _passed("detect_anomaly", "autograd says which operation made a NaN", _flag, (False,)),
    _refused(
        "barebones",
        "it measures Lightning without loggers and checkpoints, which here are MMEngine's hooks",
        "default_hooks=dict(logger=None, checkpoint=None, timer=None) leaves them out",
        (False,),
    ),
    _refused(
        "plugins", _ENGINE, "optim_wrapper, model_wrapper_cfg and env_cfg say what they do", ([],)
    ),
    _means("sync_batchnorm", "sync_bn='torch'", _flag),
    _refused(
        "reload_dataloaders_every_n_epochs",
        _ONE_LOADER,
        "a hook may set runner.train_loop.dataloader",
        (0,),
    ),
    _means("default_root_dir", "work_dir"),
    TrainerRule(
        "enable_autolog_hparams",
        Status.NO_EFFECT,
        "the module has no hyperparameters; the config is what is logged",
        _flag,
        since="2.6.0",
    ),
    _refused(
        "model_registry",
        "checkpoints are MMEngine's files, saved by CheckpointHook",
        "default_hooks.checkpoint.out_dir",
        since="2.5.1",
    ),
    TrainerRule(
        "stop_on_nonfinite_loss",
        Status.TRANSLATED,
        "mm2pl's own: the run ends at the first loss that is NaN or infinite, before its update;"
        " each loss is then waited for",
        _flag,
        neutral=(False,),
        own=True,
    ),
    TrainerRule(
        "detect_anomalous_params",
        Status.TRANSLATED,
        "mm2pl's own: the parameters that a loss does not depend on are logged, at each backward"
        " pass",
        _flag,
        neutral=(False,),
        own=True,
    ),
    TrainerRule(
        "schedule_per_update",
        Status.TRANSLATED,
        "mm2pl's own: schedules that count iterations count updates of their optimizer instead",
        _flag,
        neutral=(False,),
        own=True,
    ),
)
_BY_KEY = {rule.key: rule for rule in TRAINER_RULES}


def work_in(cfg: Any, report: Report) -> Draft:
    """Work ``trainer = dict(...)`` into a config.

    Args:
        cfg: A config or mapping, which is not changed.
        report: Gets a note for each argument, and the problems.

    Returns:
        The config with the changes, what changed, and what the Trainer is to be given.
    """
    draft = Draft(cfg, report)
    section = draft.get(SECTION, None)
    if section is None:
        return draft
    if not isinstance(section, Mapping):
        report.problem(
            f"must be a dict of the Trainer's arguments, got {section!r}",
            SECTION,
            "trainer=dict(max_epochs=3, callbacks=[dict(type='LearningRateMonitor')])",
        )
        return draft
    given = {}
    for key, value in raw_items(section):
        rule = _BY_KEY.get(key)
        if rule is None:
            _unknown(str(key), report)
        elif _is_right(rule, value, report):
            given[key] = value
    draft.section = given
    for key, work_in_one in MEANINGS.items():
        if key in given:
            draft.argument = key
            work_in_one(draft, given[key])
    for key in given:
        rule = _BY_KEY[key]
        changes = [str(change) for change in draft.changes if change.argument == key]
        text = f"becomes {', '.join(changes)}" if changes else rule.text
        report.note(f"{SECTION}.{key}", draft.statuses.get(key, rule.status), text)
    return draft


def _is_right(rule: TrainerRule, value: Any, report: Report) -> bool:
    """Whether an argument asks for something that can be done; notes and problems are told."""
    where = f"{SECTION}.{rule.key}"
    if rule.asks_nothing(value):
        report.note(where, Status.AS_IS, "asks for nothing that differs")
        return False
    if rule.status is Status.UNSUPPORTED:
        report.unsupported(f"{rule.key}={value!r}", where, rule.text, rule.hint)
        return False
    wrong = rule.check(value) if rule.check else None
    if wrong:
        report.problem(f"{wrong}, got {value!r}", where)
        report.note(where, rule.status, rule.text)
    return wrong is None


def _unknown(key: str, report: Report) -> None:
    report.problems.append(
        ConfigError(
            f"lightning.pytorch.Trainer has no argument {key!r}",
            key_path=f"{SECTION}.{key}",
            file=report.file,
            choices=nearest(key, _BY_KEY),
        )
    )


def put_changes(cfg: Any, effective: Any, changes: tuple[Change, ...]) -> None:
    """Put what the Trainer's arguments changed into a config, in place; objects become classes.

    Args:
        cfg: The config that is logged and saved with the run.
        effective: The plan's config.
        changes: What was changed.
    """
    for key in dict.fromkeys(change.key_path.split(".")[0] for change in changes):
        values = getattr(effective, "_cfg_dict", effective)
        if key in values:
            cfg[key] = dict.__getitem__(values, key)
        else:
            cfg.pop(key, None)
    section = getattr(effective, "_cfg_dict", effective).get(SECTION)
    if isinstance(section, Mapping):
        cfg[SECTION] = {key: _as_written(value) for key, value in section.items()}


def _as_written(value: Any) -> Any:
    """Return what stands for a value in the saved config: of a built object its class."""
    if isinstance(value, (list, tuple)):
        return [_as_written(one) for one in value]
    if value is None or isinstance(value, (str, int, float, Mapping, type, os.PathLike)):
        return value
    if isinstance(value, datetime.timedelta):
        return {"seconds": value.total_seconds()}
    return {"type": f"{type(value).__module__}.{type(value).__qualname__}"}


def describe(changes: tuple[Change, ...], passed: Mapping[str, Any]) -> str:
    """Return the block for the log: what the arguments changed, and which were passed on."""
    lines = []
    for change in changes:
        was = "" if change.before is ABSENT else f" (was {change.before!r})"
        lines.append(f"  trainer.{change.argument}: {change}{was}")
    told = {change.argument for change in changes}
    lines += [f"  trainer.{key}: {value!r}" for key, value in passed.items() if key not in told]
    return "Trainer settings:\n" + "\n".join(lines)
