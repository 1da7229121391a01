"""Our hooks beside MMEngine's, over the scenarios of ``scenarios.py``."""

from __future__ import annotations

import copy
import json
import runpy
from pathlib import Path
from typing import Any

import pytest

_PATH = Path(__file__).with_name("scenarios.py")
_SCENARIOS = runpy.run_path(str(_PATH))
_CHECKPOINTS = list(_SCENARIOS["CHECKPOINT_CASES"])
_LOGS = list(_SCENARIOS["LOGGER_CASES"])
_STOPS = list(_SCENARIOS["STOPPING_CASES"])
_ERRORS = [*_SCENARIOS["WRONG"], *(f"priority {value}" for value in _SCENARIOS["WRONG_PRIORITIES"])]


@pytest.fixture(scope="module")
def theirs(reference: Any) -> Any:
    return json.loads(reference.process(str(_PATH), "mmengine").strip().splitlines()[-1])


@pytest.fixture(scope="module")
def ours() -> Any:
    return _SCENARIOS["run"]("mm2pl.mmengine")


@pytest.mark.proves(
    "HOOKS.CheckpointHook.{interval,by_epoch,save_begin,save_last,save_best,rule}",
    "HOOKS.CheckpointHook.{greater_keys,less_keys,max_keep_ckpts,filename_tmpl,out_dir}",
    "HOOKS.CheckpointHook.{save_optimizer,save_param_scheduler}",
)
@pytest.mark.parametrize("name", _CHECKPOINTS)
def test_checkpoints_are_saved_and_removed_alike(ours: Any, theirs: Any, name: str) -> None:
    key = f"checkpoint: {name}"
    expected, removals = _removals_apart(_with_whole_best(name, theirs[key]))
    assert _removals_apart(ours[key]) == (expected, removals)


def _with_whole_best(name: str, journal: list[Any]) -> list[Any]:
    """Return MMEngine's journal as it were if the best files held what others hold."""
    journal = copy.deepcopy(journal)
    settings = _SCENARIOS["CHECKPOINT_CASES"][name]
    infos: dict[int, Any] = {}  # of the last save behind a validation: all say the same
    for entry in reversed(journal):
        if entry[0] == "save" and entry[2].startswith("best_"):
            assert entry[4]["save_optimizer"] is False
            entry[4]["save_optimizer"] = settings.get("save_optimizer", True)
            entry[5] = infos.setdefault(entry[4]["meta"]["iter"], entry[5])
        elif entry[0] == "save":
            infos.setdefault(entry[4]["meta"]["iter"], entry[5])
    return journal


def _removals_apart(journal: list[Any]) -> tuple[list[Any], list[Any]]:
    """Divide off what is said of removed files: ours go last, once the new one is complete."""
    removals = [entry for entry in journal if "is removed" in str(entry)]
    return [entry for entry in journal if entry not in removals], removals


@pytest.mark.proves(
    "HOOKS.LoggerHook.{interval,ignore_last,interval_exp_name,log_metric_by_epoch}",
    "HOOKS.LoggerHook.{out_dir,out_suffix,keep_local}",
)
@pytest.mark.parametrize("name", _LOGS)
def test_logs_are_written_alike(ours: Any, theirs: Any, name: str) -> None:
    key = f"logger: {name}"
    assert ours[key] == theirs[key]


@pytest.mark.proves(
    "HOOKS.EarlyStoppingHook.{monitor,rule,min_delta,check_finite,patience,stopping_threshold}"
)
@pytest.mark.parametrize("name", _STOPS)
def test_training_is_stopped_alike(ours: Any, theirs: Any, name: str) -> None:
    key = f"stopping: {name}"
    assert ours[key] == theirs[key]


@pytest.mark.parametrize("name", _ERRORS)
def test_errors_can_be_caught_alike(ours: Any, theirs: Any, name: str) -> None:
    key = f"error: {name}"
    assert theirs[key][0] in ours[key]
    assert "Mm2plError" in ours[key]


def test_validation_alone_is_logged_alike(ours: Any, theirs: Any) -> None:
    assert ours["validation alone"] == theirs["validation alone"]


def test_test_results_become_json_alike(ours: Any, theirs: Any) -> None:
    assert ours["tags"] == theirs["tags"]


def test_the_message_hub_gets_the_same_at_every_point(ours: Any, theirs: Any) -> None:
    assert ours["runtime"] == theirs["runtime"]


def test_times_and_eta_are_equal_on_the_same_clock(ours: Any, theirs: Any) -> None:
    assert ours["timer"] == theirs["timer"]


def test_schedulers_step_at_the_same_points(ours: Any, theirs: Any) -> None:
    assert ours["schedulers"] == theirs["schedulers"]


@pytest.mark.parametrize("what", ["calls", "questions", "stages", "triggered", "all"])
def test_the_base_hook_behaves_alike(ours: Any, theirs: Any, what: str) -> None:
    assert ours["base"][what] == theirs["base"][what]


@pytest.mark.proves("mmengine.runner.{Priority,get_priority}")
def test_priorities_have_the_same_numbers(ours: Any, theirs: Any) -> None:
    assert ours["priority"] == theirs["priority"]


def test_hooks_have_the_same_priorities(ours: Any, theirs: Any) -> None:
    expected = theirs["base"]["priorities"]
    refused = {"NPUProfilerHook"}
    found = ours["base"]["priorities"]
    assert found == {name: level for name, level in expected.items() if name not in refused}
