"""The schedulers against the real MMEngine, value by value."""

from __future__ import annotations

import json
import logging
import pickle
import random
import runpy
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.optim import SGD, Adagrad, Adam

from mm2pl.errors import ConfigError, ConfigKeyError
from mm2pl.mmengine import optim
from mm2pl.mmengine.optim import OptimWrapper, scheduler
from mm2pl.mmengine.optim.scheduler.lr_scheduler import LRSchedulerMixin
from mm2pl.mmengine.optim.scheduler.momentum_scheduler import MomentumSchedulerMixin
from mm2pl.mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler
from mm2pl.mmengine.registry import PARAM_SCHEDULERS
from tools import reference as reference_tool

SCRIPT = Path(__file__).with_name("schedules.py")
SCENARIOS = runpy.run_path(str(SCRIPT))
CLASSES: list[str] = SCENARIOS["CLASSES"]
OURS = "mm2pl.mmengine"
# Without a database nothing is written; the same cases in each run, shrunk where they fail.
PROPERTY = settings(
    deadline=None, database=None, derandomize=True, suppress_health_check=HealthCheck
)
RANDOM = st.randoms(use_true_random=False)


def _json(value: Any) -> Any:
    return json.loads(json.dumps(value))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("schedulers")


@pytest.fixture(scope="module")
def mmengine(reference: Any) -> Iterator[Callable[[Any], Any]]:
    """Answers requests with the real MMEngine, in a process that stays."""
    process = subprocess.Popen(
        [sys.executable, str(SCRIPT)],
        env=reference_tool.environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process as server:
        assert server.stdin is not None
        assert server.stdout is not None

        def answer(request: Any) -> Any:
            print(json.dumps(request), file=server.stdin, flush=True)
            return json.loads(server.stdout.readline())

        yield answer
        server.stdin.close()


@pytest.fixture(scope="module")
def both(mmengine: Callable[[Any], Any], folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    theirs, ours = folder / "theirs.pkl", folder / "ours.pkl"
    SCENARIOS["save"](OURS, ours)
    return _json(SCENARIOS["run"](OURS)), mmengine([str(theirs), str(ours)])


def _compare(spec: Any, mmengine: Callable[[Any], Any]) -> None:
    """Run a case with both; what differs first is what fails."""
    ours, theirs = _json(SCENARIOS["run_case"](optim, spec)), mmengine(spec)
    if "error" not in ours and "error" not in theirs:
        for step, lines in enumerate(zip(ours["trace"], theirs["trace"], strict=True)):
            assert lines[0] == lines[1], f"after {step} steps of {spec}"
    _assert_alike(ours, theirs)


def _assert_alike(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, dict) and "error" in theirs:
        # Ours must be caught by who catches MMEngine's.
        assert set(theirs["error"]) <= set(ours["error"])
    else:
        assert ours == theirs


def _sgd(groups: int = 1, **options: Any) -> SGD:
    params = [{"params": [torch.nn.Parameter(torch.ones(1))]} for _ in range(groups)]
    return SGD(params, **{"lr": 1.0, **options})


@pytest.mark.proves(
    "PARAM_SCHEDULERS.*{LR,Momentum,ParamScheduler}",
    "PARAM_SCHEDULERS.*.{begin,end,by_epoch,param_name,factor,start_factor,end_factor,gamma}",
    "PARAM_SCHEDULERS.*.{milestones,step_size,power,T_max,eta_min,eta_min_ratio,eta_max}",
    "PARAM_SCHEDULERS.*.{periods,restart_weights,total_steps,pct_start,anneal_strategy}",
    "PARAM_SCHEDULERS.*.{div_factor,final_div_factor,three_phase,monitor,rule,patience,eps}",
    "PARAM_SCHEDULERS.*.{threshold,threshold_rule,cooldown,min_value}",
    "mmengine.optim.*{LR,Momentum,ParamScheduler}",
    "mmengine.optim.scheduler.*{LR,Momentum,ParamScheduler}",
)
@pytest.mark.parametrize("name", CLASSES)
@settings(PROPERTY, max_examples=8)
@given(rng=RANDOM)
def test_values_and_states_equal_mmengines_to_the_last_bit(
    name: str, mmengine: Any, rng: random.Random
) -> None:
    _compare(SCENARIOS["draw"](rng, name), mmengine)


@settings(PROPERTY, max_examples=30)
@given(rng=RANDOM, names=st.lists(st.sampled_from(CLASSES), min_size=2, max_size=4, unique=True))
def test_chained_schedules_equal_mmengines(
    mmengine: Any, rng: random.Random, names: list[str]
) -> None:
    _compare(SCENARIOS["draw"](rng, *names), mmengine)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSES)
@settings(PROPERTY, max_examples=60)
@given(rng=RANDOM, others=st.lists(st.sampled_from(CLASSES), max_size=2, unique=True))
def test_values_equal_mmengines_for_many_more_arguments(
    name: str, mmengine: Any, rng: random.Random, others: list[str]
) -> None:
    _compare(SCENARIOS["draw"](rng, name, *others), mmengine)


@pytest.mark.parametrize("name", CLASSES)
def test_the_random_cases_are_mostly_no_errors(name: str) -> None:
    specs = [SCENARIOS["draw"](random.Random(f"{name}{number}"), name) for number in range(8)]
    results = [SCENARIOS["run_case"](optim, spec) for spec in specs]
    assert sum("trace" in result for result in results) >= 6


@pytest.mark.proves("PARAM_SCHEDULERS.*.last_step")
@pytest.mark.parametrize("name", CLASSES)
def test_going_on_by_last_step_gives_mmengines_values(both: Any, name: str) -> None:
    ours, theirs = both
    _assert_alike(ours["going_on"][name], theirs["going_on"][name])


def test_most_schedules_can_go_on_by_last_step(both: Any) -> None:
    went_on = [isinstance(trace, list) for trace in both[1]["going_on"].values()]
    assert sum(went_on) > 20


@pytest.mark.parametrize("name", CLASSES)
def test_signature_is_mmengines(both: Any, name: str) -> None:
    ours, theirs = both
    assert ours["signatures"][name] == theirs["signatures"][name]


@pytest.mark.parametrize("index", range(len(SCENARIOS["BAD"])))
def test_bad_arguments_are_refused_as_by_mmengine(both: Any, index: int) -> None:
    ours, theirs = both
    assert isinstance(theirs["bad"][index], dict), "MMEngine accepts these"
    _assert_alike(ours["bad"][index], theirs["bad"][index])


@pytest.mark.parametrize("index", range(len(SCENARIOS["BAD_CONVERSIONS"])))
def test_bad_conversions_are_refused_as_by_mmengine(both: Any, index: int) -> None:
    ours, theirs = both
    assert isinstance(theirs["bad_conversions"][index], dict), "MMEngine accepts these"
    _assert_alike(ours["bad_conversions"][index], theirs["bad_conversions"][index])


def test_milestones_that_are_a_range_can_be_converted(both: Any) -> None:
    ours, theirs = both
    assert ours["milestones"] == theirs["milestones"]


def test_states_can_be_swapped_with_mmengine(both: Any, folder: Path) -> None:
    their_own, from_ours = both[1]["resumed"]
    assert from_ours == their_own
    assert _json(SCENARIOS["resume"](OURS, folder / "theirs.pkl")) == their_own


def test_no_state_holds_anything_named_after_mm2pl() -> None:
    optimizer = _sgd(momentum=0.9)
    plain = {"step_size": 3, "gamma": 0.5, "milestones": [3], "periods": [3], "eta_min": 0}
    wanted = {
        "Step": ("step_size",),
        "MultiStep": ("milestones",),
        "Exponential": ("gamma",),
        "CosineRestart": ("periods", "eta_min"),
    }
    for name in CLASSES:
        if name.endswith("LR"):
            kwargs = {key: plain[key] for key in wanted.get(name[:-2], ())}
            state = getattr(scheduler, name)(optimizer, **kwargs).state_dict()
            assert b"mm2pl" not in pickle.dumps(state), name


def test_one_cycle_takes_the_annealing_over_from_an_mmengine_state() -> None:
    def _annealing_linear() -> None:
        """Stands for the function in MMEngine's file."""

    made = scheduler.OneCycleLR(_sgd(), eta_max=1.0, total_steps=10)
    made.load_state_dict({**made.state_dict(), "anneal_func": _annealing_linear})
    assert made.anneal_func(0.0, 1.0, 0.25) == 0.25


def test_all_29_are_registered() -> None:
    assert len(CLASSES) == 29
    for name in CLASSES:
        assert PARAM_SCHEDULERS.get(name) is getattr(scheduler, name)


def test_scheduler_is_built_by_epoch_or_converted_from_a_config() -> None:
    cfg = {"type": "StepLR", "step_size": 2, "convert_to_iter_based": True}
    made = PARAM_SCHEDULERS.build(cfg, default_args={"optimizer": _sgd(), "epoch_length": 5})
    assert (made.step_size, made.by_epoch) == (10, False)


def test_a_user_schedule_needs_only_get_value() -> None:
    class Halving(_ParamScheduler):
        def _get_value(self) -> list[float]:
            return [base / 2**self.last_step for base in self.base_values]

    class HalvingLR(LRSchedulerMixin, Halving):
        pass

    optimizer = _sgd()
    made = HalvingLR(optimizer, begin=1, end=4)
    values = [optimizer.param_groups[0]["lr"]]
    for _ in range(5):
        optimizer.step()
        made.step()
        values.append(optimizer.param_groups[0]["lr"])
    assert values == [1.0, 1.0, 0.5, 0.25, 0.25, 0.25]
    assert made.get_last_value() == [0.25]
    assert (made.begin, made.end, made.by_epoch, made.last_step) == (1, 4, True, 2)


def test_a_user_momentum_schedule_drives_betas() -> None:
    class ZeroMomentum(MomentumSchedulerMixin, _ParamScheduler):
        def _get_value(self) -> list[float]:
            return [0.0 for _ in self.base_values]

    optimizer = Adam([torch.nn.Parameter(torch.ones(1))], betas=(0.9, 0.99))
    ZeroMomentum(optimizer)
    assert optimizer.param_groups[0]["betas"] == (0.0, 0.99)


def test_an_unbounded_end_stays_so_when_converted() -> None:
    made = scheduler.StepLR.build_iter_from_epoch(_sgd(), step_size=1, epoch_length=7)
    assert made.end == INF


def test_base_settings_of_a_wrapper_are_scheduled_too() -> None:
    wrapper = OptimWrapper(_sgd(groups=2))
    scheduler.ConstantLR(wrapper, factor=0.5)
    assert wrapper.get_lr() == {"base_lr": [0.5], "lr": [0.5, 0.5]}


def test_stepping_before_the_optimizer_warns() -> None:
    made = scheduler.StepLR(_sgd(), step_size=1)
    with pytest.warns(UserWarning, match=r"before optimizer\.step"):
        made.step()


def test_replacing_the_optimizers_step_warns() -> None:
    optimizer = _sgd()
    made = scheduler.StepLR(optimizer, step_size=1)
    optimizer.step = lambda: None  # type: ignore[method-assign, assignment]
    with pytest.warns(UserWarning, match="was replaced"):
        made.step()


def test_the_right_order_does_not_warn() -> None:
    wrapper = OptimWrapper(_sgd())
    made = [scheduler.StepLR(wrapper, step_size=1), scheduler.ConstantLR(wrapper)]
    wrapper.step()
    for each in made:
        each.step()
    assert wrapper._global_step == 0  # type: ignore[attr-defined]


def test_counting_steps_keeps_no_optimizer_alive() -> None:
    optimizer = _sgd()
    scheduler.StepLR(optimizer, step_size=1)
    alive = weakref.ref(optimizer.step.__wrapped__)  # type: ignore[attr-defined]
    assert alive() is not None
    gone = weakref.ref(optimizer)
    del optimizer
    assert gone() is None


@pytest.mark.proves("PARAM_SCHEDULERS.*.verbose")
def test_verbose_logs_every_value(caplog: pytest.LogCaptureFixture) -> None:
    lines: list[str] = []

    class Listening(scheduler.ConstantLR):
        def print_value(self, is_verbose: bool, group: int, value: float) -> None:
            lines.append(f"{is_verbose} {group} {value}")

    Listening(_sgd(groups=2), factor=0.5, verbose=True)
    Listening(_sgd(groups=2), factor=0.5)
    assert lines == ["True 0 0.5", "True 1 0.5"]


def test_momentum_of_an_optimizer_without_any_is_refused() -> None:
    optimizer = Adagrad([torch.nn.Parameter(torch.ones(1))])
    with pytest.raises(ConfigError, match="Adagrad has not"):
        scheduler.ConstantMomentum(optimizer)


def test_an_unknown_option_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigKeyError, match="weight_decay"):
        scheduler.ConstantParamScheduler(_sgd(), param_name="weightdecay")


def test_a_missing_metric_is_named_with_the_nearest() -> None:
    made = scheduler.ReduceOnPlateauLR(_sgd(), monitor="accuracy")
    with pytest.raises(ConfigKeyError, match="accuracy/top1"):
        made.step({"accuracy/top1": 1.0})


def test_momentum_is_reduced_by_metrics_given_by_name() -> None:
    optimizer = _sgd(momentum=0.5)
    made = scheduler.ReduceOnPlateauMomentum(optimizer, monitor="loss", patience=0, factor=0.5)
    for _ in range(2):
        made.step(metrics={"loss": 1.0})
    assert made.get_last_value() == [0.25]


def test_a_plateau_that_is_reset_forgets_what_was_best() -> None:
    made = scheduler.ReduceOnPlateauLR(_sgd(), cooldown=3, patience=0)
    for _ in range(2):
        made.step({"loss": 1.0})
    fresh = scheduler.ReduceOnPlateauLR(_sgd())
    names = ("best", "cooldown_counter", "num_bad_epochs")
    before = [getattr(made, name) for name in names]
    made._reset()
    after = [getattr(made, name) for name in names]
    assert before == [1.0, 3, 0]
    assert after == [getattr(fresh, name) for name in names]


def test_metrics_that_are_no_dict_are_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        scheduler.ReduceOnPlateauLR(_sgd()).step(0.5)  # type: ignore[arg-type]


def test_plateau_has_a_bound_for_each_group_and_the_last_one_for_the_base() -> None:
    made = scheduler.ReduceOnPlateauLR(OptimWrapper(_sgd(groups=2)), min_value=[0.1, 0.2])
    assert made.min_values == [0.1, 0.2, 0.2]


def test_plateau_logs_a_reduction(monkeypatch: pytest.MonkeyPatch) -> None:
    logged = []
    monkeypatch.setattr(
        "mm2pl.mmengine.optim.scheduler._plateau.print_log",
        lambda message, logger, level=logging.INFO: logged.append(message),
    )
    made = scheduler.ReduceOnPlateauLR(_sgd(), patience=0, verbose=True)
    made.step({"loss": 1.0})
    made.step({"loss": 1.0})
    assert logged == ["Adjusting parameter value of group 0 to 1.0000e-01 in epoch 1."]
