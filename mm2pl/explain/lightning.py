"""Which object of Lightning's each part of a plan becomes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.explain import classes, hooks
from mm2pl.plan import Plan

_DEFAULT_BACKENDS = [{"type": "LocalVisBackend"}]


def objects(plan: Plan) -> dict[str, Any]:
    """Return what each part becomes, and the Trainer's arguments."""
    rows: dict[str, Any] = {
        "model": f"RunnerModule, a LightningModule, around {classes.kind_of(plan.model)}",
        "data": "RunnerDataModule, a LightningDataModule, with MMEngine's loaders",
        "hooks": _hooks(plan),
        "logger": f"VisualizerLogger, a Logger, around {_visualizer(plan)}",
    }
    if plan.optim is not None:
        rows["optimizer"] = "the wrapper, stepping LightningOptimizers (manual optimization)"
        paced = ", once per update" * bool(plan.runtime.trainer.get("schedule_per_update"))
        rows["schedules"] = f"stepped by ParamSchedulerHook{paced}; Lightning has none of its own"
    return {**rows, "trainer": trainer_arguments(plan), "settings": _settings(plan)}


def _hooks(plan: Plan) -> str:
    natives = [row.kind for row in hooks.rows(plan) if row.native]
    count = len(plan.hooks.entries) - len(natives)
    text = f"HookCallback, one Callback, for {count} hooks"
    return f"{text}; in their places among them {', '.join(natives)}" if natives else text


def _settings(plan: Plan) -> list[str]:
    """Return what the config's own ``trainer=dict(...)`` changes, and what is passed on of it."""
    changes = plan.runtime.trainer_changes
    lines = [f"trainer.{change.argument} becomes {change}" for change in changes]
    told = {change.argument for change in changes}
    given = classes.named(classes.raw(plan.runtime.trainer))
    return lines + [f"trainer.{key}={value!r}" for key, value in given.items() if key not in told]


def trainer_arguments(plan: Plan) -> dict[str, Any]:
    """Return the Trainer's arguments that differ from Lightning's defaults."""
    alone = plan.runtime.launcher == "none"
    return {
        "max_epochs": plan.trainer_epochs,
        "strategy": "auto" if alone else "WrappedModelStrategy()",
        "devices": 1,
        "check_val_every_n_epoch": None,
        "num_sanity_val_steps": plan.runtime.trainer.get("num_sanity_val_steps", 0),
        "use_distributed_sampler": False,
        "inference_mode": False,
        "enable_checkpointing": False,
    }


def _visualizer(plan: Plan) -> str:
    given = classes.raw(plan.runtime.visualizer)
    if given is not None and not isinstance(given, Mapping):
        return classes.kind_of(given)
    backends = (given or {"vis_backends": _DEFAULT_BACKENDS}).get("vis_backends") or []
    listed = backends if isinstance(backends, (list, tuple)) else [backends]
    names = ", ".join(classes.kind_of(one) for one in listed) or "no backend"
    return f"{classes.kind_of(given or {}, 'Visualizer')} with {names}"
