"""Config to plan: pure, without torch, Lightning or any library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mm2pl import profiles
from mm2pl.errors import Mm2plError
from mm2pl.plan import Plan
from mm2pl.translate.hooks import plan_hooks
from mm2pl.translate.loops import plan_eval, plan_train
from mm2pl.translate.marks import read_marks
from mm2pl.translate.older import Older
from mm2pl.translate.older import work_in as work_in_older
from mm2pl.translate.optim import plan_optim
from mm2pl.translate.report import Report, raise_problems
from mm2pl.translate.runtime import TOP_RULES, plan_runtime
from mm2pl.translate.top import read_top
from mm2pl.translate.trainer_args import work_in

__all__ = ["Examination", "examine", "translate"]


@dataclass(frozen=True)
class Examination:
    """A config that was read, whatever is wrong with it.

    Attributes:
        plan: What it means; of use only if there are no problems.
        problems: All that is wrong.
        deferred: Those of the problems that :func:`translate` does not raise: what builds that
            part of a run will, if the run comes to it.
        older: What of it was written in older forms.
    """

    plan: Plan
    problems: tuple[Mm2plError, ...]
    deferred: tuple[Mm2plError, ...] = ()
    older: Older | None = None


def translate(
    cfg: Mapping[str, Any], file: str | None = None, *, command: str | None = None
) -> Plan:
    """Say what a config means, with a note for every key that was read.

    Args:
        cfg: A :class:`~mm2pl.mmengine.config.Config` or a mapping. It is not changed.
        file: Where the config was read from, if ``cfg`` does not say it.
        command: ``fit``, ``validate`` or ``test``: adds what the library's own script for it adds
            (:mod:`mm2pl.profiles`). Without it nothing is added.

    Raises:
        ConfigError: All that is wrong with the config, with key paths.
    """
    examination = examine(cfg, file, command=command)
    raise_problems([one for one in examination.problems if one not in examination.deferred])
    return examination.plan


def examine(
    cfg: Mapping[str, Any], file: str | None = None, *, command: str | None = None
) -> Examination:
    """Do what :func:`translate` does, and return all that is wrong instead of raising it."""
    file = file or _file_of(cfg)
    scope = cfg.get("default_scope")
    report = Report(file=file, scope=scope if isinstance(scope, str) else None)
    if command is not None:
        cfg, added = profiles.with_profile(cfg, command)
        report.notes += profiles.notes(cfg, added)
    older = work_in_older(cfg, report)
    draft = work_in(older.cfg, report)
    cfg = draft.cfg
    read_top(getattr(cfg, "_cfg_dict", cfg), TOP_RULES, report)
    if cfg.get("model") is None:
        report.problem("the config has no model", "model", "add model=dict(type=...)")
    plan = Plan(
        model=cfg.get("model"),
        data_preprocessor=cfg.get("data_preprocessor"),
        train=plan_train(cfg, report),
        val=plan_eval(cfg, "val", report),
        test=plan_eval(cfg, "test", report),
        optim=plan_optim(cfg, report),
        hooks=plan_hooks(cfg, report),
        runtime=plan_runtime(cfg, file, report, draft.passed, draft.changes),
        config=cfg,
        notes=(),
    )
    read_marks(getattr(cfg, "_cfg_dict", cfg), [rule.key for rule in TOP_RULES], report)
    plan = replace(plan, notes=tuple(older.notes(report.notes)), older=older.changes)
    older.place(report.problems)
    return Examination(plan, tuple(report.problems), tuple(report.deferred), older)


def _file_of(cfg: Mapping[str, Any]) -> str | None:
    # A plain ConfigDict answers any attribute with an error of its own.
    return getattr(cfg, "filename", None) if hasattr(cfg, "_cfg_dict") else None
