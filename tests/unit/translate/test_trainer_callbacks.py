"""Lightning's callbacks in a config, looked at without importing them."""

from __future__ import annotations

import inspect
from typing import Any

import lightning
import pytest
from lightning.pytorch import callbacks
from packaging.version import Version

from mm2pl.callbacks import NativeCallback
from mm2pl.explain import hooks
from mm2pl.explain.lightning import objects
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.config.lazy import LazyObject
from mm2pl.plan import Note, Status
from mm2pl.translate import Examination, examine
from mm2pl.translate.trainer_callbacks import CALLBACKS, MODULE, OTHERS, REFUSED_CALLBACKS, refusal

STOP = f"{MODULE}.EarlyStopping"
EXISTING = [name for name in CALLBACKS if hasattr(callbacks, name)]  # some came with 2.6


def look(*custom: Any, **more: Any) -> Examination:
    return examine(Config({"model": {"type": "Net"}, "custom_hooks": list(custom), **more}))


def findings(examination: Examination) -> list[Note]:
    return [note for note in examination.plan.notes if note.status.is_finding]


def status(examination: Examination, key_path: str) -> Status:
    (found,) = {note.status for note in examination.plan.notes if note.key_path == key_path}
    return found


@pytest.mark.parametrize(
    "kind",
    [STOP, STOP.replace("lightning.", "pytorch_lightning."), LazyObject(MODULE, "EarlyStopping")],
)
def test_every_key_of_a_callback_is_as_it_is(kind: Any) -> None:
    seen = look({"type": kind, "monitor": "a", "patience": 2, "priority": "LOW"})
    assert findings(seen) == []
    assert not seen.problems
    for key in ("", ".type", ".monitor", ".patience", ".priority"):
        assert status(seen, f"custom_hooks[0]{key}") is Status.AS_IS


def test_a_misspelt_argument_is_told() -> None:
    (found,) = findings(look({"type": STOP, "monitor": "a", "patients": 2}))
    assert (found.key_path, found.choices) == ("custom_hooks[0].patients", ("patience",))


def test_a_misspelt_class_is_told() -> None:
    (found,) = findings(look({"type": f"{MODULE}.EarlyStoping", "monitor": "a"}))
    assert (found.key_path, found.choices) == ("custom_hooks[0].type", (STOP,))


def test_a_missing_argument_is_told() -> None:
    (problem,) = look({"type": STOP}).problems
    assert "custom_hooks[0]: EarlyStopping needs 'monitor'" in str(problem)


def test_a_wrong_priority_is_told() -> None:
    (problem,) = look({"type": STOP, "monitor": "a", "priority": "LATE"}).problems
    assert problem.key_path == "custom_hooks[0].priority"


@pytest.mark.parametrize("name", REFUSED_CALLBACKS)
def test_a_refused_one_is_unsupported_and_says_why(name: str) -> None:
    seen = look({"type": f"{MODULE}.{name}"})
    assert status(seen, "custom_hooks[0]") is Status.UNSUPPORTED
    (problem,) = seen.problems
    reason, hint = REFUSED_CALLBACKS[name]
    assert reason in str(problem)
    assert hint in str(problem)


def test_what_derives_from_a_refused_one_is_refused() -> None:
    class Mine(callbacks.GradientAccumulationScheduler):
        pass

    refused = refusal(Mine)
    assert refused is not None
    assert refused[0] == "Mine"


def test_a_class_of_ones_own_by_a_refused_name_is_not_refused() -> None:
    assert refusal("my.callbacks.LearningRateFinder") is None
    assert findings(look({"type": "my.callbacks.LearningRateFinder"})) == []


def test_one_in_default_hooks_is_as_it_is() -> None:
    seen = look(default_hooks={"early": {"type": STOP, "monitor": "a"}})
    assert status(seen, "default_hooks.early") is Status.AS_IS


# The tables, against Lightning itself


@pytest.mark.parametrize("name", EXISTING)
def test_arguments_are_lightnings(name: str) -> None:
    parameters = inspect.signature(getattr(callbacks, name)).parameters.values()
    own = {one.name: one.default is one.empty for one in parameters if one.kind != one.VAR_KEYWORD}
    table = dict(CALLBACKS[name].arguments)
    if len(own) < len(parameters):  # it hands more on
        assert own.items() <= table.items()
    else:
        assert {name: table.get(name) for name in own} == own


@pytest.mark.parametrize("name", EXISTING)
def test_points_and_priority_are_those_of_the_class(name: str) -> None:
    kind = getattr(callbacks, name)
    hook = NativeCallback(kind.__new__(kind))
    points = set(CALLBACKS[name].points)
    assert points >= set(hook.get_triggered_stages())
    if Version(lightning.__version__) >= Version("2.6"):
        assert points == set(hook.get_triggered_stages())
    assert CALLBACKS[name].priority == hook.priority


def test_no_callback_of_lightnings_is_left_out() -> None:
    known = {*CALLBACKS, *OTHERS, *REFUSED_CALLBACKS}
    assert set(callbacks.__all__) <= known


def test_explain_lists_it_in_its_place() -> None:
    late = {"type": "EMAHook", "priority": "LOWEST"}
    plan = look(late, {"type": STOP, "monitor": "a", "priority": "LOW"}, callbacks.Timer()).plan
    rows = [(row.kind, row.shown_priority) for row in hooks.rows(plan)]
    assert rows.index(("Timer", "NORMAL (50)")) < rows.index(("EarlyStopping", "LOW (70)"))
    assert rows[-1] == ("EMAHook", "LOWEST (100)")
    assert objects(plan)["hooks"].endswith(
        "for 7 hooks; in their places among them Timer, EarlyStopping"
    )
    plan = examine(Config({**plan.config, "val_dataloader": {}, "train_dataloader": {}})).plan
    assert "EarlyStopping" in [row.kind for row in hooks.points_of(plan, "validate")["after_val"]]
