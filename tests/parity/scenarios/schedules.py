"""Schedules in runs: pairs of them, restarts, metrics, gaps and overlaps, classes of users."""

from __future__ import annotations

from typing import Any

from case import Case, loader
from mmengine.optim import LinearLR
from mmengine.optim.scheduler import _ParamScheduler
from mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mmengine.optim.scheduler.momentum_scheduler import MomentumSchedulerMixin
from mmengine.registry import PARAM_SCHEDULERS

SGD = {"type": "SGD", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
ADAMW = {"type": "AdamW", "lr": 0.01, "betas": (0.9, 0.98), "weight_decay": 0.05}
EPOCHS = {"by_epoch": True, "max_epochs": 5}
BY_GROUP = {"bias_lr_mult": 2.0, "norm_decay_mult": 0.0, "custom_keys": {"head": {"lr_mult": 0.1}}}


def _train(case: Case, *rows: dict[str, Any], optimizer: Any = SGD, **changes: Any) -> Any:
    """Train five epochs with several parameter groups."""
    section = {"optimizer": optimizer, "paramwise_cfg": BY_GROUP}
    return case.train(
        **{"optim_wrapper": section, "train_cfg": EPOCHS, "param_scheduler": list(rows), **changes}
    )


def _cycle(lr: float) -> list[dict[str, Any]]:
    """Rate up and momentum down over two epochs, then both back, as detectors on points do."""
    up = {"T_max": 2, "begin": 0, "end": 2, "by_epoch": True, "convert_to_iter_based": True}
    down = {**up, "T_max": 3, "begin": 2, "end": 5}
    rate, momentum = {"type": "CosineAnnealingLR"}, {"type": "CosineAnnealingMomentum"}
    return [
        {**rate, **up, "eta_min": lr * 10},
        {**rate, **down, "eta_min": lr * 1e-4},
        {**momentum, **up, "eta_min": 0.85 / 0.95},
        {**momentum, **down, "eta_min": 1},
    ]


def cosine_pair(case: Case) -> None:
    _train(case, *_cycle(0.05))


def cosine_pair_of_betas(case: Case) -> None:
    _train(case, *_cycle(0.01), optimizer=ADAMW)


def cosine_pair_under_accumulation(case: Case) -> None:
    section = {"optimizer": ADAMW, "accumulative_counts": 4, "clip_grad": {"max_norm": 0.5}}
    _train(case, *_cycle(0.01), optim_wrapper=section)


def one_cycle_converted(case: Case) -> None:
    cycle = {"type": "OneCycleLR", "eta_max": 0.1, "total_steps": 5, "pct_start": 0.4}
    cycle |= {"three_phase": True, "anneal_strategy": "linear", "convert_to_iter_based": True}
    _train(case, cycle)


def restarts_by_epoch(case: Case) -> None:
    cosine = {"type": "CosineRestartLR", "periods": [2, 2, 1], "restart_weights": [1, 0.5, 0.25]}
    _train(case, {**cosine, "eta_min": 1e-3})


def restarts_by_iteration(case: Case) -> None:
    periods = {"periods": [4, 8, 18], "restart_weights": [1, 0.7, 0.3], "by_epoch": False}
    rate = {"type": "CosineRestartLR", "eta_min_ratio": 0.05, **periods}
    momentum = {"type": "CosineRestartMomentum", "eta_min": 0.5, **periods, "begin": 3}
    _train(case, rate, momentum)


def restarts_converted(case: Case) -> None:
    cosine = {"type": "CosineRestartLR", "periods": [1, 4], "restart_weights": [1, 0.5]}
    _train(case, {**cosine, "eta_min": 0, "convert_to_iter_based": True})


def plateaus(case: Case) -> None:
    """Of a metric for the rate and the decay, of another one for the momentum."""
    metric = {"monitor": "toy/accuracy", "rule": "greater", "patience": 0, "factor": 0.5}
    decay = {"type": "ReduceOnPlateauParamScheduler", "param_name": "weight_decay"}
    _train(
        case,
        {"type": "ReduceOnPlateauLR", **metric, "min_value": 0.01, "cooldown": 1},
        {**decay, **metric, "threshold": 0.1, "threshold_rule": "abs"},
        {"type": "ReduceOnPlateauMomentum", "monitor": "mean", "patience": 1, "factor": 0.9},
        val_evaluator=[{"type": "ToyAccuracy"}, {"type": "ScoreMetric"}],
    )


def plateau_after_a_warmup(case: Case) -> None:
    warmup = {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 9}
    metric = {"monitor": "toy/accuracy", "rule": "greater", "patience": 0, "factor": 0.5}
    _train(case, warmup, {"type": "ReduceOnPlateauLR", **metric, "begin": 2, "end": 4})


def gaps_and_overlaps(case: Case) -> None:
    """Nothing changes from the 6th to the 11th iteration; later two change the rate at once."""
    _train(
        case,
        {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 6},
        {"type": "PolyLR", "power": 2.0, "eta_min": 1e-4, "by_epoch": False, "begin": 11},
        {"type": "StepLR", "step_size": 2, "gamma": 0.5, "begin": 1, "end": 4},
        {"type": "ConstantMomentum", "factor": 0.5, "begin": 3, "end": 4},
    )


def everything_that_a_group_has(case: Case) -> None:
    """Schedules of options by name, beside those of rate and momentum."""
    decay = {"param_name": "weight_decay"}
    _train(
        case,
        {"type": "CosineAnnealingParamScheduler", **decay, "T_max": 3, "eta_min": 1e-3, "end": 3},
        {"type": "LinearParamScheduler", **decay, "end_factor": 0.1, "begin": 3},
        {"type": "MultiStepParamScheduler", "param_name": "dampening", "milestones": [2]},
        {"type": "ExponentialLR", "gamma": 0.9, "by_epoch": False},
        {"type": "PolyMomentum", "eta_min": 0.5, "by_epoch": False, "end": 20},
    )


@PARAM_SCHEDULERS.register_module()
class Sawtooth(_ParamScheduler):
    """A user's schedule: down to a part of the value, and again from the start."""

    def __init__(self, *args: Any, period: int = 4, lowest: float = 0.1, **kwargs: Any) -> None:
        self.period = period
        self.lowest = lowest
        super().__init__(*args, **kwargs)

    @classmethod
    def build_iter_from_epoch(
        cls, *args: Any, period: int = 4, begin: int = 0, end: int = 10**9, **kwargs: Any
    ) -> Any:
        length = kwargs.pop("epoch_length")
        kwargs |= {"by_epoch": False, "begin": begin * length, "end": end * length}
        return cls(*args, period=period * length, **kwargs)

    def _get_value(self) -> list[float]:
        part = (self.last_step % self.period) / self.period
        return [base * (1 - part * (1 - self.lowest)) for base in self.base_values]


@PARAM_SCHEDULERS.register_module()
class SawtoothLR(LRSchedulerMixin, Sawtooth):
    """Of the rate."""


@PARAM_SCHEDULERS.register_module()
class SawtoothMomentum(MomentumSchedulerMixin, Sawtooth):
    """Of the momentum, or of the first beta."""


@PARAM_SCHEDULERS.register_module()
class SlowerLR(LinearLR):
    """A class of MMEngine's, changed."""

    def _get_value(self) -> list[float]:
        return [value * 0.99 for value in super()._get_value()]


def of_users(case: Case) -> None:
    _train(
        case,
        {"type": "SawtoothLR", "period": 4, "by_epoch": False},
        {"type": "SawtoothMomentum", "period": 2, "lowest": 0.5, "begin": 1},
        {"type": "Sawtooth", "param_name": "weight_decay", "period": 3},
    )


def of_users_converted(case: Case) -> None:
    rows = [{"type": kind, "convert_to_iter_based": True} for kind in ("SawtoothLR", "SlowerLR")]
    rows[0] |= {"period": 2, "end": 2}
    rows[1] |= {"start_factor": 0.5, "begin": 2, "end": 5}
    _train(case, *rows, {"type": "SawtoothMomentum"}, optimizer=ADAMW)


def of_users_resumed(case: Case) -> None:
    rows = [{"type": "SawtoothLR", "period": 7, "by_epoch": False}, {"type": "SlowerLR", "end": 4}]
    _train(case, *rows, train_cfg={"by_epoch": True, "max_epochs": 3})
    start = str(case.work_dir / "epoch_2.pth")
    _train(case, *rows, load_from=start, resume=True)


def scaled_groups(case: Case) -> None:
    """The scaled rates are what the schedules start from, in every group."""
    warmup = {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 9}
    cosine = {"type": "CosineAnnealingLR", "T_max": 3, "eta_min": 1e-4, "begin": 2, "end": 5}
    scale = {"enable": True, "base_batch_size": 7}
    _train(
        case, warmup, cosine, auto_scale_lr=scale, train_dataloader=loader(size=21, batch_size=3)
    )
