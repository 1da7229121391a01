"""``optim_wrapper``, ``param_scheduler`` and ``auto_scale_lr``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.plan import OptimPlan, Status
from mm2pl.translate.report import Report, Rule, whole_number

WRAPPER_RULES = (
    Rule("_scope_", Status.AS_IS, "the registry scope of this section"),
    Rule("type", Status.TRANSLATED, "manual optimisation through LightningOptimizer"),
    Rule("optimizer", Status.AS_IS, "torch.optim, by the OPTIMIZERS registry"),
    Rule("constructor", Status.AS_IS, "makes the parameter groups"),
    Rule("paramwise_cfg", Status.AS_IS, "the constructor's options per parameter"),
    Rule("accumulative_counts", Status.AS_IS, "MMEngine's accumulation", whole_number(1)),
    Rule("clip_grad", Status.AS_IS, "clips before the step, after unscaling"),
    Rule("loss_scale", Status.AS_IS, "the wrapper's own GradScaler"),
    Rule("dtype", Status.AS_IS, "the wrapper's own autocast"),
    Rule("use_fsdp", Status.UNSUPPORTED, "FSDP comes with a later release of mm2pl"),
)


def plan_optim(cfg: Mapping[str, Any], report: Report) -> OptimPlan | None:
    """Read the three sections; without an ``optim_wrapper`` there is nothing to schedule."""
    wrapper = cfg.get("optim_wrapper")
    schedulers = cfg.get("param_scheduler")
    if wrapper is None:
        if schedulers is not None:
            report.problem(
                "param_scheduler is given, optim_wrapper is missing",
                "param_scheduler",
                "set param_scheduler=None, or add an optim_wrapper",
            )
        return None
    report.read(wrapper, WRAPPER_RULES, "optim_wrapper", "an argument of the wrapper's class")
    _check_schedulers(schedulers, report)
    auto_scale = cfg.get("auto_scale_lr")
    if isinstance(auto_scale, Mapping):
        if auto_scale.get("enable") and "base_batch_size" not in auto_scale:
            report.problem("auto_scale_lr needs 'base_batch_size'", "auto_scale_lr")
        report.note("auto_scale_lr", Status.AS_IS, "scales each group's learning rate")
    return OptimPlan(wrapper, schedulers, auto_scale)


def _check_schedulers(given: Any, report: Report) -> None:
    if given is None:
        return
    entries: list[tuple[str, Any]]
    if isinstance(given, Mapping) and "type" not in given:
        entries = [(f"param_scheduler.{name}", value) for name, value in given.items()]
    elif isinstance(given, (list, tuple)):
        entries = [(f"param_scheduler[{index}]", value) for index, value in enumerate(given)]
    else:
        entries = [("param_scheduler", given)]
    for path, value in entries:
        report.note(path, Status.AS_IS, "stepped per iteration or epoch, beside Lightning's own")
        if isinstance(value, (str, int, float, bool)):
            report.problem(f"must be a scheduler, a dict or a list of them, got {value!r}", path)
        elif isinstance(value, Mapping) and "type" not in value:
            report.problem("a scheduler needs a 'type'", path, "e.g. type='MultiStepLR'")
