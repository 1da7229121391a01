"""The wrappers and the default constructor against the real MMEngine, bit by bit."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mm2pl.mmengine.logging import MessageHub, MMLogger

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("wrappers.py")
SCENARIOS = runpy.run_path(str(SCRIPT))


@pytest.fixture(scope="module")
def ours() -> Iterator[dict[str, Any]]:
    with pytest.MonkeyPatch.context() as patch:
        for kind in (MessageHub, MMLogger):
            patch.setattr(kind, "_instance_dict", type(kind._instance_dict)())
        for name, module in SCENARIOS["deformable_modules"]().items():
            patch.setitem(sys.modules, name, module)
        yield json.loads(json.dumps(SCENARIOS["run"]("mm2pl.mmengine")))


@pytest.fixture(scope="module")
def theirs(reference: Any) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(reference.process(str(SCRIPT)).strip().splitlines()[-1])
    return result


def _assert_refused_alike(ours: Any, theirs: Any) -> None:
    assert isinstance(theirs, dict), "MMEngine accepts this"
    assert set(theirs["error"]) <= set(ours["error"])


@pytest.mark.parametrize("index", range(len(SCENARIOS["TRAININGS"])))
def test_training_is_equal(ours: Any, theirs: Any, index: int) -> None:
    mine, their = ours["trainings"][index], theirs["trainings"][index]
    if isinstance(their[0], dict):
        _assert_refused_alike(mine.pop(0), their.pop(0))
    assert mine == their


@pytest.mark.proves(
    "optim_wrapper.{loss_scale,dtype}",
    "OPTIM_WRAPPERS.AmpOptimWrapper",
    "OPTIM_WRAPPERS.AmpOptimWrapper.{loss_scale,dtype,accumulative_counts,clip_grad}",
)
@pytest.mark.parametrize("index", range(len(SCENARIOS["AMPS"])))
def test_training_in_mixed_precision_is_equal(ours: Any, theirs: Any, index: int) -> None:
    assert ours["amps"][index] == theirs["amps"][index]


@pytest.mark.parametrize("index", range(len(SCENARIOS["BAD"])))
def test_bad_arguments_are_refused_alike(ours: Any, theirs: Any, index: int) -> None:
    _assert_refused_alike(ours["bad"][index], theirs["bad"][index])


@pytest.mark.parametrize("index", range(len(SCENARIOS["BAD_AMPS"])))
def test_bad_amp_arguments_are_refused_alike(ours: Any, theirs: Any, index: int) -> None:
    _assert_refused_alike(ours["bad_amps"][index], theirs["bad_amps"][index])


def test_dict_of_wrappers_is_equal(ours: Any, theirs: Any) -> None:
    mine, their = ours["dict"], theirs["dict"]
    for refusal, their_refusal in zip(mine.pop(0), their.pop(0), strict=True):
        _assert_refused_alike(refusal, their_refusal)
    assert mine == their


def test_groups_and_log_lines_are_equal(ours: Any, theirs: Any) -> None:
    for mine, their in zip(ours["constructed"], theirs["constructed"], strict=True):
        assert mine == their


@pytest.mark.parametrize("index", range(len(SCENARIOS["BAD_CONSTRUCTORS"])))
def test_bad_configs_are_refused_alike(ours: Any, theirs: Any, index: int) -> None:
    _assert_refused_alike(ours["bad_constructors"][index], theirs["bad_constructors"][index])


def test_registered_optimizers_are_the_same(ours: Any, theirs: Any) -> None:
    assert ours["optimizers"] == theirs["optimizers"]


def test_registered_wrappers_are_the_same_and_two_of_other_backends(ours: Any, theirs: Any) -> None:
    others = {"ColossalAIOptimWrapper", "DeepSpeedOptimWrapper"}
    assert set(ours["wrappers"]) == set(theirs["wrappers"]) | others
    own = "LearningRateDecayOptimizerConstructor"  # registered once mm2pl.optim is imported
    assert set(ours["constructors"]) - {own} == set(theirs["constructors"])


def test_exports_are_the_same(ours: Any, theirs: Any) -> None:
    assert ours["exports"] == theirs["exports"]
