"""A misspelt name is told from a new one."""

from __future__ import annotations

import pytest

from mm2pl.translate.spelling import distance, misspelt

KNOWN = ["EpochBasedTrainLoop", "CheckpointHook", "EMAHook", "AmpOptimWrapper", "OptimWrapper"]
KNOWN += ["LinearLR", "CosineAnnealingLR", "Adam", "optim_wrapper", "ValLoop", "work_dir"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("LinearLr", "LinearLR"),
        ("linearlr", "LinearLR"),
        ("adam", "Adam"),
        ("ChekpointHook", "CheckpointHook"),
        ("CehckpointHook", "CheckpointHook"),
        ("CheckpointHooks", "CheckpointHook"),
        ("EpochBasedTrainingLoop", "EpochBasedTrainLoop"),
        ("AmpOptimizerWrapper", "AmpOptimWrapper"),
        ("CosineAnnealing", "CosineAnnealingLR"),
        ("optim_warpper", "optim_wrapper"),
        ("optimizer_wrapper", "optim_wrapper"),
        ("workdir", "work_dir"),
        ("Adma", "Adam"),
    ],
)
def test_a_misspelt_name_is_recognised(name: str, meant: str) -> None:
    assert misspelt(name, KNOWN)[0] == meant


@pytest.mark.parametrize(
    "name",
    [
        "MyEMAHook",
        "EMAHookV2",
        "CosineAnnealingWarmupLR",
        "QuadraticWarmupLR",
        "LinearLrInterval",
        "MultiValLoop",
        "Adan",
        "optim_wrapper_cfg",
        "visualization",
    ],
)
def test_a_new_name_is_none(name: str) -> None:
    assert misspelt(name, KNOWN) == []


def test_the_letters_at_the_beginning_make_another_word() -> None:
    assert misspelt("SegDataPreProcessor", ["ImgDataPreprocessor"]) == []


@pytest.mark.parametrize(
    ("a", "b", "steps"),
    [("", "", 0), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "abcd", 1), ("abc", "xyz", 3)],
)
def test_the_distance_counts_a_swap_of_neighbours_as_one(a: str, b: str, steps: int) -> None:
    assert distance(a, b) == distance(b, a) == steps
