"""A changed config goes on from a file that MMEngine itself has written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.resume.changed_runs import go, said
from tests.unit.resume.resume_runs import epochs
from tests.unit.resume.test_changed_schedules import BARE, WARM_UP, cosine

pytestmark = [pytest.mark.filterwarnings("ignore:scheduler.step"), pytest.mark.slow]

SOURCE = """
import torch
from torch import nn
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, MODELS
from mmengine.runner import Runner

@MODELS.register_module()
class Net(BaseModel):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.3))
        self.head = nn.Linear(8, 2)
    def forward(self, inputs, data_samples=None, mode="tensor"):
        return {"loss": self.head(self.body(torch.stack(list(inputs)))).square().mean()}

@DATASETS.register_module()
class Data(torch.utils.data.Dataset):
    metainfo = {"classes": ("a", "b")}
    def __len__(self):
        return 22
    def __getitem__(self, index):
        return {"inputs": torch.rand(4), "data_samples": 0}

data = dict(dataset=dict(type="Data"), batch_size=4, num_workers=0,
            sampler=dict(type="DefaultSampler", shuffle=True))
Runner.from_cfg(Config(dict(
    model=dict(type="Net"), work_dir=FOLDER, train_dataloader=data, log_level="ERROR",
    train_cfg=dict(by_epoch=True, max_epochs=2), optim_wrapper=OPTIM, param_scheduler=SCHEDULES,
    default_hooks=dict(checkpoint=dict(type="CheckpointHook", interval=1)),
    randomness=dict(seed=3), experiment_name="changed"))).train()
print("1")
"""
OPTIM = {"optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9}}
SCHEDULES = [WARM_UP, cosine(begin=1), {"type": "MultiStepMomentum", "milestones": [1, 3]}]


@pytest.fixture(scope="module")
def theirs(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mmengine")
    given = {"FOLDER": str(folder), "OPTIM": OPTIM, "SCHEDULES": SCHEDULES}
    reference.run("".join(f"{name} = {value!r}\n" for name, value in given.items()) + SOURCE)
    return folder / "epoch_2.pth"


def settings(**changes: Any) -> dict[str, Any]:
    found = BARE | {"train_cfg": epochs(4), "optim_wrapper": OPTIM, "param_scheduler": SCHEDULES}
    found |= changes
    return found | {"cfg": {"optim_wrapper": found["optim_wrapper"]}}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "param_scheduler[1].T_max: 1 -> 3"),
        (
            {"param_scheduler": [{"type": "StepLR", "step_size": 1, "gamma": 0.5}]},
            "param_scheduler[0]: another schedule -> StepLR",
        ),
        (
            {
                "optim_wrapper": {
                    "optimizer": {**OPTIM["optimizer"], "lr": 0.3, "weight_decay": 0.1}
                }
            },
            "optim_wrapper.optimizer.lr: 0.05 -> 0.3",
        ),
    ],
)
def test_options_are_those_of_the_new_run(
    changes: dict[str, Any], line: str, theirs: Path, tmp_path: Path
) -> None:
    truth, _ = go(tmp_path / "truth", **settings(**changes))
    found, runner = go(tmp_path / "new", theirs, **settings(**changes))
    assert found == {step: truth[step] for step in range(12, 24)}
    text = said(runner)
    assert "train_cfg.max_epochs: 2 -> 4" in text
    assert line in text


def test_the_same_settings_are_not_told_of(theirs: Path, tmp_path: Path) -> None:
    _, runner = go(tmp_path, theirs, **settings(train_cfg=epochs(2)))
    assert runner.epoch == 2
    assert "WARNING" not in said(runner)
