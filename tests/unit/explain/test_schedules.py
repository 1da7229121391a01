"""Schedules in words."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mm2pl.explain import torch_schedules
from mm2pl.explain.schedules import Length, describe, optimizers_of
from mm2pl.mmengine.optim import scheduler as schedulers
from mm2pl.translate.torch_schedules import ARGUMENTS

COSINE = {"T_max": 6, "eta_min": 0.1}
POLYNOMIAL = {"total_iters": 9, "power": 2}
EPOCHS, ITERATIONS = Length(epochs=12), Length(steps=400)


def _words(kind: str, length: Length = EPOCHS, **arguments: Any) -> str:
    (row,) = describe([{"type": kind, **arguments}], length)
    return str(row["words"])


@pytest.mark.parametrize(
    ("words", "kind", "arguments"),
    [
        (
            "lr rises from 0.001x to 1x over iterations 0-500",
            "LinearLR",
            {"start_factor": 0.001, "by_epoch": False, "begin": 0, "end": 500},
        ),
        (
            "lr falls from 1x to 0.1x over epochs 0-12",
            "LinearLR",
            dict(start_factor=1, end_factor=0.1),
        ),
        ("lr x0.1 at epochs 8 and 11", "MultiStepLR", {"milestones": [8, 11]}),
        ("lr x0.5 at epoch 5", "MultiStepLR", {"milestones": [3], "begin": 2, "gamma": 0.5}),
        (
            "lr x0.1 at epochs 2, 3 and 4 (not at epoch 9: it ends at 6); then stays",
            "MultiStepLR",
            {"milestones": [2, 3, 4, 9], "end": 6},
        ),
        (
            "lr x0.1 never: epochs 12 and 14 are not reached, it ends at 12",
            "MultiStepLR",
            {"milestones": [12, 14]},
        ),
        ("lr x0.1 every 3 epochs over epochs 0-12", "StepLR", {"step_size": 3}),
        ("lr x0.9 at each epoch over epochs 0-12", "ExponentialLR", {"gamma": 0.9}),
        (
            "lr falls along a cosine to 1e-05 over epochs 5-12",
            "CosineAnnealingLR",
            {"begin": 5, "end": 12, "T_max": 7, "eta_min": 1e-5},
        ),
        (
            "lr falls along a cosine to 0.1x over epochs 0-12, half a wave of 3 epochs",
            "CosineAnnealingLR",
            {"T_max": 3, "eta_min_ratio": 0.1},
        ),
        (
            "lr falls along a cosine to 0 over epochs 0-5; then stays; counted in epochs,"
            " stepped at each iteration",
            "CosineAnnealingLR",
            {"end": 5, "convert_to_iter_based": True},
        ),
        (
            "lr falls along a cosine to 0.01 again and again over epochs 0-12; epochs: 4 from 1x,"
            " 8 from 0.5x",
            "CosineRestartLR",
            {"periods": [4, 8], "restart_weights": [1, 0.5], "eta_min": 0.01},
        ),
        ("lr falls linearly to 0 over epochs 0-12", "PolyLR", {}),
        (
            "lr falls by a polynomial of degree 0.9 to 0.0001 over iterations 0-40000",
            "PolyLR",
            {"power": 0.9, "eta_min": 1e-4, "by_epoch": False, "end": 40000},
        ),
        (
            "lr is 0.5x over iterations 0-9, and its own value from the last of these on",
            "ConstantLR",
            {"factor": 0.5, "end": 9, "by_epoch": False},
        ),
        (
            "lr rises from 0.004 to 0.1 in the first 30%, falls to 4e-07 over epochs 0-12",
            "OneCycleLR",
            {"eta_max": 0.1},
        ),
        (
            "lr x0.1 when the metric 'acc' has not become higher for more than 10 validations",
            "ReduceOnPlateauLR",
            {"monitor": "acc", "rule": "greater"},
        ),
        ("momentum x0.1 every 1 epoch over epochs 0-12", "StepMomentum", {"step_size": 1}),
        (
            "weight_decay falls linearly to 0 over epochs 0-12",
            "PolyParamScheduler",
            {"param_name": "weight_decay"},
        ),
        (
            "lr falls linearly to 0 over epochs 0-20; but the training ends at epoch 12",
            "PolyLR",
            {"end": 20},
        ),
        (
            "lr falls linearly to 0 from iteration 3 to the end",
            "PolyLR",
            dict(by_epoch=False, begin=3),
        ),
    ],
)
def test_what_a_schedule_does(words: str, kind: str, arguments: dict[str, Any]) -> None:
    assert _words(kind, **arguments) == words


def test_an_iteration_based_loop_gives_the_end() -> None:
    assert _words("PolyLR", ITERATIONS, by_epoch=False) == (
        "lr falls linearly to 0 over iterations 0-400"
    )


def test_epochs_in_an_iteration_based_loop_never_step() -> None:
    assert "stays at its first value" in _words("StepLR", ITERATIONS, step_size=3)


@pytest.mark.parametrize("name", [name for name in schedulers.__all__ if name[0] != "_"])
def test_every_scheduler_has_words(name: str) -> None:
    more = {"step_size": 2, "milestones": [1], "gamma": 0.5, "periods": [1], "param_name": "lr"}
    words = _words(name, eta_min=0, **more)
    assert words.startswith("momentum " if name.endswith("Momentum") else "lr ")
    assert str(math.inf) not in words


def test_a_librarys_schedule_is_named() -> None:
    (row,) = describe([{"type": "mmdet.QuadraticWarmupLR", "end": 5}], EPOCHS)
    assert row["type"] == "QuadraticWarmupLR"
    assert "decided by its class" in row["words"]


def test_a_librarys_schedule_of_a_name_of_mmengines_is_the_librarys() -> None:
    (row,) = describe([{"type": "ConstantLR"}], EPOCHS, "mmpose")
    assert "mmpose's own ConstantLR" in row["words"]


def test_a_misspelt_schedule_is_told_with_what_was_meant() -> None:
    assert "did you mean LinearLR" in _words("LinearLr")


def test_schedules_by_optimizer_name_it() -> None:
    given = {"gen": {"type": "PolyLR"}, "disc": [{"type": "StepLR", "step_size": 1}]}
    rows = describe(given, EPOCHS)
    assert [(row["key_path"], row["optimizer"]) for row in rows] == [
        ("param_scheduler.gen", "gen"),
        ("param_scheduler.disc[0]", "disc"),
    ]


def test_optimizers_by_name() -> None:
    one = {"optimizer": {"type": "SGD", "lr": 1}}
    assert optimizers_of(one) == {"": {"type": "SGD", "lr": 1}}
    assert optimizers_of({"constructor": "X", "gen": one}) == {"gen": {"type": "SGD", "lr": 1}}


TORCHS = "torch.optim.lr_scheduler."
UPDATES = Length(epochs=12, steps=100, step="update")


@pytest.mark.parametrize(
    ("words", "kind", "arguments"),
    [
        ("x0.1 every 3 epochs", "StepLR", {"step_size": 3}),
        ("x0.1 after 8, 11 epochs", "MultiStepLR", {"milestones": [8, 11]}),
        ("is 0.5x for 1 epoch", "ConstantLR", {"factor": 0.5, "total_iters": 1}),
        ("rises from 0.1x to 1x in 5 epochs", "LinearLR", {"start_factor": 0.1}),
        ("x0.9 at each epoch", "ExponentialLR", {"gamma": 0.9}),
        ("falls by a polynomial of degree 2 to 0 in 9 epochs", "PolynomialLR", POLYNOMIAL),
        ("follows a cosine to 0.1 and back, 6 epochs a way", "CosineAnnealingLR", COSINE),
        (
            "falls along a cosine to 0 again and again, first in 2 epochs, each 3 times as long as"
            " the last",
            "CosineAnnealingWarmRestarts",
            {"T_0": 2, "T_mult": 3},
        ),
        (
            "goes between 0.1 and 1, 2 epochs up and 3 down (triangular2), and the momentum against"
            " it",
            "CyclicLR",
            {
                "base_lr": 0.1,
                "max_lr": 1,
                "step_size_up": 2,
                "step_size_down": 3,
                "mode": "triangular2",
            },
        ),
        (
            "rises to 0.5 in the first 30% and falls to almost nothing, a cycle of 12 epochs",
            "OneCycleLR",
            {"max_lr": 0.5, "epochs": 3, "steps_per_epoch": 4, "cycle_momentum": False},
        ),
        ("is its first value times a function of the epoch", "LambdaLR", {"lr_lambda": abs}),
        ("is multiplied by a function of the epoch at each", "MultiplicativeLR", {}),
    ],
)
def test_torchs_schedules_have_words_of_their_own(
    words: str, kind: str, arguments: dict[str, Any]
) -> None:
    assert _words(TORCHS + kind, **arguments) == f"lr {words}, over epochs 0-12"


def test_all_of_torchs_have_words() -> None:
    assert set(torch_schedules.WORDS) == set(ARGUMENTS)


def test_a_plateau_of_torchs_has_no_span() -> None:
    words = _words(f"{TORCHS}ReduceLROnPlateau", monitor="loss")
    assert words == (
        "lr x0.1 when the metric 'loss' has not become lower for more than 10 validations"
    )


@pytest.mark.parametrize("kind", ["ExponentialLR", f"{TORCHS}ExponentialLR"])
def test_where_schedules_count_updates_the_words_do(kind: str) -> None:
    words = _words(kind, UPDATES, gamma=0.9, by_epoch=False).replace(",", "")
    assert words == "lr x0.9 at each update over updates 0-100"


def test_epochs_are_then_converted_to_updates() -> None:
    words = _words("CosineAnnealingLR", UPDATES, convert_to_iter_based=True)
    assert words.endswith("counted in epochs, stepped at each update")
