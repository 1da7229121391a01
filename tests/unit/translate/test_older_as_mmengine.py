"""MMEngine 0.10.7 refuses what is translated here, and ignores what is ignored here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.translate.test_older import BASE, FORMS, LEFT_OVER, WRAPPER

pytestmark = pytest.mark.slow

# Of these MMEngine says nothing: docs/older-forms.md says that they count here.
IGNORED = {"a scheduler", "checkpoints", "logs"}
VALIDATION = {
    "val_dataloader": BASE["train_dataloader"],
    "val_evaluator": {"type": "DumpResults", "out_file_path": "out.pkl"},
}
SOURCE = """
import json, os, sys, tempfile
import torch
from mmengine.dataset import default_collate
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, HOOKS, MODELS
from mmengine.runner import Runner

@MODELS.register_module()
class Net(BaseModel):
    def __init__(self, init_cfg=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
    def forward(self, inputs, mode):
        return {"loss": (self.weight * torch.stack(inputs)).sum() ** 2} if mode == "loss" else []

@DATASETS.register_module()
class Data(torch.utils.data.Dataset):
    metainfo = {}
    def __len__(self):
        return 4
    def __getitem__(self, index):
        return {"inputs": torch.tensor([1.0, index / 8])}

@HOOKS.register_module()
class Mine(Hook):
    def __init__(self, interval=1):
        pass

found = {}
for name, config in json.loads(sys.argv[1]).items():
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    try:
        runner = Runner.from_cfg({"work_dir": folder, "log_level": "CRITICAL", **config})
        runner.train()
        saved = sorted(one for one in os.listdir(folder) if one.endswith(".pth"))
        found[name] = [runner.model.weight.tolist(), saved]
    except Exception as error:
        found[name] = type(error).__name__
print(json.dumps(found))
"""


def config(changes: dict[str, Any]) -> dict[str, Any]:
    """Return a config that trains, but for what the changes make of it."""
    whole = {**BASE, **changes}
    if "optimizer" not in changes:
        whole.setdefault("optim_wrapper", WRAPPER)
    if "val_cfg" in changes:
        whole |= VALIDATION
    loader = {**BASE["train_dataloader"], "sampler": {"type": "DefaultSampler", "shuffle": False}}
    for stage in ("train", "val"):
        if f"{stage}_dataloader" in whole and whole[f"{stage}_dataloader"] is not None:
            whole[f"{stage}_dataloader"] = loader
    return {"randomness": {"seed": 0}, **{key: v for key, v in whole.items() if v is not None}}


@pytest.fixture(scope="module")
def theirs(reference: Any) -> dict[str, Any]:
    configs = {form: config(older) for form, (older, _) in FORMS.items()}
    configs |= {case: config(changes) for case, (_, changes, _) in LEFT_OVER.items()}
    configs["plain"] = config({})
    printed = reference.process("-c", SOURCE, json.dumps(configs))
    found: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return found


@pytest.mark.parametrize("form", [form for form in FORMS if form not in IGNORED])
def test_mmengine_refuses_the_older_form(form: str, theirs: dict[str, Any]) -> None:
    assert isinstance(theirs[form], str), f"MMEngine trains: {theirs[form]}"


@pytest.mark.parametrize("form", sorted(IGNORED))
def test_mmengine_ignores_three_of_them(form: str, theirs: dict[str, Any]) -> None:
    assert theirs[form] == theirs["plain"]


TRAINING = [
    case
    for case, (key, changes, _) in LEFT_OVER.items()
    if {"optim_wrapper", "default_hooks"} & {*changes} or key in ("runner", "lr_config")
]


@pytest.mark.parametrize("case", TRAINING)
def test_mmengine_ignores_what_is_left_over(case: str, theirs: dict[str, Any]) -> None:
    assert theirs[case] == theirs["plain"]
