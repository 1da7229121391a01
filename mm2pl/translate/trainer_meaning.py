"""What each of the Trainer's arguments means here, as a change of the config."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from mm2pl.errors import nearest
from mm2pl.plan import ABSENT
from mm2pl.translate.report import type_name
from mm2pl.translate.trainer_callbacks import REFUSED_CALLBACKS
from mm2pl.translate.trainer_draft import Draft

PRECISIONS: dict[str | None, tuple[Any, ...]] = {
    None: (32, "32", "32-true"),
    "float16": (16, "16", "16-mixed"),
    "bfloat16": ("bf16", "bf16-mixed"),
}
STRATEGIES = {
    "ddp": None,
    "ddp_find_unused_parameters_false": False,
    "ddp_find_unused_parameters_true": True,
}
_PLAIN, _MIXED = "OptimWrapper", "AmpOptimWrapper"


def _max_epochs(draft: Draft, value: Any) -> None:
    if not _is_count(value):
        endless = "; there is no training without end" if value == -1 else ""
        draft.refuse(f"must be a whole number of at least 0, got {value!r}{endless}")
    elif draft.loop == "iterations":
        draft.refuse(
            "this training loop counts iterations",
            "trainer.max_steps counts updates; train_cfg.max_iters iterations",
        )
    elif draft.loop:
        draft.set("train_cfg.max_epochs", int(value))
    else:
        draft.without_effect()


def _max_steps(draft: Draft, value: Any) -> None:
    if not _is_count(value) or value == 0:
        draft.refuse(f"must be a whole number of at least 1, got {value!r}")
    elif draft.loop == "iterations":
        if draft.wrapper():
            counts = draft.get("optim_wrapper.accumulative_counts", 1)
            draft.set("train_cfg.max_iters", int(value) * int(counts))
    elif draft.loop:
        draft.keep(int(value))
    else:
        draft.without_effect()


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _check_val_every_n_epoch(draft: Draft, value: Any) -> None:
    if not _is_count(value) or value == 0:
        draft.refuse(f"must be a whole number of at least 1, got {value!r}")
    elif draft.loop == "epochs":
        draft.set("train_cfg.val_interval", value)
        draft.set_if_there("train_cfg.dynamic_intervals", None)
    elif not draft.loop or value == 1:
        draft.without_effect()
    else:
        draft.refuse(
            "this training loop counts iterations, and is one epoch to Lightning",
            "trainer.val_check_interval counts iterations",
        )


def _val_check_interval(draft: Draft, value: Any) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or value <= 0 or (isinstance(value, float) and value > 1):
        what = "a number of iterations, or a fraction of the run from 0.0 to 1.0"
        draft.refuse(f"must be {what}, got {value!r}", "MMEngine has no intervals of time")
    elif draft.loop == "iterations":
        total = draft.get("train_cfg.max_iters", 0)
        if isinstance(value, float):
            value = max(1, int(total * value))
        draft.set("train_cfg.val_interval", value)
        draft.set_if_there("train_cfg.dynamic_intervals", None)
    elif not draft.loop or (isinstance(value, float) and value == 1.0):
        draft.without_effect()
    else:
        draft.refuse(
            "MMEngine's epoch loop validates after whole epochs",
            "trainer.check_val_every_n_epoch, or an IterBasedTrainLoop with val_interval",
        )


def _limit(stage: str, draft: Draft, value: Any) -> None:
    value = int(value) if value > 1 else value
    if stage == "train" and value == 0:
        draft.refuse("there is no training without data", "`mm2pl validate` only validates")
    elif draft.get(f"{stage}_dataloader", None) is None:
        draft.without_effect()
    elif value == 0:
        for part in ("cfg", "dataloader", "evaluator"):
            draft.set(f"{stage}_{part}", None)
    elif stage == "train" and draft.loop == "iterations":
        total = int(draft.get("train_cfg.max_iters", 0))
        if isinstance(value, float):
            value = max(1, int(total * value))
            draft.settle(value)  # the same share of the new max_iters would be another number
        draft.set("train_cfg.max_iters", min(total, value))
    else:
        draft.keep(value)


def _overfit_batches(draft: Draft, value: Any) -> None:
    if draft.loop:
        draft.keep(int(value) if value > 1 else value)
        draft.passed.pop("limit_train_batches", None)
        draft.passed.pop("limit_val_batches", None)
    else:
        draft.without_effect()


def _fast_dev_run(draft: Draft, value: Any) -> None:
    count = int(value)
    draft.keep(count)
    for stage in ("train", "val", "test"):
        if draft.get(f"{stage}_dataloader", None) is not None:
            draft.passed[f"limit_{stage}_batches"] = count
    draft.passed.pop("num_sanity_val_steps", None)
    if draft.loop:
        if draft.loop == "iterations":
            draft.passed.pop("limit_train_batches", None)
            draft.set("train_cfg.max_iters", count)
        else:
            draft.set("train_cfg.max_epochs", 1)
        draft.set("train_cfg.val_interval", count if draft.loop == "iterations" else 1)
        draft.set_if_there("train_cfg.val_begin", 1)
        draft.set_if_there("train_cfg.dynamic_intervals", None)
    draft.set("default_hooks.checkpoint", None)
    _log_nothing(draft)
    if draft.get("resume", False):
        draft.set("resume", False)


def _log_nothing(draft: Draft) -> None:
    if isinstance(draft.get("visualizer", None), Mapping):
        draft.set("visualizer.vis_backends", [])
    else:
        draft.set("visualizer", {"type": "Visualizer", "vis_backends": []})


def _logger(draft: Draft, value: Any) -> None:
    if value is False:
        _log_nothing(draft)
    else:
        draft.keep(_as_list(value))


def _callbacks(draft: Draft, value: Any) -> None:
    given = _as_list(value)
    for index, one in enumerate(given):
        name = _class_name(one)
        reason = REFUSED_CALLBACKS.get(name)
        if reason is not None:
            draft.refuse(f"[{index}] {name} cannot work here: {reason[0]}", reason[1])
        elif not name:
            draft.refuse(
                f"[{index}] must be a callback, dict(type=...) or class_path and init_args,"
                f" got {one!r}"
            )
    draft.keep(given)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _class_name(given: Any) -> str:
    """Return the bare name of the class that is named or whose object it is."""
    if isinstance(given, Mapping):
        given = dict.get(given, "type") or dict.get(given, "class_path")  # type: ignore[call-overload]
    elif isinstance(given, (bool, int, float)):
        return ""
    elif not isinstance(given, (str, type)):
        given = type(given)
    return type_name(given) if given else ""


def _profiler(draft: Draft, value: Any) -> None:
    names = ("simple", "advanced", "pytorch")
    plain = isinstance(value, str) and "." not in value
    if plain and value not in names and not value.endswith("Profiler"):
        near = nearest(value, names)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        draft.refuse(
            f"must be one of {', '.join(map(repr, names))}, a profiler, or dict(type=...),"
            f" got {value!r}{meant}"
        )
    else:
        draft.keep(value)


def _num_sanity_val_steps(draft: Draft, value: Any) -> None:
    if not (_is_count(value) or value == -1):
        draft.refuse(f"must be a whole number of at least 0, or -1 for all, got {value!r}")
    elif draft.get("val_dataloader", None) is None or not draft.loop:
        draft.without_effect()
    else:
        draft.keep(value)


def _log_every_n_steps(draft: Draft, value: Any) -> None:
    hook = draft.get("default_hooks.logger")
    if hook is None:
        draft.refuse("default_hooks.logger=None: nothing logs", "leave that key out")
        return
    if hook is ABSENT:
        draft.set("default_hooks.logger", {"type": "LoggerHook", "interval": int(value)})
    else:
        draft.set("default_hooks.logger.interval", int(value))


def _enable_checkpointing(draft: Draft, value: Any) -> None:
    if not value:
        draft.set("default_hooks.checkpoint", None)
    elif draft.get("default_hooks.checkpoint") is None:
        draft.set("default_hooks.checkpoint", {"type": "CheckpointHook", "interval": 1})


def _accumulate_grad_batches(draft: Draft, value: Any) -> None:
    if draft.wrapper():
        draft.set("optim_wrapper.accumulative_counts", int(value))


def _gradient_clip_val(draft: Draft, value: Any) -> None:
    if not draft.wrapper():
        return
    by_value = draft.section.get("gradient_clip_algorithm") == "value"
    kind = {"type": "value", "clip_value": value} if by_value else {"max_norm": value}
    draft.set("optim_wrapper.clip_grad", kind if value else None)


def _gradient_clip_algorithm(draft: Draft, value: Any) -> None:
    if draft.section.get("gradient_clip_val") is None:
        draft.refuse("needs gradient_clip_val beside it", "or optim_wrapper.clip_grad")


def _precision(draft: Draft, value: Any) -> None:
    dtype = next((name for name, all_ in PRECISIONS.items() if _equals_one(value, all_)), ABSENT)
    if dtype is ABSENT:
        names = [one for all_ in PRECISIONS.values() for one in all_ if isinstance(one, str)]
        near = nearest(str(value), names)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        draft.refuse(
            f"{value!r} is not supported: the optimizer wrapper casts by torch.autocast, which"
            f" keeps the weights in float32{meant}",
            "one of '32-true', '16-mixed', 'bf16-mixed'",
        )
        return
    if not draft.wrapper():
        return
    kind = type_name(draft.get("optim_wrapper.type", _PLAIN))
    if kind not in (_PLAIN, _MIXED):
        draft.refuse(f"optim_wrapper.type={kind!r} has a precision of its own", "leave it out")
    elif dtype is None:
        if kind == _MIXED:
            draft.set("optim_wrapper.type", _PLAIN)
        for key in ("dtype", "loss_scale"):
            draft.set("optim_wrapper." + key, ABSENT)
    else:
        if kind != _MIXED:
            draft.set("optim_wrapper.type", _MIXED)
        if dtype == "bfloat16" or draft.get("optim_wrapper.dtype", None) is not None:
            draft.set("optim_wrapper.dtype", dtype)


def _equals_one(value: Any, choices: tuple[Any, ...]) -> bool:
    return any(type(value) is type(one) and value == one for one in choices)


def _deterministic(draft: Draft, value: Any) -> None:
    if value == "warn":
        draft.keep(value)
    else:
        draft.set("randomness.deterministic", value)


def _benchmark(draft: Draft, value: Any) -> None:
    if draft.get("env_cfg", None) is None:
        draft.set("env_cfg", {"cudnn_benchmark": value, "dist_cfg": {"backend": "nccl"}})
    else:
        draft.set("env_cfg.cudnn_benchmark", value)


def _sync_batchnorm(draft: Draft, value: Any) -> None:
    draft.set("sync_bn", "torch" if value else None)


def _default_root_dir(draft: Draft, value: Any) -> None:
    draft.set("work_dir", str(value))


def _strategy(draft: Draft, value: Any) -> None:
    from mm2pl.translate.strategies import REFUSED

    name = value if isinstance(value, str) else _class_name(value)
    known = {key.removesuffix("Strategy").lower(): why for key, why in REFUSED.items()}
    sharding = next((why for key, why in known.items() if name.lower().startswith(key)), None)
    if sharding is not None:
        draft.refuse(f"{name} is not supported: {sharding[0]}", "strategy='ddp'")
    elif name not in STRATEGIES:
        draft.refuse(
            f"{name} is not supported: MMEngine's wrapper averages the gradients of processes"
            " that a launcher started",
            f"one of {', '.join(map(repr, ('auto', *STRATEGIES)))}; more arguments of DDP go into"
            " model_wrapper_cfg",
        )
    elif STRATEGIES[name] is not None:
        by_wrapper = isinstance(draft.get("model_wrapper_cfg", None), Mapping)
        place = "model_wrapper_cfg." if by_wrapper else ""
        draft.set(f"{place}find_unused_parameters", STRATEGIES[name])


def _schedule_per_update(draft: Draft, value: Any) -> None:
    if draft.loop:
        draft.keep(value)
    else:
        draft.without_effect()


def _devices(draft: Draft, value: Any) -> None:
    count = value if value == "auto" else int(value)
    draft.keep(count)
    on_cpus = draft.section.get("accelerator") == "cpu" and count not in (1, "auto")
    if on_cpus and draft.get("env_cfg.dist_cfg.backend", "nccl") == "nccl":
        draft.set("env_cfg.dist_cfg.backend", "gloo")


def _num_nodes(draft: Draft, value: Any) -> None:
    if draft.get("launcher", "none") in (None, "none"):
        draft.refuse(
            "the processes of several machines are started by a launcher",
            "torchrun --nnodes=2 --nproc_per_node=8 ... mm2pl fit ... --launcher pytorch",
        )
    else:
        draft.keep(value)


def _keep(draft: Draft, value: Any) -> None:
    draft.keep(value)


# In the order in which they are worked in: later ones build on earlier ones, or win over them.
MEANINGS: dict[str, Callable[[Draft, Any], None]] = {
    "accelerator": _keep,
    "strategy": _strategy,
    "devices": _devices,
    "num_nodes": _num_nodes,
    "precision": _precision,
    "accumulate_grad_batches": _accumulate_grad_batches,
    "gradient_clip_val": _gradient_clip_val,
    "gradient_clip_algorithm": _gradient_clip_algorithm,
    "max_epochs": _max_epochs,
    "max_steps": _max_steps,
    "max_time": _keep,
    "limit_train_batches": partial(_limit, "train"),
    "limit_val_batches": partial(_limit, "val"),
    "limit_test_batches": partial(_limit, "test"),
    "check_val_every_n_epoch": _check_val_every_n_epoch,
    "val_check_interval": _val_check_interval,
    "num_sanity_val_steps": _num_sanity_val_steps,
    "overfit_batches": _overfit_batches,
    "log_every_n_steps": _log_every_n_steps,
    "enable_checkpointing": _enable_checkpointing,
    "enable_progress_bar": _keep,
    "enable_model_summary": _keep,
    "deterministic": _deterministic,
    "benchmark": _benchmark,
    "sync_batchnorm": _sync_batchnorm,
    "default_root_dir": _default_root_dir,
    "profiler": _profiler,
    "detect_anomaly": _keep,
    "stop_on_nonfinite_loss": _keep,
    "detect_anomalous_params": _keep,
    "callbacks": _callbacks,
    "logger": _logger,
    "schedule_per_update": _schedule_per_update,
    "fast_dev_run": _fast_dev_run,
}
