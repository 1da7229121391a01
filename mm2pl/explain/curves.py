"""The values of every scheduled option over a whole training, from the config alone.

The schedulers are MMEngine's, on an optimizer that has the config's options and nothing to train;
they are stepped as ``ParamSchedulerHook`` steps them.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch.optim import Optimizer

from mm2pl.alias import install_as_mmengine
from mm2pl.errors import ConfigError, MissingPackageError, Mm2plError
from mm2pl.explain import classes
from mm2pl.explain.schedules import Entry, entries_of, optimizers_of
from mm2pl.libraries import how_to_get
from mm2pl.mmengine.config import ConfigDict
from mm2pl.mmengine.config.lazy import LazyAttr, LazyObject
from mm2pl.mmengine.logging import MMLogger
from mm2pl.mmengine.optim.scheduler._per_update import in_updates
from mm2pl.mmengine.registry import OPTIMIZERS, PARAM_SCHEDULERS, DefaultScope
from mm2pl.optim import make_schedulers
from mm2pl.plan import Plan
from mm2pl.translate.optim import accumulation_of
from mm2pl.translate.report import type_name
from mm2pl.translate.torch_schedules import PLATEAU


@dataclass(frozen=True)
class Curves:
    """Values by step.

    Attributes:
        unit: What a step is, ``iteration`` or ``epoch``.
        values: For each option, e.g. ``lr`` or ``generator.momentum``, the value used at each step.
        notes: What has to be said with them.
        epoch_length: Iterations in an epoch, where it matters and is known.
    """

    unit: str
    values: dict[str, list[Any]]
    notes: tuple[str, ...] = ()
    epoch_length: int | None = None

    @property
    def steps(self) -> int:
        return max(map(len, self.values.values()), default=0)


@dataclass(frozen=True)
class _Length:
    by_epoch: bool
    total: int  # epochs or iterations
    per_epoch: int | None

    @property
    def by_iteration(self) -> bool:
        return not self.by_epoch or self.per_epoch is not None

    def defaults(self) -> dict[str, int]:
        """Return where schedules end that do not say it, as the loops say it."""
        known = {"max_epochs": self.total if self.by_epoch else 1}
        if not self.by_epoch:
            known["max_iters"] = self.total
        elif self.per_epoch:
            known["max_iters"] = self.total * self.per_epoch
        return {**known, "epoch_length": self.per_epoch or 0}


def compute(plan: Plan, epoch_length: int | None = None, *, skip_unknown: bool = False) -> Curves:
    """Return the curves.

    Args:
        plan: Of the config.
        epoch_length: Iterations in an epoch: the length of the training loader.
        skip_unknown: Leave out schedulers that cannot be imported.

    Raises:
        ConfigError: There is no training, or the epoch's length is needed and not given.
        MissingPackageError: A scheduler's library cannot be imported.
    """
    if plan.train is None or plan.optim is None:
        raise ConfigError(
            "the config does not train, so nothing is scheduled",
            hint="train_dataloader, train_cfg and optim_wrapper belong together",
        )
    length = _length_of(plan, epoch_length)
    entries = entries_of(plan.optim.schedulers, plan.runtime.default_scope)
    _check_length(entries, length)
    notes: list[str] = []
    values: dict[str, list[Any]] = {}
    with _scope(plan, entries):
        left_out = _unknown(plan, entries, skip_unknown)
        for name, cfg in optimizers_of(plan.optim.wrapper).items():
            own = [entry for entry in entries if entry.optimizer in (None, name)]
            kept = [_scheduler(entry) for entry in own if entry not in left_out]
            dummy = _dummy(cfg, own, f"{name}." if name else "", plan.runtime.default_scope)
            scale = _scale(plan, notes)
            for group in dummy.param_groups:
                group["lr"] = group["lr"] * scale
            lengths: Mapping[str, int] = length.defaults()
            counts = _counts_of_a_step(plan, name)
            if counts > 1:
                dummy._accumulative_counts = counts
                lengths = in_updates(lengths, dummy, alone=not name)
            schedulers: Any = make_schedulers(kept, dummy, lengths)  # type: ignore[arg-type]
            found = _run(dummy, schedulers, length, counts)
            values |= {f"{name}.{key}" if name else key: curve for key, curve in found.items()}
    notes += _notes(entries, left_out, length)
    return Curves(
        "iteration" if length.by_iteration else "epoch", values, tuple(notes), epoch_length
    )


def _counts_of_a_step(plan: Plan, optimizer: str) -> int:
    """Return after how many iterations the schedules of an optimizer step."""
    if plan.optim is None or not plan.runtime.trainer.get("schedule_per_update"):
        return 1
    wrapper = plan.optim.wrapper
    return accumulation_of(classes.raw(wrapper)[optimizer] if optimizer else wrapper)


def _scheduler(entry: Entry) -> Any:
    # A ConfigDict imports what a new-style config names, when it is read.
    return ConfigDict(entry.given) if isinstance(entry.given, Mapping) else entry.given


def _length_of(plan: Plan, epoch_length: int | None) -> _Length:
    assert plan.train is not None
    loop = plan.train.loop
    by_epoch = "max_iters" not in loop
    total = loop.get("max_epochs" if by_epoch else "max_iters")
    if total is None:
        raise ConfigError(
            f"{type_name(loop['type'])} is given neither max_epochs nor max_iters, so the length of"
            " the training is not known",
            key_path="train_cfg",
        )
    return _Length(by_epoch, int(total), epoch_length)


def _check_length(entries: Sequence[Entry], length: _Length) -> None:
    """Refuse to guess how many iterations an epoch has."""
    if length.per_epoch is not None:
        return
    for entry in entries:
        why = ""
        if entry.converted:
            why = "is converted from epochs to iterations"
        elif length.by_epoch and not entry.by_epoch:
            why = "counts iterations, and the loop counts epochs"
        if why:
            raise ConfigError(
                f"{entry.kind} {why}: the number of iterations in an epoch is needed, which is"
                " known only with the dataset",
                key_path=entry.path,
                hint="give --epoch-length N, the number of batches in an epoch (samples / batch"
                " size / processes); a run's log shows it as N in Epoch(train) [1][10/N]",
            )


@contextmanager
def _scope(plan: Plan, entries: Sequence[Entry]) -> Iterator[None]:
    """Let names be found as in a run; a library is imported only if a scheduler is its own."""
    # A new-style config names MMEngine's classes by import.
    install_as_mmengine()
    foreign = any(not entry.is_built_in for entry in entries)
    if foreign and not MMLogger.check_instance_created("mm2pl explain"):
        # The registry warns of a library that is not there; the error says it better.
        MMLogger.get_instance("mm2pl explain", log_level="ERROR")
    scope = plan.runtime.default_scope if foreign else None
    with DefaultScope.overwrite_default_scope(scope):
        yield


def _unknown(plan: Plan, entries: Sequence[Entry], skip: bool) -> list[Entry]:
    """Return the schedulers that cannot be had, if they may be left out."""
    missing = []
    for entry in entries:
        if entry.is_built_in:
            continue
        found, reason = _look_up(entry, plan)
        if not found:
            missing.append(entry)
            if not skip:
                raise _missing(entry, plan, reason)
    return missing


def _look_up(entry: Entry, plan: Plan) -> tuple[bool, Exception | None]:
    """Say whether a library's scheduler is there, or why it is not."""
    kind = entry.cfg.get("type")
    try:
        if isinstance(kind, (LazyObject, LazyAttr)):
            kind = kind.build()
        if not isinstance(kind, str):
            return kind is not None, None
        _import_custom_modules(plan)
        with PARAM_SCHEDULERS.switch_scope_and_registry(None) as registry:
            return registry.get(kind) is not None, None
    except (Mm2plError, ImportError, LookupError) as error:
        return False, error


def _import_custom_modules(plan: Plan) -> None:
    from mm2pl.mmengine.utils import import_modules_from_strings

    custom = classes.raw(plan.config.get("custom_imports"))
    if custom:
        if (here := str(Path.cwd())) not in sys.path:  # as `mm2pl fit` does
            sys.path.insert(0, here)
        import_modules_from_strings(**custom)


def _missing(entry: Entry, plan: Plan, reason: Exception | None) -> MissingPackageError:
    kind = entry.cfg.get("type")
    kind = f"{kind.module}.{kind}" if isinstance(kind, (LazyObject, LazyAttr)) else str(kind)
    package, dot, _ = kind.partition(".")
    package = package if dot else str(plan.runtime.default_scope)
    installed = package.isidentifier() and find_spec(package) is not None
    why = f"{package}, which may have it, " + ("has it not" if installed else "is not installed")
    hint = None if installed else how_to_get(package)
    if installed and reason is not None:
        why = getattr(reason, "message", str(reason))
        hint = getattr(reason, "hint", None)
    return MissingPackageError(
        f"{kind} is none of MMEngine's schedulers, and without it the curve would be wrong: {why}",
        key_path=entry.path,
        file=getattr(plan.config, "filename", None),
        hint=f"{hint or 'make it importable'}; --skip-unknown draws the rest",
    )


# Arguments of schedulers that may be a list, with a value for each group.
_BY_GROUP = ("eta_max", "min_value", "base_lr", "max_lr", "min_lr", "lr_lambda")


class _Dummy(Optimizer):
    """An optimizer whose steps do nothing, with any options."""

    _accumulative_counts = 1

    def __init__(self, defaults: dict[str, Any], groups: int) -> None:
        params = [{"params": [torch.zeros(1)]} for _ in range(groups)]
        super().__init__(params, defaults)

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Do nothing."""


def _dummy(
    optimizer: Mapping[str, Any], entries: Sequence[Entry], prefix: str, scope: Any
) -> _Dummy:
    """Return an optimizer with the options of a config; the last group is the one to look at.

    Of the wrapper's groups that is the base settings', which a list of values counts as well.
    """
    options = {k: v for k, v in optimizer.items() if k not in ("type", "params", "_scope_")}
    kind = optimizer.get("type")
    name = type_name(kind)
    if classes.known_class(kind, "OPTIMIZERS", scope):
        # Of the installed torch: its defaults have changed over time.
        found = inspect.signature(OPTIMIZERS.get(f"mmengine.{name}")).parameters.values()
        known = {one.name: one.default for one in found if one.default is not one.empty}
        options = {**known, **options}
    if not isinstance(options.get("lr"), (int, float)):
        raise ConfigError(
            f"the config gives {name} no learning rate, and its default is not known here",
            key_path=f"optim_wrapper.{prefix}optimizer",
            hint="add lr=... to it",
        )
    lists = [entry.cfg.get(key) for entry in entries for key in _BY_GROUP]
    groups = max([len(one) for one in lists if isinstance(one, (list, tuple))], default=1)
    dummy = _Dummy(options, groups)
    dummy.step()  # a schedule that steps before its optimizer warns
    return dummy


def _scale(plan: Plan, notes: list[str]) -> float:
    """Return by what ``auto_scale_lr`` multiplies the rate in a run of one process."""
    assert plan.optim is not None
    assert plan.train is not None
    scaling = plan.optim.auto_scale_lr
    if not scaling or not scaling.get("enable"):
        return 1.0
    size, base = plan.train.dataloader["batch_size"], scaling["base_batch_size"]
    note = (
        f"auto_scale_lr: lr is x{float(size) / float(base):g}, for one process with batches of"
        f" {size} (base {base}); N processes have N times that"
    )
    if note not in notes:
        notes.append(note)
    return float(size) / float(base)


def _run(
    optimizer: Optimizer, schedulers: Sequence[Any], length: _Length, counts: int
) -> dict[str, list[Any]]:
    """Step as the hook does: after each iteration, or after several, and after each epoch."""
    optimizer.step()
    group = optimizer.param_groups[-1]
    names = _options(group, schedulers)
    curves: dict[str, list[Any]] = {name: [] for name in names}
    betas = "momentum" in curves and "betas" in group
    by_iter = [one.step for one in schedulers if not one.by_epoch]
    by_epoch = [one.step for one in schedulers if one.by_epoch]
    rows = [
        (curve.append, name) for name, curve in curves.items() if not (betas and name == "momentum")
    ]
    first_beta = curves["momentum"].append if betas else None
    inner = length.per_epoch if length.by_epoch else length.total
    iteration = 0
    for _ in range(length.total if length.by_epoch else 1):
        for _ in range(inner or 1):
            for append, name in rows:
                append(group[name])
            if first_beta:
                first_beta(group["betas"][0])
            iteration += 1
            if iteration % counts == 0:
                for step in by_iter:
                    step()
        for step in by_epoch:
            step()
    return curves


def _options(group: Mapping[str, Any], schedulers: Sequence[Any]) -> list[str]:
    names = dict.fromkeys(["lr"])
    if group.get("momentum") or "betas" in group:
        names["momentum"] = None
    names |= dict.fromkeys(one.param_name for one in schedulers)
    return list(names)


def _notes(entries: Sequence[Entry], left_out: Sequence[Entry], length: _Length) -> list[str]:
    notes = [
        f"{entry.path}: {entry.kind} is left out, and the curve is wrong for it"
        for entry in left_out
    ]
    if not entries:
        notes.append("there is no param_scheduler: all values stay as they are")
    for entry in entries:
        if entry.kind.startswith(("ReduceOnPlateau", PLATEAU)):
            notes.append(
                f"{entry.path}: {entry.kind} waits for a metric of the run; drawn as if it never"
                " reduced"
            )
        elif entry.by_epoch and not entry.converted and not length.by_epoch:
            notes.append(
                f"{entry.path}: {entry.kind} steps by epoch, and an iteration-based loop ends its"
                " only epoch with the training: it stays at its first value"
            )
    return notes
