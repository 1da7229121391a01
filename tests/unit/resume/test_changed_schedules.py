"""A schedule that is changed between two runs is where it would be had it been there always."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from mm2pl import checkpoint
from mm2pl.errors import CheckpointError
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.optim import OptimWrapper, OptimWrapperDict, _ParamScheduler
from mm2pl.mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, PARAM_SCHEDULERS
from tests.unit.resume.changed_runs import go, said
from tests.unit.resume.resume_runs import Net, checkpoints, config, disturb, epochs, iterations, run

pytestmark = pytest.mark.filterwarnings("ignore:scheduler.step")
TORCH = "torch.optim.lr_scheduler"
# No validation: it makes a run no other.
BARE: dict[str, Any] = {
    "val_cfg": None,
    "val_dataloader": None,
    "val_evaluator": None,
    "log_level": "WARNING",
}
ADAM = {"optimizer": {"type": "Adam", "lr": 0.01}}
WARM_UP = {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 5}


def cosine(**options: Any) -> dict[str, Any]:
    return {"type": "CosineAnnealingLR", **options}


# name: settings of both runs, those of the old alone, those of the new alone
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "milestones": (
        {},
        {"param_scheduler": {"type": "MultiStepLR", "milestones": [1]}},
        {"param_scheduler": {"type": "MultiStepLR", "milestones": [2], "gamma": 0.3}},
    ),
    "length of a cosine by epoch": (
        {},
        {"param_scheduler": [cosine(T_max=2)]},
        {"param_scheduler": [cosine(T_max=3, eta_min=1e-4)]},
    ),
    "cosine by iteration over all epochs, which are more": (
        {"param_scheduler": [WARM_UP, cosine(begin=1, convert_to_iter_based=True)]},
        {"train_cfg": epochs(3)},
        {"train_cfg": epochs(4)},
    ),
    "epochs and iterations in turn": (
        {},
        {"param_scheduler": [WARM_UP, {"type": "ExponentialLR", "gamma": 0.9}]},
        {"param_scheduler": [WARM_UP | {"end": 9}, {"type": "PolyLR", "eta_min": 0.001}]},
    ),
    "another kind": (
        {},
        {"param_scheduler": [{"type": "StepLR", "step_size": 1}]},
        {
            "param_scheduler": [
                WARM_UP,
                {
                    "type": "CosineRestartLR",
                    "periods": [2, 1],
                    "restart_weights": [1, 0.5],
                    "eta_min": 0.0,
                },
            ]
        },
    ),
    "none before": ({}, {"param_scheduler": None}, {"param_scheduler": [WARM_UP, cosine(T_max=3)]}),
    "none now": ({}, {"param_scheduler": [WARM_UP, cosine(T_max=3)]}, {"param_scheduler": None}),
    "another rate": (
        {"param_scheduler": [WARM_UP, cosine(T_max=3)]},
        {},
        {"optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.2, "momentum": 0.9}}},
    ),
    "another rate without schedules": (
        {"param_scheduler": None},
        {},
        {"optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.2, "momentum": 0.7}}},
    ),
    "weight decay": (
        {"param_scheduler": [cosine(T_max=3)]},
        {"optim_wrapper": ADAM},
        {
            "optim_wrapper": {
                "optimizer": {**ADAM["optimizer"], "weight_decay": 0.1, "betas": (0.8, 0.9)}
            }
        },
    ),
    "a momentum schedule": (
        {"optim_wrapper": ADAM},
        {"param_scheduler": [cosine(T_max=3), {"type": "LinearMomentum", "start_factor": 0.5}]},
        {"param_scheduler": [cosine(T_max=3), {"type": "StepMomentum", "step_size": 1}]},
    ),
    "betas that a schedule drives": (
        {
            "param_scheduler": [
                {"type": "LinearMomentum", "start_factor": 0.5, "by_epoch": False, "end": 11}
            ]
        },
        {"optim_wrapper": ADAM},
        {"optim_wrapper": {"optimizer": {**ADAM["optimizer"], "betas": (0.8, 0.9)}}},
    ),
    "one cycle": (
        {},
        {
            "param_scheduler": [
                {"type": "OneCycleLR", "eta_max": 0.1, "by_epoch": False, "total_steps": 18}
            ]
        },
        {
            "param_scheduler": [
                {"type": "OneCycleLR", "eta_max": 0.3, "by_epoch": False, "total_steps": 20}
            ]
        },
    ),
    "torch's cycle, which turns the momentum too": (
        {},
        {"param_scheduler": [WARM_UP]},
        {
            "param_scheduler": [
                {"type": f"{TORCH}.OneCycleLR", "max_lr": 0.3, "by_epoch": False, "total_steps": 20}
            ]
        },
    ),
    "torch's, which begins late": (
        {},
        {
            "param_scheduler": [
                WARM_UP,
                {"type": f"{TORCH}.StepLR", "step_size": 3, "by_epoch": False, "begin": 5},
            ]
        },
        {
            "param_scheduler": [
                WARM_UP,
                {"type": f"{TORCH}.StepLR", "step_size": 2, "by_epoch": False, "begin": 5},
            ]
        },
    ),
    "groups of their own rates": (
        {"param_scheduler": [WARM_UP, cosine(T_max=3, eta_min_ratio=0.1)]},
        {
            "optim_wrapper": {
                "optimizer": {"type": "SGD", "lr": 0.1},
                "paramwise_cfg": {"custom_keys": {"head": {"lr_mult": 0.1}}},
            }
        },
        {
            "optim_wrapper": {
                "optimizer": {"type": "SGD", "lr": 0.1},
                "paramwise_cfg": {"custom_keys": {"head": {"lr_mult": 0.3}}},
            }
        },
    ),
    "scaled to the batch size": (
        {"param_scheduler": [WARM_UP]},
        {},
        {"auto_scale_lr": {"enable": True, "base_batch_size": 8}},
    ),
    "iterations": (
        {"train_cfg": iterations(14)},
        {"param_scheduler": [WARM_UP, cosine(by_epoch=False, begin=5)]},
        {"param_scheduler": [WARM_UP, cosine(by_epoch=False, begin=5, T_max=7)]},
    ),
    "more iterations": (
        {"param_scheduler": [WARM_UP, cosine(by_epoch=False, begin=5)]},
        {"train_cfg": iterations(14)},
        {"train_cfg": iterations(20)},
    ),
    "accumulated, stepped by update": (
        {
            "cfg": {"trainer": {"schedule_per_update": True}},
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 3},
        },
        {"param_scheduler": [{"type": "ExponentialLR", "gamma": 0.9, "by_epoch": False}]},
        {"param_scheduler": [{"type": "ExponentialLR", "gamma": 0.8, "by_epoch": False}]},
    ),
}


# What a file without mm2pl's key, and without a config, tells as well.
TOLD = (
    "cosine by iteration over all epochs, which are more",
    "another kind",
    "another rate",
    "betas that a schedule drives",
    "one cycle",
    "more iterations",
)


def slow(name: str) -> Any:
    return pytest.param(name, marks=pytest.mark.slow)


def check(
    folder: Path, both: dict[str, Any], old: dict[str, Any], new: dict[str, Any], *points: int
) -> Any:
    """Compare all options at each step with those of a run that was never interrupted."""
    before, after = BARE | both | old, BARE | both | new
    truth, _ = go(folder / "truth", **after | {"default_hooks": checkpoints(True, 100)})
    go(folder / "old", **before)
    runner = None
    for point in points:
        start = folder / "old" / f"iter_{point}.pth"
        found, runner = go(folder / f"from_{point}", start, **after)
        assert found == {step: truth[step] for step in range(point, len(truth))}, point
    return runner


FAST = (
    "epochs and iterations in turn",
    "weight decay",
)


@pytest.mark.parametrize("name", [name if name in FAST else slow(name) for name in CASES])
def test_options_are_those_of_the_new_run(name: str, tmp_path: Path) -> None:
    runner = check(tmp_path, *CASES[name], 4, 12)
    assert "The settings are not those" in said(runner)


@pytest.mark.slow
@pytest.mark.parametrize("name", TOLD)
def test_a_file_of_mmengines_tells_by_its_states(name: str, tmp_path: Path) -> None:
    both, old, new = CASES[name]
    by_epoch = (both | old | new).get("train_cfg", epochs())["by_epoch"]
    truth, _ = go(tmp_path / "truth", **BARE | both | new)
    settings = BARE | both | {"default_hooks": checkpoints(by_epoch)}
    go(tmp_path / "old", **settings | old)
    start = tmp_path / "old" / ("epoch_2.pth" if by_epoch else "iter_12.pth")
    loaded = checkpoint.read(start)
    del loaded["mm2pl"]
    checkpoint.write(loaded, str(start))
    found, _ = go(tmp_path / "new", start, **BARE | both | new)
    assert found == {step: truth[step] for step in range(12, len(truth))}
    _, runner = go(tmp_path / "again", start, **BARE | both | old)
    assert "The settings are not those" not in said(runner)


@pytest.mark.slow
def test_a_file_of_mmengines_tells_by_its_config(tmp_path: Path) -> None:
    """Of options that no schedule drives; a hook may have changed them."""
    both, old, new = CASES["weight decay"]

    def settings(part: dict[str, Any]) -> dict[str, Any]:
        return BARE | both | part | {"cfg": {"optim_wrapper": part["optim_wrapper"]}}

    truth, _ = go(tmp_path / "truth", **settings(new))
    go(tmp_path / "old", **settings(old), default_hooks=checkpoints(by_epoch=True))
    start = tmp_path / "old" / "epoch_2.pth"
    loaded = checkpoint.read(start)
    del loaded["mm2pl"]
    checkpoint.write(loaded, str(start))
    found, _ = go(tmp_path / "new", start, **settings(new))
    assert found == {step: truth[step] for step in range(12, 18)}


def _kinds(chance: random.Random) -> list[dict[str, Any]]:
    """Return schedules of a random kind each, with random arguments."""
    by_epoch = chance.random() < 0.5
    begin = chance.randrange(2 if by_epoch else 9)
    last = 3 if by_epoch else 18
    end = chance.choice([None, begin + 1 + chance.randrange(last)])
    kinds: list[dict[str, Any]] = [
        {"type": "StepLR", "step_size": chance.randint(1, 4), "gamma": chance.random()},
        {"type": "MultiStepLR", "milestones": [chance.randrange(last) for _ in range(2)]},
        {"type": "ConstantLR", "factor": chance.random()},
        {"type": "ExponentialLR", "gamma": chance.random()},
        {"type": "LinearLR", "start_factor": chance.random(), "end_factor": chance.random()},
        {"type": "PolyLR", "power": chance.random() + 0.5, "eta_min": 1e-3 * chance.random()},
        cosine(eta_min=1e-3 * chance.random(), T_max=chance.choice([None, chance.randint(1, 9)])),
        {"type": "CosineRestartLR", "periods": [2, 5], "restart_weights": [1, chance.random()]}
        | {"eta_min_ratio": 0.1},
        {"type": "CosineAnnealingMomentum", "eta_min": chance.random()},
        {"type": "StepMomentum", "step_size": 2, "gamma": chance.random()},
    ]
    found = chance.choice(kinds) | {"by_epoch": by_epoch, "begin": begin}
    if by_epoch and chance.random() < 0.3:
        found["convert_to_iter_based"] = True
    return [found if end is None else found | {"end": end}]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_any_schedules_may_be_changed_to_any(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    old, new = ([one for _ in range(chance.randint(1, 3)) for one in _kinds(chance)] for _ in "ab")
    chance.choice([new.append, lambda one: new.insert(0, one)])(old[0])
    check(tmp_path, {}, {"param_scheduler": old}, {"param_scheduler": new}, chance.randint(1, 17))


@pytest.mark.slow
def test_a_longer_run_is_the_longer_run(tmp_path: Path) -> None:
    """The past is the same, so that weights are, too."""
    both = {"param_scheduler": [WARM_UP, {"type": "MultiStepLR", "milestones": [2, 3]}]}
    settings = {"default_hooks": checkpoints(by_epoch=True)} | both
    disturb()
    whole, end = run(config(tmp_path / "whole", train_cfg=epochs(4), **settings))
    disturb()
    run(config(tmp_path / "short", train_cfg=epochs(2), **settings))
    disturb()
    start = str(tmp_path / "short" / "epoch_2.pth")
    again = config(tmp_path / "again", train_cfg=epochs(4), **settings)
    steps, again_end = run(again | {"load_from": start, "resume": True})
    assert steps == whole[-len(steps) :]
    assert again_end == end


PLATEAU = {"type": "ReduceOnPlateauLR", "monitor": "score", "patience": 0, "rule": "greater"}
WAITING = {
    "ours": {**PLATEAU, "threshold": 1e6, "threshold_rule": "abs"},
    "torch's": {
        "type": f"{TORCH}.ReduceLROnPlateau",
        "monitor": "score",
        "mode": "max",
        "patience": 0,
        "threshold": 1e6,
        "threshold_mode": "abs",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", WAITING)
def test_a_longer_run_that_waits_for_a_metric_is_the_longer_run(kind: str, tmp_path: Path) -> None:
    both = {"param_scheduler": [WARM_UP, WAITING[kind]], "log_level": "WARNING"}
    truth, _ = go(tmp_path / "whole", train_cfg=epochs(5), **both)
    go(tmp_path / "short", train_cfg=epochs(3), **both)
    found, _ = go(
        tmp_path / "again", tmp_path / "short" / "iter_18.pth", train_cfg=epochs(5), **both
    )
    assert found == {step: truth[step] for step in range(18, 30)}
    assert truth[29][""][0]["lr"] == pytest.approx(0.05 / 1000)


@pytest.mark.parametrize("kind", WAITING)
def test_what_a_metric_did_is_kept_and_scaled_to_the_new_rate(kind: str, tmp_path: Path) -> None:
    both = {"param_scheduler": [WAITING[kind]], "log_level": "WARNING"}
    go(tmp_path / "old", **both)
    new = {"optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.2, "momentum": 0.9}}}
    start = tmp_path / "old" / "iter_14.pth"  # one reduction, after the second validation
    found, runner = go(tmp_path / "new", start, **both | new)
    assert found[14][""][0]["lr"] == pytest.approx(0.02)
    assert "what its metrics did cannot be done again" in said(runner)
    assert "lr is 0.02, " in said(runner)


@pytest.mark.slow
def test_a_schedule_of_ones_own_is_stepped_as_often(tmp_path: Path) -> None:
    class Sawtooth(_ParamScheduler):
        """Reads what else is in a group, and counts for itself."""

        def __init__(self, optimizer: Any, height: float, **options: Any) -> None:
            self.height, self.calls = height, 0
            options.pop("epoch_length", None)
            super().__init__(optimizer, "lr", **options)

        def step(self) -> None:
            self.calls += 1
            super().step()

        def _get_value(self) -> list[float]:
            found = []
            for index, group in enumerate(self.optimizer.param_groups):
                teeth = (self.calls + index) % 5
                found.append(group["initial_lr"] * (1 + self.height * teeth))
            return found

    PARAM_SCHEDULERS.register_module(module=Sawtooth)
    try:
        kind = {"type": "Sawtooth", "by_epoch": False}
        groups = {"paramwise_cfg": {"custom_keys": {"head": {"lr_mult": 1.0}}}}
        both = {"optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}} | groups}
        old, new = ({"param_scheduler": [kind | {"height": height}]} for height in (1.0, 2.0))
        runner = check(tmp_path, both, old, new, 4, 12)
    finally:
        PARAM_SCHEDULERS.module_dict.pop("Sawtooth")
    assert "param_scheduler[0].height: 1 -> 2" in said(runner)


@pytest.mark.slow
def test_each_of_several_optimizers_has_its_own(tmp_path: Path) -> None:
    class Two:
        def __init__(self, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> None:
            self.rate = optim_wrapper_cfg["rate"]

        def __call__(self, model: Any) -> OptimWrapperDict:
            body = torch.optim.SGD(model.body.parameters(), lr=0.1, momentum=0.9)
            head = torch.optim.Adam(model.head.parameters(), lr=self.rate)
            return OptimWrapperDict(body=OptimWrapper(body), head=OptimWrapper(head))

    def settings(rate: float, gamma: float) -> dict[str, Any]:
        return {
            "model": Net(two=True),
            "optim_wrapper": {"constructor": "Two", "rate": rate},
            "param_scheduler": {
                "body": [WARM_UP, {"type": "ExponentialLR", "gamma": gamma, "by_epoch": False}],
                "head": [cosine()],
            },
        }

    OPTIM_WRAPPER_CONSTRUCTORS.register_module(module=Two)
    try:
        runner = check(tmp_path, {}, settings(0.1, 0.9), settings(0.3, 0.8), 8)
    finally:
        OPTIM_WRAPPER_CONSTRUCTORS.module_dict.pop("Two")
    text = said(runner)
    assert "param_scheduler.body[1].gamma: 0.9 -> 0.8" in text
    assert "optim_wrapper.head.optimizer.lr: 0.1 -> 0.3" in text
    assert "head: lr is 0.225, as after 1 epoch of the new schedule; the old one had 0.075" in text


def test_each_change_is_told_key_by_key_in_one_warning(tmp_path: Path) -> None:
    go(tmp_path / "old", **BARE, param_scheduler=[cosine(T_max=4)])
    new = BARE | {"train_cfg": epochs(4), "param_scheduler": [cosine(T_max=8)]}
    _, runner = go(tmp_path / "new", tmp_path / "old" / "iter_12.pth", **new)
    text = said(runner)
    assert text.count("WARNING") == 1
    assert text.partition("WARNING - ")[2] == (
        "The settings are not those that the checkpoint was written with. The new ones hold:\n"
        "  train_cfg.max_epochs: 3 -> 4\n"
        "  param_scheduler[0].T_max: 4 -> 8\n"
        "  param_scheduler[0].end: 3 -> 4\n"
        "  lr is 0.048097, as after 1 epoch of the new schedule; the old one had 0.0426777\n"
        "resume=dict(exact=False) goes on with the old schedules, as MMEngine does.\n"
    )


@pytest.mark.slow
def test_mmengines_way_keeps_the_old_schedule_without_a_word(tmp_path: Path) -> None:
    old = BARE | {"param_scheduler": [cosine(T_max=4)]}
    truth, _ = go(tmp_path / "old", **old)
    new = BARE | {"param_scheduler": [cosine(T_max=8)], "resume": {"exact": False}}
    found, runner = go(tmp_path / "new", tmp_path / "old" / "iter_12.pth", **new)
    rates = [step[""][0]["lr"] for step in found.values()]
    again = [truth[step][""][0]["lr"] for step in (6, 12) for _ in range(6)]
    assert rates == again  # from the beginning of its epoch
    assert "WARNING" not in said(runner)


def test_other_words_for_the_same_are_no_change(tmp_path: Path) -> None:
    go(tmp_path / "old", **BARE, param_scheduler=[cosine(end=3), WARM_UP])
    new = BARE | {"param_scheduler": [cosine(T_max=3, eta_min=0.0), WARM_UP | {"begin": 0}]}
    _, runner = go(tmp_path / "new", tmp_path / "old" / "iter_8.pth", **new)
    assert "WARNING" not in said(runner)


@pytest.mark.slow
def test_what_a_hook_did_to_the_rate_stays_if_nothing_is_changed(tmp_path: Path) -> None:
    class Halve(Hook):
        def after_train_iter(self, runner: Any, batch_idx: int, *args: Any, **kwargs: Any) -> None:
            if runner.iter == 3:
                runner.optim_wrapper.param_groups[0]["lr"] *= 0.5

    both = BARE | {"param_scheduler": [{"type": "StepLR", "step_size": 2}]}
    truth, _ = go(tmp_path / "old", custom_hooks=[Halve()], train_cfg=epochs(4), **both)
    go(tmp_path / "short", custom_hooks=[Halve()], **both)
    start = tmp_path / "short" / "iter_10.pth"
    found, _ = go(tmp_path / "new", start, train_cfg=epochs(4), **both)
    assert found == {step: truth[step] for step in range(10, 24)}


@pytest.mark.slow
def test_schedules_that_were_not_saved_are_stepped_anew(tmp_path: Path) -> None:
    hook = {"type": "CheckpointHook", "by_epoch": False, "interval": 1}
    both = BARE | {"param_scheduler": [WARM_UP, cosine(T_max=4)]}
    unsaved = {"default_hooks": {"checkpoint": hook | {"save_param_scheduler": False}}}
    truth, _ = go(tmp_path / "old", **both | unsaved)
    found, runner = go(tmp_path / "new", tmp_path / "old" / "iter_8.pth", **both)
    assert found == {step: truth[step] for step in range(8, 18)}
    assert "param_scheduler: the checkpoint has no schedules" in said(runner)


def test_an_optimizer_of_another_kind_is_refused(tmp_path: Path) -> None:
    go(tmp_path / "old", **BARE)
    with pytest.raises(CheckpointError, match=r"Adam(?s:.*)state of SGD(?s:.*)without resume"):
        go(tmp_path / "new", tmp_path / "old" / "iter_8.pth", **BARE | {"optim_wrapper": ADAM})
