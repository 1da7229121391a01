"""Everything at a config's top level that is neither model, data, optimisation nor hooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mm2pl.errors import nearest
from mm2pl.plan import Change, RuntimePlan, Status
from mm2pl.translate.report import Report, Rule, one_of
from mm2pl.translate.sections import SECTION_RULES, read_sections
from mm2pl.translate.strategies import check_wrapper, plan_strategy

__all__ = ["DEFAULT_ENV", "LAUNCHERS", "SECTION_RULES", "TOP_RULES", "plan_runtime"]

_SECTION = "read by its own section's rules"
_ALONE = "a process that is alone needs no wrapper"
LAUNCHERS = ("none", "pytorch", "slurm", "mpi")
TOP_RULES = (
    Rule("model", Status.BY_CLASS, "the LightningModule runs its loss, predict and tensor modes"),
    Rule("data_preprocessor", Status.BY_CLASS, "goes into the model's config"),
    *(
        Rule(f"{stage}_{part}", Status.TRANSLATED, _SECTION)
        for stage in ("train", "val", "test")
        for part in ("dataloader", "cfg", "evaluator")
        if (stage, part) != ("train", "evaluator")
    ),
    Rule("optim_wrapper", Status.TRANSLATED, _SECTION),
    Rule("param_scheduler", Status.TRANSLATED, _SECTION),
    Rule("auto_scale_lr", Status.AS_IS, _SECTION, one_of(dict)),
    Rule("default_hooks", Status.TRANSLATED, _SECTION, one_of(dict)),
    Rule("custom_hooks", Status.TRANSLATED, _SECTION),
    Rule("work_dir", Status.AS_IS, "where checkpoints and logs lie"),
    Rule("load_from", Status.AS_IS, "weights, or with resume=True the run to go on with"),
    Rule("resume", Status.AS_IS, "the newest checkpoint of work_dir; dict(exact=False)"),
    Rule("launcher", Status.TRANSLATED, "Lightning's DDPStrategy over the launched processes"),
    Rule("env_cfg", Status.AS_IS, "cuDNN, worker processes, distributed backend", one_of(dict)),
    Rule("log_processor", Status.AS_IS, "formats the log", one_of(dict, object)),
    Rule("log_level", Status.AS_IS, "level of the text log"),
    Rule("visualizer", Status.TRANSLATED, "the Trainer's logger"),
    Rule("default_scope", Status.AS_IS, "the registry scope", one_of(str)),
    Rule("randomness", Status.AS_IS, "seeds", one_of(dict)),
    Rule("experiment_name", Status.AS_IS, "names the run", one_of(str, int, float)),
    Rule("custom_imports", Status.AS_IS, "imported when the config is loaded"),
    Rule("env_variables", Status.AS_IS, "filled in when the config is loaded"),
    Rule("compile", Status.AS_IS, "torch.compile of the training step, at its first call"),
    Rule("activation_checkpointing", Status.AS_IS, "torch.utils.checkpoint"),
    Rule("model_wrapper_cfg", Status.AS_IS, f"DDP's wrapper; {_ALONE}", one_of(dict)),
    Rule("find_unused_parameters", Status.AS_IS, f"DDP's argument; {_ALONE}"),
    Rule("sync_bn", Status.AS_IS, "whose SyncBatchNorm; BatchNorm in a process that is alone"),
    Rule("trainer", Status.TRANSLATED, f"arguments of Lightning's Trainer, {_SECTION}", own=True),
    Rule("runner_type", Status.AS_IS, "Runner, FlexibleRunner, or a subclass of them"),
    Rule("strategy", Status.TRANSLATED, "FlexibleRunner's: Lightning's single device or DDP"),
    Rule(
        "init_weights_for_test_or_val",
        Status.AS_IS,
        "FlexibleRunner's: whether val and test give the model its initial weights",
    ),
    Rule("efficient_conv_bn_eval", Status.AS_IS, "convolution and BatchNorm joined in eval mode"),
)
DEFAULT_ENV = {"dist_cfg": {"backend": "nccl"}}


def plan_runtime(
    cfg: Mapping[str, Any],
    file: str | None,
    report: Report,
    trainer: Mapping[str, Any] | None = None,
    trainer_changes: Sequence[Change] = (),
) -> RuntimePlan:
    """Read the top level's own keys and the small sections."""
    read_sections(cfg, report)
    launcher = cfg.get("launcher") or "none"
    if launcher not in LAUNCHERS:
        names = ", ".join(map(repr, LAUNCHERS))
        message = f"there is no launcher {launcher!r}, only {names}"
        report.problem(message, "launcher", choices=nearest(str(launcher), LAUNCHERS))
    plan_strategy(cfg, report)
    check_wrapper(cfg, report)
    work_dir = cfg.get("work_dir") or f"./work_dirs/{Path(file).stem if file else 'run'}"
    given: dict[str, Any] = {
        key: cfg[key]
        for key in (
            "log_level",
            "log_processor",
            "visualizer",
            "experiment_name",
            "load_from",
            "compile",
            "activation_checkpointing",
            "efficient_conv_bn_eval",
            "strategy",
        )
        if cfg.get(key) is not None
    }
    if "default_scope" in cfg:
        given["default_scope"] = cfg["default_scope"]
    return RuntimePlan(
        work_dir=str(work_dir),
        launcher=launcher,
        env=cfg.get("env_cfg") or DEFAULT_ENV,
        randomness=cfg.get("randomness") or {"seed": None},
        resume=bool(cfg.get("resume")),
        exact_resume=_exact_resume(cfg.get("resume"), report),
        trainer=trainer or {},
        trainer_changes=tuple(trainer_changes),
        **given,
    )


def _exact_resume(resume: Any, report: Report) -> bool:
    """Read ``resume=dict(exact=...)``."""
    if not isinstance(resume, Mapping):
        return True
    for key in resume:
        if key != "exact":
            report.problem(
                f"resume has no {key!r}", f"resume.{key}", choices=nearest(str(key), ["exact"])
            )
    return bool(resume.get("exact", True))
