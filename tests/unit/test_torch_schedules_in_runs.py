"""Torch's schedules in whole runs: beside MMEngine's, resumed, with mixed precision, by group."""

from __future__ import annotations

import copy
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from mm2pl.mmengine.hooks import CheckpointHook, Hook
from tests.unit.schedule_runs import UPDATES, Watched, endless, train, validation

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec")
PREFIX = "torch.optim.lr_scheduler."
WARM_UP = {"type": "LinearLR", "start_factor": 0.25, "by_epoch": False, "end": 4}
COSINE = {"type": f"{PREFIX}CosineAnnealingLR", "T_max": 12, "by_epoch": False, "begin": 4}
CYCLE = {"type": f"{PREFIX}OneCycleLR", "max_lr": 2.0, "total_steps": 40, "by_epoch": False}
PLATEAU = {"type": f"{PREFIX}ReduceLROnPlateau", "monitor": "score", "patience": 0, "factor": 0.5}
GROUPS = {"custom_keys": {"fc.bias": {"lr_mult": 0.1}}}


@pytest.fixture(autouse=True)
def forget() -> None:
    UPDATES.clear()


class Groups(Hook):
    """Notes the rate of every group, that of the base settings last, at each iteration."""

    def __init__(self) -> None:
        self.rates: list[list[float]] = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates.append([group["lr"] for group in runner.optim_wrapper.param_groups])


def rates() -> list[float]:
    return [rate for rate, _ in UPDATES[""]]


def alone(kind: str, steps: int, **arguments: Any) -> list[tuple[float, float]]:
    """Return what torch's schedule does to an optimizer by itself."""
    optimizer = Watched([torch.nn.Parameter(torch.ones(1))], "alone", lr=1.0, momentum=0.5)
    schedule = getattr(lr_scheduler, kind)(optimizer, **arguments)
    for _ in range(steps):
        optimizer.step()
        schedule.step()
    return UPDATES["alone"]


def test_a_warm_up_of_mmengines_and_a_cosine_of_torchs(tmp_path: Path) -> None:
    train(tmp_path, batch=16, param_scheduler=[WARM_UP, COSINE])
    warm = [0.25, 0.5, 0.75, 1.0]
    cosine = [rate for rate, _ in alone("CosineAnnealingLR", 16, T_max=12)]
    assert rates() == pytest.approx([*warm, *cosine], abs=1e-12)


def test_one_cycle_changes_the_momentum_too(tmp_path: Path) -> None:
    train(tmp_path, batch=8, param_scheduler=CYCLE)
    assert UPDATES[""] == alone("OneCycleLR", 39, max_lr=2.0, total_steps=40) + UPDATES[""][39:]
    assert len({momentum for _, momentum in UPDATES[""]}) > 30


def test_a_class_in_the_place_of_its_name_steps_by_epoch(tmp_path: Path) -> None:
    schedule = {"type": lr_scheduler.MultiStepLR, "milestones": [1, 3], "gamma": 0.5}
    train(tmp_path, batch=40, param_scheduler=schedule)
    assert rates() == [1.0] * 2 + [0.5] * 4 + [0.25] * 2


def test_the_plateau_follows_the_runs_metric(tmp_path: Path) -> None:
    train(tmp_path, batch=40, param_scheduler=PLATEAU, **validation())
    assert rates() == [1.0] * 4 + [0.5] * 2 + [0.25] * 2


def test_every_group_has_its_share_and_the_base_settings_too(tmp_path: Path) -> None:
    runner = train(
        tmp_path,
        batch=16,
        param_scheduler=[WARM_UP, COSINE],
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 1.0}, "paramwise_cfg": GROUPS},
        custom_hooks=[{"type": Groups}],
    )
    (hook,) = (one for one in runner.hooks if isinstance(one, Groups))
    weight, bias, base = zip(*hook.rates, strict=True)
    assert weight == base
    assert list(bias) == pytest.approx([0.1 * rate for rate in base])
    assert len({*base}) > 10


RESUMED: dict[str, list[dict[str, Any]]] = {
    "warm-up and cosine": [WARM_UP, COSINE],
    "before its begin": [{**COSINE, "begin": 12}],
    "one cycle": [CYCLE],
    "with a counter": [
        {"type": f"{PREFIX}MultiStepLR", "milestones": [3, 3, 11], "by_epoch": False, "gamma": 0.5}
    ],
}


def run(folder: Path, schedules: Any, wrapper: str = "OptimWrapper", **changes: Any) -> list[Any]:
    """Train for 20 iterations, with a checkpoint after the tenth; return weights and groups."""
    optimizer = {"type": "SGD", "lr": 0.5, "momentum": 0.9}
    runner = train(
        folder,
        batch=4,
        param_scheduler=copy.deepcopy(schedules),
        train_dataloader=endless(),
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": 20},
        optim_wrapper={"type": wrapper, "optimizer": optimizer, "paramwise_cfg": GROUPS},
        default_hooks={"checkpoint": {"type": CheckpointHook, "interval": 10, "by_epoch": False}},
        **changes,
    )
    states = [one.state_dict() for one in runner.param_schedulers]
    return [runner.model.state_dict(), runner.optim_wrapper.state_dict(), states]


def assert_equal(one: Any, other: Any) -> None:
    """Compare to the last bit, also what is within tensors."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other)
        for pair in zip(one, other, strict=True):
            assert_equal(*pair)
    else:
        assert one == other


SLOW = pytest.mark.slow


@pytest.mark.parametrize("wrapper", ["OptimWrapper", pytest.param("AmpOptimWrapper", marks=SLOW)])
@pytest.mark.parametrize(
    "schedules",
    [
        pytest.param(one, id=name, marks=() if name == "one cycle" else SLOW)
        for name, one in RESUMED.items()
    ],
)
def test_a_resumed_run_ends_with_the_same_bits(
    schedules: Any, wrapper: str, tmp_path: Path
) -> None:
    whole = run(tmp_path, schedules, wrapper)
    resumed = run(
        tmp_path, schedules, wrapper, load_from=str(tmp_path / "iter_10.pth"), resume=True
    )
    assert_equal(resumed, whole)


def test_a_checkpoint_names_nothing_of_mm2pls(tmp_path: Path) -> None:
    run(tmp_path, [WARM_UP, COSINE])
    with zipfile.ZipFile(tmp_path / "iter_10.pth") as file:
        (name,) = [one for one in file.namelist() if one.endswith("data.pkl")]
        names = {
            str(argument)
            for operation, argument, _ in pickletools.genops(file.read(name))
            if operation.name in ("GLOBAL", "SHORT_BINUNICODE", "BINUNICODE")
        }
    assert any("OrderedDict" in one for one in names)
    assert not [one for one in names if one.startswith(("mm2pl.", "torch.optim"))]


def test_schedules_by_epoch_resume_as_well(tmp_path: Path) -> None:
    """The plateau has seen one validation, and reduces after the next."""
    settings: dict[str, Any] = {
        "param_scheduler": [{"type": f"{PREFIX}ExponentialLR", "gamma": 0.9}, PLATEAU],
        "train_cfg": {"by_epoch": True, "max_epochs": 6, "val_interval": 2},
        "default_hooks": {"checkpoint": {"type": CheckpointHook, "interval": 3}},
        **validation(),
    }
    train(tmp_path, batch=80, **settings)
    whole, UPDATES[""] = rates(), []
    train(tmp_path, batch=80, **settings, load_from=str(tmp_path / "epoch_3.pth"), resume=True)
    assert rates() == whole[3:]
    assert whole[4] == pytest.approx(whole[3] * 0.9 * 0.5)
