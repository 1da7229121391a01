"""Forms of MMEngine's first releases, and those of MMCV's that mean the same, as today's.

They are worked into the config before anything else of it is read, so the plan knows today's forms
only. A form of old is read where today's is absent, which MMEngine 0.10.7 refuses with an error.

Differs: MMEngine ignores ``checkpoint_config``, ``log_config`` and ``scheduler``; here they mean
today's form, unless that stands too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mm2pl.errors import Mm2plError
from mm2pl.plan import ABSENT, Change, Note, Status
from mm2pl.translate.classes import KnownClass, classes, find
from mm2pl.translate.older_edit import Edit
from mm2pl.translate.older_hooks import (
    FP16,
    is_logger,
    read_hooks,
    read_logger,
    read_update,
    rename_arguments,
)
from mm2pl.translate.report import Report, raw_items, type_name

__all__ = ["OLDER_ARGUMENTS", "OLDER_KEYS", "Older", "describe", "put_today", "work_in"]

# Key of the top level, or below -> where it is today.
OLDER_KEYS = {
    "optimizer": "optim_wrapper.optimizer; paramwise_cfg and constructor beside it",
    "optimizer_config": "optim_wrapper, as the optimizer hooks",
    "fp16": "AmpOptimWrapper and its loss_scale",
    "scheduler": "param_scheduler",
    "checkpoint_config": "default_hooks.checkpoint",
    "log_config": "default_hooks.logger and visualizer.vis_backends",
    "runner": "train_cfg, of an EpochBasedRunner or IterBasedRunner",
    "total_epochs": "train_cfg.max_epochs",
    "val_cfg.interval": "train_cfg.val_interval",
    "custom_hooks": "a list; it may be one hook, or hooks by name",
}
# Those that Runner() takes as arguments too, as it did then.
OLDER_ARGUMENTS = tuple(OLDER_KEYS)[:6]
_RUNNERS = {"EpochBasedRunner": ("by_epoch", "max_epochs"), "IterBasedRunner": (None, "max_iters")}
_SHOWN = 8  # changes in the one line about a config


class Older:
    """A config in today's form, and what of it was written otherwise.

    Args:
        edit: The finished edit.

    Attributes:
        cfg: The config in today's form.
        changes: What was changed.
    """

    def __init__(self, edit: Edit) -> None:
        self.cfg = edit.cfg
        self.changes: tuple[Change, ...] = tuple(edit.became)
        self._written = edit.written
        self._notes = edit.notes
        self._told = {note.key_path for note in edit.notes}
        self._placed = len(edit.report.problems)

    def written(self, key_path: str) -> str:
        """Return where the config has what is at a key path of today's form."""
        for new in sorted(self._written, key=len, reverse=True):
            if key_path == new or key_path[: len(new) + 1] in (f"{new}.", f"{new}["):
                return self._written[new] + key_path[len(new) :]
        return key_path

    def notes(self, notes: Sequence[Note]) -> list[Note]:
        """Return notes at the key paths of the config; what was told of a key is told once."""
        kept = list(self._notes)
        for note in notes:
            where = self.written(note.key_path)
            if where == note.key_path:
                kept.append(note)
            elif where not in self._told or note.status.is_finding:
                kept.append(replace(note, key_path=where))
        return kept

    def place(self, problems: Sequence[Mm2plError]) -> None:
        """Let problems, those of this edit first, name the key paths of the config."""
        for problem in problems[self._placed :]:
            if problem.key_path:
                problem.key_path = self.written(problem.key_path)


def describe(changes: Sequence[Change]) -> str:
    """Return the one line that a config with older forms is warned of."""
    became: dict[str, list[str]] = {}
    for change in changes:
        named = change.argument.endswith(".type") and change.value is not ABSENT
        new = repr(change.value) if named else change.key_path
        became.setdefault(change.argument, []).append(new)
    parts = [f"{old} -> {', '.join(dict.fromkeys(new))}" for old, new in became.items()]
    more = f"; and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return f"the config has older forms, which mean today's: {'; '.join(parts[:_SHOWN])}{more}"


def put_today(cfg: Any, effective: Any, changes: Sequence[Change]) -> None:
    """Put today's forms into a config that holds older ones, in place.

    Args:
        cfg: The config that is logged and saved with the run.
        effective: The plan's config.
        changes: What was changed; that of a runner's own arguments is in no config.
    """
    values = getattr(effective, "_cfg_dict", effective)
    held = set(cfg)
    for change in changes:
        old, new = (re.split(r"[.[]", path)[0] for path in (change.argument, change.key_path))
        if old not in held:
            continue
        for key in (old, new):
            if key in values:
                cfg[key] = dict.__getitem__(values, key)
            else:
                cfg.pop(key, None)


def work_in(cfg: Any, report: Report) -> Older:
    """Put today's forms in the place of older ones.

    Args:
        cfg: A config or mapping, which is not changed.
        report: Gets a note for each key that is translated, and the problems.
    """
    edit = Edit(cfg, report)
    if edit.get("train_dataloader", None) is not None:  # else it is no config of MMEngine's, or
        _train_cfg(edit)  # one that trains nothing
        is_older = _optimizer(edit)  # for sure: MMEngine runs no such config
        if is_older:
            _updates(edit)
        _scheduler(edit, is_older)
        _checkpoint_config(edit, is_older)
        _log_config(edit, is_older)
    _val_interval(edit)
    _custom_hooks(edit)
    read_hooks(edit)
    return Older(edit)


def _train_cfg(edit: Edit) -> None:
    """Read ``runner`` and ``total_epochs``: how long to train."""
    if edit.get("train_cfg", None) is not None:
        return
    runner = edit.get("runner", None)
    if isinstance(runner, Mapping):
        by_epoch, length = _RUNNERS.get(type_name(runner.get("type")), (None, ""))
        if set(runner) == {"type", length}:
            loop = {"by_epoch": bool(by_epoch), length: runner[length]}
            edit.move("runner", "train_cfg", loop)
            edit.leave_out("total_epochs")
            return
    epochs = edit.get("total_epochs", None)
    if isinstance(epochs, int) and runner is None:
        edit.move("total_epochs", "train_cfg", {"by_epoch": True, "max_epochs": epochs})


def _optimizer(edit: Edit) -> bool:
    """Put ``optimizer`` into a wrapper; False if there is none, or a wrapper stands already."""
    given = edit.get("optimizer", None)
    if edit.get("optim_wrapper", None) is not None:
        return False
    if isinstance(given, Mapping):
        if "type" not in given:  # several by name: which constructor makes them is not known
            return False
        optimizer = dict(raw_items(given))
        around = {
            key: optimizer.pop(key) for key in ("constructor", "paramwise_cfg") if key in optimizer
        }
    elif hasattr(given, "param_groups"):
        optimizer, around = given, {}
    else:
        return False
    edit.move("optimizer", "optim_wrapper", {"optimizer": optimizer, **around})
    edit.written["optim_wrapper.optimizer"] = "optimizer"
    return True


def _updates(edit: Edit) -> None:
    """Read how the gradients of ``optimizer`` are made, summed and clipped."""
    config = edit.get("optimizer_config", None)
    mixed = False
    if isinstance(config, Mapping):
        mixed = type_name(config.get("type")) in FP16
        read_update(edit, "optimizer_config", config)
        edit.leave_out("optimizer_config")
    fp16 = edit.get("fp16", None)
    if isinstance(fp16, Mapping):
        if not mixed:  # else a placeholder
            read_update(edit, "fp16", {"type": FP16[0], **dict(raw_items(fp16))})
        edit.leave_out("fp16")


def _scheduler(edit: Edit, is_older: bool) -> None:
    """Read ``scheduler``, unless it is a variable of that name."""
    given = edit.get("scheduler", None)
    if given is None or edit.get("param_scheduler") is not ABSENT or _is_used(edit, "scheduler"):
        return
    listed = list(given) if isinstance(given, (list, tuple)) else [given]
    if listed and all(_is_schedule(one, is_older) for one in listed):
        edit.move("scheduler", "param_scheduler", given)


def _is_used(edit: Edit, key: str) -> bool:
    """Whether a value of the top level also stands somewhere else, filled in from there."""
    values = getattr(edit.cfg, "_cfg_dict", edit.cfg)
    value = edit.get(key)
    return any(_holds(one, value) for other, one in raw_items(values) if other != key)


def _holds(section: Any, value: Any) -> bool:
    if isinstance(section, Mapping):
        inner = [one for _, one in raw_items(section)]
    else:
        inner = list(section) if isinstance(section, (list, tuple)) else []
    return any(type(one) is type(value) and one == value for one in inner) or any(
        _holds(one, value) for one in inner
    )


def _is_schedule(value: Any, is_older: bool) -> bool:
    if isinstance(value, Mapping):
        kind = dict(raw_items(value)).get("type")
        found = find(kind, "PARAM_SCHEDULERS") if kind is not None else None
        if found is None or found.known is None or found.status is not Status.AS_IS:
            return False
        return is_older or _fits(value, found.known)
    return hasattr(value, "param_name") and hasattr(value, "step")


def _fits(given: Mapping[str, Any], known: KnownClass) -> bool:
    """Whether a class has all the arguments of a section that MMEngine does not read."""
    return all(key in known.arguments for key in given if key not in ("type", "_scope_"))


def _checkpoint_config(edit: Edit, is_older: bool) -> None:
    given = edit.get("checkpoint_config", None)
    if isinstance(given, Mapping) and edit.get("default_hooks.checkpoint") is ABSENT:
        hook = rename_arguments({"type": "CheckpointHook", **dict(raw_items(given))})
        if is_older or _fits(hook, classes()["HOOKS"]["CheckpointHook"]):
            edit.move("checkpoint_config", "default_hooks.checkpoint", hook)


def _log_config(edit: Edit, is_older: bool) -> None:
    """Read ``log_config``: a pace, and where it is written to."""
    given = edit.get("log_config", None)
    if not isinstance(given, Mapping) or edit.get("default_hooks.logger") is not ABSENT:
        return
    hooks = given.get("hooks") or []
    pace = {key: given[key] for key in ("interval",) if key in given}
    listed = isinstance(hooks, (list, tuple)) and all(isinstance(one, Mapping) for one in hooks)
    if not listed or set(given) - {"interval", "hooks"}:
        return
    if not is_older and not all(is_logger(one) for one in hooks):
        return
    edit.move("log_config", "default_hooks.logger", {"type": "LoggerHook", **pace})
    for index, hook in enumerate(hooks):
        read_logger(edit, f"log_config.hooks[{index}]", {**pace, **dict(raw_items(hook))})


def _val_interval(edit: Edit) -> None:
    """Read ``val_cfg.interval``: epochs or iterations between validations."""
    interval = edit.get("val_cfg.interval")
    kind = edit.get("val_cfg.type", "ValLoop")
    if interval is ABSENT or type_name(kind) != "ValLoop":
        return
    path = "val_cfg.interval"
    loop = edit.get("train_cfg", None)
    if isinstance(loop, Mapping) and "val_interval" not in loop:
        edit.move(path, "train_cfg.val_interval", interval)
    elif edit.leave_out(path):
        edit.note(path, Status.NO_EFFECT, "train_cfg.val_interval says it")


def _custom_hooks(edit: Edit) -> None:
    """Make a list of ``custom_hooks`` that is one hook, or a dict of them by name."""
    given = edit.get("custom_hooks", None)
    if not isinstance(given, Mapping):
        return
    named = dict(raw_items(given))
    if "type" in named:
        listed, paths = [given], ["custom_hooks"]
    elif all(isinstance(one, Mapping) or hasattr(one, "priority") for one in named.values()):
        listed, paths = list(named.values()), [f"custom_hooks.{name}" for name in named]
    else:
        return
    edit.set("custom_hooks", listed)
    edit.tell("custom_hooks", "custom_hooks[0]")
    edit.note("custom_hooks", Status.TRANSLATED, "an older form of a list of hooks")
    edit.written |= {f"custom_hooks[{index}]": path for index, path in enumerate(paths)}
