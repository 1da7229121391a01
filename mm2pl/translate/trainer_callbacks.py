"""Lightning's own callbacks: their arguments, and which are refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.errors import nearest
from mm2pl.plan import Status
from mm2pl.translate.classes import KnownClass, type_place
from mm2pl.translate.report import Report, raw_items, type_name

MODULE = "lightning.pytorch.callbacks"
_PACKAGES = ("lightning", "pytorch_lightning")

# The class: why it cannot work here, and what does the same.
REFUSED_CALLBACKS = {
    "GradientAccumulationScheduler": (
        "the optimizer wrapper accumulates, by a fixed count",
        "trainer.accumulate_grad_batches, or a hook that changes runner.optim_wrapper",
    ),
    "StochasticWeightAveraging": (
        "it replaces the schedulers of an automatic optimisation",
        "custom_hooks=[dict(type='EMAHook', ema_type='StochasticWeightAverage')]",
    ),
    "WeightAveraging": (
        "the checkpoints of a run are MMEngine's, which know only EMAHook's weights",
        "custom_hooks=[dict(type='EMAHook')]",
    ),
    "EMAWeightAveraging": (
        "the checkpoints of a run are MMEngine's, which know only EMAHook's weights",
        "custom_hooks=[dict(type='EMAHook', momentum=0.0002)]",
    ),
    "BaseFinetuning": (
        "it adds parameter groups in mid run, which the schedulers do not know",
        "frozen_stages of the backbone, or optim_wrapper.paramwise_cfg",
    ),
    "BackboneFinetuning": (
        "it adds parameter groups in mid run, which the schedulers do not know",
        "frozen_stages of the backbone, or optim_wrapper.paramwise_cfg",
    ),
    "BatchSizeFinder": (
        "it fits several times with another batch size, and the loaders are built once",
        "train_dataloader.batch_size",
    ),
    "LearningRateFinder": (
        "it sets the module's learning rate, which here is the optimizer wrapper's",
        "optim_wrapper.optimizer.lr",
    ),
    "BasePredictionWriter": (
        "there is no predict loop",
        "test_evaluator=[..., dict(type='DumpResults', out_file_path='predictions.pkl')]",
    ),
}
# Those of Lightning 2.6 that work: arguments, of which ! marks the required ones, and points.
_ROWS = {
    "DeviceStatsMonitor": (
        "cpu_stats",
        "before_train_iter after_train_iter before_val_iter after_val_iter"
        " before_test_iter after_test_iter",
    ),
    "EarlyStopping": (
        "monitor! min_delta patience verbose mode strict check_finite stopping_threshold"
        " divergence_threshold check_on_train_epoch_end log_rank_zero_only",
        "after_val before_save_checkpoint",
    ),
    "LearningRateMonitor": (
        "logging_interval log_momentum log_weight_decay",
        "before_train before_train_epoch before_train_iter",
    ),
    "ModelCheckpoint": (
        "dirpath filename monitor verbose save_last save_top_k save_on_exception"
        " save_weights_only mode auto_insert_metric_name every_n_train_steps"
        " train_time_interval every_n_epochs save_on_train_epoch_end enable_version_counter",
        "before_train after_train_iter after_val before_save_checkpoint after_train",
    ),
    "OnExceptionCheckpoint": ("dirpath! filename", ""),
    "SpikeDetection": (
        "mode window warmup atol rtol exclude_batches_path finite_only",
        "after_train_iter before_save_checkpoint",
    ),
    "ThroughputMonitor": (
        "batch_size_fn! length_fn window_size available_flops world_size device separator",
        "before_train after_train_iter before_val after_val_iter after_val before_test"
        " after_test_iter",
    ),
    "Timer": (
        "duration interval verbose",
        "before_train after_train_iter before_val after_val before_save_checkpoint after_train"
        " before_test after_test",
    ),
}
# Others that work, whose arguments are left to the class.
OTHERS = (
    "Callback",
    "Checkpoint",
    "LambdaCallback",
    "ModelPruning",
    "ModelSummary",
    "ProgressBar",
    "RichModelSummary",
    "RichProgressBar",
    "TQDMProgressBar",
)
_SAVES = ("ModelCheckpoint", "OnExceptionCheckpoint")
CALLBACKS = {
    name: KnownClass(
        name,
        MODULE,
        {argument.rstrip("!"): argument.endswith("!") for argument in arguments.split()},
        points=tuple(points.split()),
        priority="VERY_LOW" if name in _SAVES else "NORMAL",
    )
    for name, (arguments, points) in _ROWS.items()
}


def is_lightnings(kind: Any) -> bool:
    """Say whether a ``type`` is a class of Lightning's, or a dotted name or lazy object of one."""
    place, _ = type_place(kind)
    return place is not None and place.partition(".")[0] in _PACKAGES


def refusal(kind: Any) -> tuple[str, str, str] | None:
    """Return the name of a callback that cannot work here, why, and what does the same.

    Args:
        kind: A ``type``, or the class of an object; what derives from a refused one is refused.
    """
    for one in kind.__mro__ if isinstance(kind, type) else (kind,):
        name = type_name(one)
        if name in REFUSED_CALLBACKS and is_lightnings(one):
            return (type_name(kind), *REFUSED_CALLBACKS[name])
    return None


def read_callback(hook: Mapping[str, Any], path: str, report: Report) -> None:
    """Note the arguments of one of Lightning's callbacks among the hooks.

    Args:
        hook: Its config.
        path: Key path of the section.
        report: Takes the notes.
    """
    given = dict(raw_items(hook))
    name = type_name(given["type"])
    known = CALLBACKS.get(name)
    names = (*CALLBACKS, *OTHERS)
    choices = [] if name in names else nearest(name, names)
    status = Status.UNKNOWN if choices else Status.AS_IS
    text = f"Lightning has no {name}" if choices else f"Lightning's {name}"
    report.note(f"{path}.type", status, text, [f"{MODULE}.{one}" for one in choices])
    for key in (one for one in given if one not in ("type", "priority", "_scope_")):
        if known is None:
            report.note(f"{path}.{key}", Status.BY_CLASS, "an argument of its class")
        elif key in known.arguments:
            report.note(f"{path}.{key}", Status.AS_IS, f"{name}'s argument")
        else:
            near = nearest(str(key), known.arguments)
            report.note(f"{path}.{key}", Status.UNKNOWN, f"{name} has no such argument", near)
    for argument, required in (known.arguments if known else {}).items():
        if required and argument not in given:
            report.later(f"{name} needs {argument!r}", path, f"add {argument}=...")
