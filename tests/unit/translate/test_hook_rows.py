"""Hooks of a config: every argument has a note, misspelt names are told."""

from __future__ import annotations

from typing import Any

import pytest

from mm2pl.mmengine.config import Config
from mm2pl.mmengine.runner import Priority
from mm2pl.plan import Note
from mm2pl.translate import Examination, examine
from mm2pl.translate.hooks import PRIORITIES


def look(default: dict[str, Any] | None = None, custom: Any = None, **more: Any) -> Examination:
    cfg = {"model": {"type": "Net"}, "default_hooks": default, "custom_hooks": custom, **more}
    return examine(Config({key: value for key, value in cfg.items() if value is not None}))


def findings(examination: Examination) -> list[Note]:
    return [note for note in examination.plan.notes if note.status.is_finding]


def test_a_misspelt_name_of_a_default_hook_is_told() -> None:
    (found,) = findings(look({"checkpont": {"type": "CheckpointHook", "interval": 2}}))
    assert (found.key_path, found.choices) == ("default_hooks.checkpont", ("checkpoint",))


def test_another_name_for_a_default_hooks_class_is_told() -> None:
    (found,) = findings(look({"saver": {"type": "CheckpointHook"}}))
    assert found.choices == ("checkpoint",)


@pytest.mark.parametrize("name", ["visualization", "badcase", "ema", "speed"])
def test_another_name_adds_a_hook(name: str) -> None:
    assert findings(look({name: {"type": "DetVisualizationHook", "draw": True}})) == []


def test_a_default_hook_is_left_out_by_none() -> None:
    notes = look({"timer": None}).plan.notes
    assert [note.text for note in notes if note.key_path == "default_hooks.timer"] == ["left out"]


def test_only_the_hooks_of_the_config_have_notes() -> None:
    assert [n for n in look().plan.notes if n.key_path.startswith("default_hooks.")] == []


def test_an_argument_that_saving_would_refuse_is_told() -> None:
    checkpoint = {"type": "CheckpointHook", "max_keep_ckpt": 3}
    (found,) = findings(look({"checkpoint": checkpoint}))
    assert found.choices[0] == "max_keep_ckpts"


@pytest.mark.parametrize(
    ("hook", "key", "choice"),
    [
        ({"momentun": 0.1}, "momentun", "momentum"),
        ({"ema_type": "MomentumAnnealingEMA", "gama": 5}, "gama", "gamma"),
        ({"gamma": 5}, "gamma", None),
        ({"ema_type": "ExponentialMovingAvarage"}, "ema_type", "ExponentialMovingAverage"),
    ],
)
def test_what_emahook_hands_on_is_checked_against_its_average(
    hook: dict[str, Any], key: str, choice: str | None
) -> None:
    examination = look(custom=[{"type": "EMAHook", **hook}])
    (found,) = findings(examination)
    assert found.key_path == f"custom_hooks[0].{key}"
    assert choice is None or found.choices[0] == choice


def test_the_average_of_a_library_decides_itself() -> None:
    hook = {"type": "EMAHook", "ema_type": "mmdet.ExpMomentumEMA", "total_iter": 5}
    assert findings(look(custom=[hook])) == []


def test_a_librarys_hook_of_the_same_name_has_its_own_arguments() -> None:
    hook = {"type": "EMAHook", "evaluate_on_origin": True}
    assert findings(look(custom=[hook], default_scope="mmpretrain")) == []
    assert findings(look(custom=[hook], default_scope="mmdet")) != []


@pytest.mark.parametrize("priority", ["NORMAL", "very_low", 0, 100, 49])
def test_a_priority_of_mmengines_is_no_problem(priority: Any) -> None:
    assert look(custom=[{"type": "EMAHook", "priority": priority}]).problems == ()


@pytest.mark.parametrize(("priority", "word"), [("HIHG", "HIGH"), (101, "0 and 100"), (-1, "0")])
def test_another_priority_is_a_problem(priority: Any, word: str) -> None:
    (problem,) = look(custom=[{"type": "EMAHook", "priority": priority}]).problems
    assert problem.key_path == "custom_hooks[0].priority"
    assert word in str(problem)


def test_the_names_of_priorities_are_those_of_the_enumeration() -> None:
    assert tuple(Priority.__members__) == PRIORITIES


def test_an_argument_that_a_hook_must_have_is_told_and_not_raised() -> None:
    examination = look(custom=[{"type": "EarlyStoppingHook", "patience": 3}])
    assert "needs 'monitor'" in str(examination.problems[0])
    assert examination.problems == examination.deferred
