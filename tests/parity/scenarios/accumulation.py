"""Gradients accumulated over windows that do not divide the run, its epochs or its validations."""

from __future__ import annotations

from typing import Any

from case import Case, loader

SGD = {"type": "SGD", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
NORM = {"max_norm": 0.3, "norm_type": 2}
VALUE = {"type": "value", "clip_value": 0.01}
WARMUP = {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 9}


def _epochs(case: Case, counts: int, **options: Any) -> Any:
    """Three epochs of six batches, with a validation after each."""
    section = {"optimizer": SGD, "accumulative_counts": counts, **options}
    steps = {"type": "MultiStepLR", "milestones": [1, 2], "gamma": 0.5}
    return case.train(optim_wrapper=section, param_scheduler=[WARMUP, steps])


def _iterations(case: Case, counts: int, **options: Any) -> Any:
    """17 iterations, with a validation after every five."""
    poly = {"type": "PolyLR", "power": 0.9, "eta_min": 1e-3, "begin": 9, "by_epoch": False}
    return case.train(
        optim_wrapper={"optimizer": SGD, "accumulative_counts": counts, **options},
        train_dataloader=loader(sampler={"type": "InfiniteSampler"}),
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": 17, "val_interval": 5},
        log_processor={"by_epoch": False},
        param_scheduler=[WARMUP, poly],
    )


def three_in_epochs(case: Case) -> None:
    _epochs(case, 3)


def four_in_epochs(case: Case) -> None:
    _epochs(case, 4)


def seven_in_epochs(case: Case) -> None:
    _epochs(case, 7)


def three_in_epochs_clipped(case: Case) -> None:
    _epochs(case, 3, clip_grad=NORM)


def four_in_epochs_clipped(case: Case) -> None:
    _epochs(case, 4, clip_grad=NORM)


def seven_in_epochs_clipped(case: Case) -> None:
    _epochs(case, 7, clip_grad=NORM)


def three_in_iterations(case: Case) -> None:
    _iterations(case, 3)


def four_in_iterations(case: Case) -> None:
    _iterations(case, 4)


def seven_in_iterations(case: Case) -> None:
    _iterations(case, 7)


def three_in_iterations_clipped(case: Case) -> None:
    _iterations(case, 3, clip_grad=NORM)


def four_in_iterations_clipped(case: Case) -> None:
    _iterations(case, 4, clip_grad=NORM)


def seven_in_iterations_clipped(case: Case) -> None:
    _iterations(case, 7, clip_grad=NORM)


def four_in_epochs_clipped_by_value(case: Case) -> None:
    _epochs(case, 4, clip_grad=VALUE)


def seven_in_iterations_clipped_by_value(case: Case) -> None:
    _iterations(case, 7, clip_grad=VALUE)


def more_than_the_run_has(case: Case) -> None:
    _epochs(case, 25)


def with_validations_inside_a_window(case: Case) -> None:
    """Each validation but one falls into a window, and so do two ends of an epoch."""
    case.train(
        optim_wrapper={"optimizer": {"type": "Adam", "lr": 0.01}, "accumulative_counts": 4},
        train_dataloader=loader(),
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": 15, "val_interval": 2},
        log_processor={"by_epoch": False},
    )


def resumed_in_epochs_at_a_border_inside_a_window(case: Case) -> None:
    section = {"optimizer": SGD, "accumulative_counts": 4, "clip_grad": NORM}
    case.train(optim_wrapper=section, param_scheduler=WARMUP)
    start = str(case.work_dir / "epoch_1.pth")
    case.train(optim_wrapper=section, param_scheduler=WARMUP, load_from=start, resume=True)


def _in_iterations(counts: int) -> dict[str, Any]:
    """Saves at iteration 6, between two windows of 3 and inside one of 4."""
    return {
        "optim_wrapper": {"optimizer": SGD, "accumulative_counts": counts},
        "train_dataloader": loader(sampler={"type": "InfiniteSampler"}),
        "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": 14, "val_interval": 5},
        "default_hooks": {
            "checkpoint": {"type": "CheckpointHook", "interval": 6, "by_epoch": False}
        },
        "log_processor": {"by_epoch": False},
    }


def resumed_in_iterations_between_windows(case: Case) -> None:
    changes = _in_iterations(3)
    case.train(**changes)
    case.train(**changes, load_from=str(case.work_dir / "iter_6.pth"), resume=True)


def resumed_inside_a_window_from_the_other_engine(case: Case) -> None:
    """The gradients, which mm2pl's file holds, are lost to both, as MMEngine's are."""
    changes = _in_iterations(4)
    case.train(**changes)
    start = str(case.exchange("iter_6.pth"))
    case.train(**changes, load_from=start, resume={"exact": False})  # to MMEngine as good as True
