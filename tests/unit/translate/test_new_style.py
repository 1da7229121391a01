"""A new-style config is examined as it stands: what it imports is not imported for it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CONFIG = """
from mmdet.engine.hooks import DetVisualizationHook
from mmdet.models import Detector
from mmengine.dataset import DefaultSampler, RepeatDataset
from mmengine.hooks import CheckpointHook, EMAHook
from mmengine.model import MomentumAnnealingEMA
from mmengine.optim import AmpOptimWrapper, LinearLR
from mmengine.runner import EpochBasedTrainLoop
from mmengine.visualization import LocalVisBackend, Visualizer
from torch.optim import SGD

model = dict(type=Detector)
default_hooks = dict(
    checkpoint=dict(type=CheckpointHook, interval=1),
    visualization=dict(type=DetVisualizationHook, draw=True),
)
custom_hooks = [dict(type=EMAHook, ema_type=MomentumAnnealingEMA, gama=5)]
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=2, val_inteval=1)
train_dataloader = dict(
    dataset=dict(type=RepeatDataset, times=2, dataset=dict(type=Detector)),
    sampler=dict(type=DefaultSampler, shufle=True),
)
optim_wrapper = dict(type=AmpOptimWrapper, optimizer=dict(type=SGD, lr=0.1, momentun=0.9))
param_scheduler = [dict(type=LinearLR, start_facter=0.1)]
visualizer = dict(type=Visualizer, vis_backends=[dict(type=LocalVisBackend, dir=1)])
"""
PROGRAM = """
import json, sys
from mm2pl.mmengine.config import Config
from mm2pl.translate import examine
notes = examine(Config.fromfile(sys.argv[1], lazy_import=True)).plan.notes
heavy = [m for m in sys.modules if m.split(".")[0] in ("torch", "lightning", "numpy", "mmdet")]
print(json.dumps([{n.key_path: n.status.value for n in notes}, heavy]))
"""


@pytest.fixture(scope="module")
def examined(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = Path(tmp_path_factory.mktemp("new_style")) / "config.py"
    file.write_text(CONFIG)
    command = [sys.executable, "-c", PROGRAM, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_nothing_that_it_names_is_imported(examined: Any) -> None:
    assert examined[1] == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("default_hooks.checkpoint.type", "as is"),
        ("default_hooks.visualization.type", "decided by its class"),
        ("custom_hooks[0].type", "as is"),
        ("custom_hooks[0].gama", "unknown"),
        ("train_cfg.type", "translated"),
        ("train_cfg.val_inteval", "unknown"),
        ("train_dataloader.sampler.type", "as is"),
        ("train_dataloader.sampler.shufle", "unknown"),
        ("train_dataloader.dataset.dataset.type", "decided by its class"),
        ("optim_wrapper.type", "translated"),
        ("optim_wrapper.optimizer.momentun", "unknown"),
        ("param_scheduler[0].start_facter", "unknown"),
        ("visualizer.vis_backends[0].dir", "unknown"),
    ],
)
def test_its_classes_are_known_by_module_and_name(examined: Any, path: str, status: str) -> None:
    assert examined[0][path] == status
