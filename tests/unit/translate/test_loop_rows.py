"""What is said of loops and schedules is what MMEngine does with them, run beside it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from mm2pl.plan import Note, Status
from mm2pl.translate import Examination, examine, torch_schedules

# Trains a model of one weight on two samples; prints, for each case, the learning rate of every
# iteration and a V for every validation, or the error.
SOURCE = """
import json, tempfile, time, warnings
import torch
from torch import nn
from torch.utils.data import Dataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
warnings.simplefilter("ignore")
Runner._log_env = lambda *args: None  # asks the compiler and others for their versions
time.sleep = lambda seconds: None  # two of them where an iteration loop takes its data anew

class Net(BaseModel):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)
    def forward(self, inputs, mode="tensor"):
        return dict(loss=self.layer(torch.ones(1, 1)).sum()) if mode == "loss" else [0]

class Samples(Dataset):
    metainfo = {}
    def __len__(self):
        return 2
    def __getitem__(self, index):
        return dict(inputs=torch.ones(1))

class Metric(BaseMetric):
    def process(self, *args, **kwargs):
        self.results.append(1)
    def compute_metrics(self, results):
        return dict(score=1.0)

class Trace(Hook):
    priority = "VERY_HIGH"
    def __init__(self, trace):
        self.trace = trace
    def before_train_iter(self, runner, **kwargs):
        self.trace.append(runner.optim_wrapper.param_groups[0]["lr"])
    def before_val(self, runner):
        self.trace.append("V")

def run(number, train_cfg, param_scheduler):
    trace = []
    loader = dict(
        dataset=Samples(), sampler=dict(type="DefaultSampler", shuffle=False), batch_size=1
    )
    runner = Runner(
        model=Net(), work_dir=tempfile.mkdtemp(), train_dataloader=loader, train_cfg=train_cfg,
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=1.0)), param_scheduler=param_scheduler,
        val_dataloader=loader, val_cfg=dict(), val_evaluator=[Metric()],
        default_hooks=dict(checkpoint=None, logger=None), custom_hooks=[Trace(trace)],
        experiment_name=f"case{number}", log_level="CRITICAL",
    )
    runner.train()
    return trace

traces = []
for number, case in enumerate(CASES):
    try:
        traces.append(run(number, *case))
    except Exception as error:
        traces.append(f"{type(error).__name__}: {error}")
print(json.dumps(traces))
"""
EPOCHS = {"type": "EpochBasedTrainLoop", "max_epochs": 3}
ITERS = {"type": "IterBasedTrainLoop", "max_iters": 4}


def steps(*milestones: int, **more: Any) -> dict[str, Any]:
    return {"type": "MultiStepLR", "milestones": list(milestones), **more}


def ramp(**more: Any) -> dict[str, Any]:
    return {"type": "LinearLR", "start_factor": 0.5, **more}


# Schedules that MMEngine builds; whether they change the rate is for the reference to say.
SCHEDULES = [
    (EPOCHS, steps(1)),
    (EPOCHS, steps(2)),
    (EPOCHS, steps(3)),
    (EPOCHS, steps(3, 4)),
    (EPOCHS, steps(1, begin=1)),
    (EPOCHS, steps(2, begin=1)),
    (EPOCHS, steps(2, end=2)),
    (EPOCHS, steps(2, end=3)),
    (EPOCHS, steps(3, convert_to_iter_based=True)),
    (EPOCHS, steps(3, by_epoch=False)),
    (EPOCHS, steps(2, convert_to_iter_based=True, epoch_length=1)),
    (EPOCHS, ramp(begin=3, end=5)),
    (EPOCHS, ramp(begin=2, end=5)),
    (EPOCHS, ramp(begin=3, end=5, convert_to_iter_based=True)),
    (EPOCHS, ramp(begin=3, end=5, by_epoch=False)),
    (EPOCHS, ramp(end=9)),
    (ITERS, steps(1)),
    (ITERS, steps(3, by_epoch=False)),
    (ITERS, steps(4, by_epoch=False)),
    (ITERS, ramp(begin=4, end=9, by_epoch=False)),
    (ITERS, ramp(end=3)),
    (ITERS, ramp(end=3, by_epoch=True)),
    (ITERS, ramp(end=3, by_epoch=False)),
    (ITERS, ramp(end=2, convert_to_iter_based=True)),
    ({"by_epoch": True, "max_epochs": 3}, steps(3)),
    ({"by_epoch": False, "max_iters": 4}, steps(4, by_epoch=False)),
]
# What MMEngine builds, or refuses when it trains.
CONFIGS = [
    (EPOCHS, ramp(begin=3)),
    (EPOCHS, ramp(begin=2, end=2)),
    (EPOCHS, ramp(begin=2)),
    (EPOCHS, ramp(begin=7, by_epoch=False, end=6)),
    (EPOCHS, ramp(end=2, by_epoch=False, convert_to_iter_based=True)),
    (EPOCHS, {"type": "MultiStepLR"}),
    (EPOCHS, {"type": "CosineAnnealingLR"}),
    (EPOCHS, {"type": "ReduceOnPlateauLR", "monitor": "score"}),
    (EPOCHS, {"type": "ReduceOnPlateauLR", "monitor": "score", "convert_to_iter_based": True}),
    (EPOCHS, {"generator": [ramp()]}),
    (EPOCHS, {"tpye": "LinearLR"}),
    (EPOCHS, [{"tpye": "LinearLR"}]),
    (EPOCHS, []),
    (EPOCHS, [ramp(end=2), steps(2)]),
    ({**EPOCHS, "by_epoch": True}, None),
    ({**EPOCHS, "max_iters": 4}, None),
    ({"by_epoch": False, "max_epochs": 4}, None),
    ({"by_epoch": False, "max_iters": 4, "max_epochs": 4}, None),
    ({**EPOCHS, "max_epochs": 3.0}, None),
    ({**EPOCHS, "max_epochs": 1.5}, None),
    ({**EPOCHS, "val_interval": 2.0}, None),
    ({**EPOCHS, "val_interval": 0}, None),
    ({**EPOCHS, "val_interval": 99}, None),
    ({**EPOCHS, "dynamic_intervals": [(2, 1)]}, None),
]
# When MMEngine validates.
VALIDATIONS = [
    ({**EPOCHS, "val_interval": 9}, None),
    ({**EPOCHS, "val_begin": 3}, None),
    ({**EPOCHS, "val_begin": 4}, None),
    ({**ITERS, "val_begin": 4}, None),
    ({**ITERS, "val_begin": 5}, None),
    ({**EPOCHS, "val_interval": 9, "dynamic_intervals": [(3, 1)]}, None),
    ({**EPOCHS, "val_interval": 9, "dynamic_intervals": [(4, 1)]}, None),
    ({**ITERS, "val_interval": 9, "dynamic_intervals": [(4, 1)]}, None),
    ({**ITERS, "val_interval": 9, "dynamic_intervals": [(5, 1)]}, None),
]
PLAIN = [({**EPOCHS, "val_interval": 9}, None), ({**ITERS, "val_interval": 9}, None)]
CASES = [*SCHEDULES, *CONFIGS, *VALIDATIONS, *PLAIN, (EPOCHS, steps(1, 3))]
Traces = Callable[[Any], Any]


@pytest.fixture(scope="module")
def trace(reference: Any) -> Traces:
    """What MMEngine does with a case."""
    traces = reference.run(SOURCE.replace("CASES", repr(CASES)))
    return lambda case: traces[CASES.index(case)]


LOADER = {"dataset": {"type": "D"}, "sampler": {"type": "DefaultSampler"}, "batch_size": 1}


def examined(train_cfg: Any, param_scheduler: Any = None, **more: Any) -> Examination:
    return examine(
        {
            "model": {"type": "Net"},
            "train_dataloader": LOADER,
            "train_cfg": train_cfg,
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 1.0}},
            "param_scheduler": param_scheduler,
            "val_dataloader": LOADER,
            "val_cfg": {},
            "val_evaluator": {"type": "Score"},
            **more,
        }
    )


def without_effect(examination: Examination) -> list[Note]:
    return [one for one in examination.plan.notes if one.status is Status.NO_EFFECT]


@pytest.mark.slow
@pytest.mark.parametrize("case", SCHEDULES, ids=str)
def test_a_schedule_has_no_effect_exactly_if_the_rate_stays(case: Any, trace: Traces) -> None:
    rates = {one for one in trace(case) if one != "V"}
    assert bool(without_effect(examined(*case))) == (len(rates) == 1)


@pytest.mark.slow
@pytest.mark.parametrize("case", [*CONFIGS, *SCHEDULES], ids=str)
def test_a_problem_is_told_exactly_where_mmengine_refuses_to_train(
    case: Any, trace: Traces
) -> None:
    assert bool(examined(*case).problems) == isinstance(trace(case), str)


@pytest.mark.slow
@pytest.mark.parametrize("case", VALIDATIONS, ids=str)
def test_a_time_to_validate_has_no_effect_exactly_if_it_never_comes(
    case: Any, trace: Traces
) -> None:
    usual = trace(PLAIN["max_iters" in case[0]])
    begin = "val_begin" in case[0]
    never = "V" not in trace(case) if begin else trace(case) == usual
    dynamic = "dynamic_intervals" in case[0]
    assert bool(without_effect(examined(*case))) == (never and (begin or dynamic))


@pytest.mark.slow
def test_a_single_milestone_that_is_never_reached_is_named(trace: Traces) -> None:
    late = (EPOCHS, steps(1, 3))
    assert trace(late) == trace((EPOCHS, steps(1)))
    (note,) = without_effect(examined(*late))
    assert note.key_path == "param_scheduler.milestones"
    assert note.text == "3 is never reached: training ends at epoch 3"


@pytest.mark.parametrize(
    ("schedule", "key_path", "words"),
    [
        (steps(3, 4), "param_scheduler.milestones", "no milestone is reached: training ends"),
        (steps(2, end=2), "param_scheduler.milestones", "the schedule ends at epoch 2"),
        (steps(2, begin=1), "param_scheduler.milestones", "count from begin=1"),
        (ramp(begin=3, end=5), "param_scheduler.begin", "before the schedule begins"),
    ],
)
def test_the_note_stands_at_the_key_and_says_why(schedule: Any, key_path: str, words: str) -> None:
    (note,) = without_effect(examined(EPOCHS, schedule))
    assert note.key_path == key_path
    assert words in note.text
    paths = [one.key_path for one in examined(EPOCHS, schedule).plan.notes]
    assert paths.count(key_path) == 1


def test_in_an_iteration_loop_a_schedule_by_epochs_stands_still() -> None:
    (note,) = without_effect(examined(ITERS, [steps(1)]))
    assert (note.key_path, "by_epoch=False" in note.text) == ("param_scheduler[0]", True)


def test_torchs_schedules_are_all_known() -> None:
    from torch.optim import lr_scheduler

    kinds = [kind for kind in vars(lr_scheduler).values() if inspect.isclass(kind)]
    names = {kind.__name__ for kind in kinds if issubclass(kind, lr_scheduler.LRScheduler)}
    made_of_others = {"LRScheduler", "_LRScheduler", "SequentialLR", "ChainedScheduler"}
    assert set(torch_schedules.NAMES) == names - made_of_others


@pytest.mark.parametrize("name", torch_schedules.NAMES)
def test_the_arguments_of_torchs_schedules_are_known_with_their_defaults(name: str) -> None:
    from torch.optim import lr_scheduler

    taken = inspect.signature(getattr(lr_scheduler, name)).parameters.values()
    found = {
        one.name: torch_schedules.REQUIRED if one.default is one.empty else one.default
        for one in taken
        if one.name not in ("optimizer", *torch_schedules.FORMER)
    }
    assert found == torch_schedules.ARGUMENTS[name]


TORCHS = "torch.optim.lr_scheduler"
LINEAR = {"type": f"{TORCHS}.LinearLR"}


@pytest.mark.parametrize(
    ("schedule", "key_path", "status"),
    [
        ({**LINEAR}, "type", Status.TRANSLATED),
        ({**LINEAR, "total_iters": 3}, "total_iters", Status.AS_IS),
        ({**LINEAR, "total_iter": 3}, "total_iter", Status.UNKNOWN),
        ({**LINEAR, "verbose": True}, "verbose", Status.BY_CLASS),
        ({**LINEAR, "begin": 1}, "begin", Status.AS_IS),
        ({**LINEAR, "begin": 3, "end": 4}, "begin", Status.NO_EFFECT),
        ({"type": f"{TORCHS}.CycleLR", "gamma": 1}, "type", Status.UNKNOWN),
        ({"type": f"{TORCHS}.CycleLR", "gamma": 1}, "gamma", Status.BY_CLASS),
        ({"type": "CyclicLR"}, "type", Status.UNKNOWN),
        ({"type": f"{TORCHS}.SequentialLR"}, "type", Status.UNSUPPORTED),
        ({**LINEAR, "convert_to_iter_based": True}, "convert_to_iter_based", Status.UNSUPPORTED),
        ({**LINEAR, "convert_to_iter_based": False}, "convert_to_iter_based", Status.AS_IS),
        (
            {"type": f"{TORCHS}.ReduceLROnPlateau", "monitor": "score"},
            "monitor",
            Status.AS_IS,
        ),
    ],
)
def test_torchs_schedules_are_read_too(schedule: Any, key_path: str, status: Status) -> None:
    examination = examined(EPOCHS, schedule)
    told = {one.key_path: one.status for one in examination.plan.notes}
    assert told[f"param_scheduler.{key_path}"] is status
    assert examination.problems == ()


def test_a_misspelt_argument_of_torchs_gets_the_right_one_and_its_module_a_bare_name() -> None:
    step = {"type": f"{TORCHS}.StepLR", "step_sise": 2}
    examination = examined(EPOCHS, [step, {"type": "CyclicLR"}])
    choices = {one.key_path: one.choices for one in examination.plan.notes}
    assert choices["param_scheduler[0].step_sise"][0] == "step_size"
    assert choices["param_scheduler[1].type"] == (f"{TORCHS}.CyclicLR",)
    (problem,) = examination.deferred
    assert (problem.key_path, problem.hint) == (
        "param_scheduler[0]",
        "is 'step_sise' meant to be it?",
    )


def test_a_plateau_of_torchs_needs_a_metric() -> None:
    (problem,) = examined(EPOCHS, {"type": f"{TORCHS}.ReduceLROnPlateau"}).problems
    assert problem.choices == ("monitor",)


@pytest.mark.parametrize("loop", [{"type": "MyLoop", "max_epochs": 3}, {"type": "MyLoop"}])
def test_of_a_loop_of_ones_own_nothing_is_known(loop: Any) -> None:
    examination = examined(loop, steps(9))
    assert without_effect(examination) == []
    notes = {one.key_path: one.status for one in examination.plan.notes}
    assert notes["train_cfg.type"] is Status.BY_CLASS


def test_what_is_raised_only_in_training_is_not_raised_by_translate() -> None:
    examination = examined(EPOCHS, {"type": "MultiStepLR"})
    assert examination.deferred == examination.problems != ()


def test_a_config_with_two_types_of_loop_can_be_tested_but_not_trained() -> None:
    examination = examined({**EPOCHS, "by_epoch": True})
    (problem,) = examination.problems
    assert "only one of" in problem.message
    assert examination.deferred == examination.problems


def test_the_loop_for_the_other_unit_is_named() -> None:
    (problem,) = examined({**EPOCHS, "max_iters": 4}).problems
    assert problem.key_path == "train_cfg.max_iters"
    assert problem.hint == "give max_epochs, or type='IterBasedTrainLoop'"


def test_schedules_that_count_updates_are_measured_by_these() -> None:
    late = {"type": "MultiStepLR", "milestones": [3, 30], "by_epoch": False}
    loop = {"type": "IterBasedTrainLoop", "max_iters": 41}
    texts = []
    for accumulate in (4, 20):
        examination = examined(
            loop,
            late,
            optim_wrapper={
                "optimizer": {"type": "SGD", "lr": 1.0},
                "accumulative_counts": accumulate,
            },
            trainer={"schedule_per_update": True},
        )
        texts.append([note.text for note in without_effect(examination)])
    assert texts == [
        ["30 is never reached: training ends at update 11"],
        ["no milestone is reached: training ends at update 3"],
    ]
