"""Hooks of mmpretrain and mmdet in small runs; see tests/parity/harness for what is given."""

from __future__ import annotations

from typing import Any

import mmdet.engine.hooks  # noqa: F401  (registers them)
import mmpretrain.engine.hooks
import mmpretrain.registry
from case import Case, loader
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F
from toys import PIPELINE, LoadSample, MaybeFlip, PackSample, ToyModel

SHORT = {"by_epoch": True, "max_epochs": 2}
DATA = {"type": "ListDataset", "size": 12, "pipeline": PIPELINE}
ALWAYS_FLIPPED = [PIPELINE[0], {"type": "MaybeFlip", "probability": 1.0}, PIPELINE[2]]
WORKERS: dict[str, Any] = {"num_workers": 1, "persistent_workers": True}

for _transform in (LoadSample, MaybeFlip, PackSample):
    mmpretrain.registry.TRANSFORMS.register_module(module=_transform)


@MODELS.register_module()
class WithLossModule(ToyModel):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.loss_module = nn.CrossEntropyLoss()

    def losses(self, logits: Tensor, labels: Tensor) -> dict[str, Any]:
        return {"loss": self.loss_module(logits, labels)}


@MODELS.register_module()
class HalfLoss(nn.Module):
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(logits, labels) * 0.5


def evaluating_the_average_and_the_origin(case: Case) -> None:
    row = {"type": "mmpretrain.EMAHook", "momentum": 0.1, "evaluate_on_origin": True}
    case.train(custom_hooks=[row], train_cfg=SHORT).test()
    last = str(case.work_dir / "epoch_2.pth")
    case.train(custom_hooks=[row], train_cfg=SHORT, load_from=last)
    case.note(case.runner(custom_hooks=[row], load_from=last).val())


def evaluating_the_origin_alone(case: Case) -> None:
    row = {"type": "mmpretrain.EMAHook", "momentum": 0.1, "update_buffers": True}
    row |= {"evaluate_on_ema": False, "evaluate_on_origin": True}
    loop = {"type": "IterBasedTrainLoop", "max_iters": 7, "val_interval": 3}
    endless = loader(sampler={"type": "InfiniteSampler"})
    case.train(custom_hooks=[row], train_cfg=loop, train_dataloader=endless).test()


def precise_statistics(case: Case) -> None:
    """The hook reads the training loader itself."""
    row = {"type": "mmpretrain.PreciseBNHook", "num_samples": 12, "priority": "ABOVE_NORMAL"}
    ema = {"type": "EMAHook", "momentum": 0.1}
    workers = loader(**WORKERS)
    case.train(custom_hooks=[row, ema], train_cfg=SHORT, train_dataloader=workers)


def switched_recipe(case: Case) -> None:
    schedule = [
        {"action_epoch": 2, "train_pipeline": ALWAYS_FLIPPED},
        {"action_epoch": 3, "loss": {"type": "HalfLoss"}, "batch_augments": None},
    ]
    case.train(
        model={"type": "WithLossModule"},
        train_dataloader=loader(of=DATA, **WORKERS),
        custom_hooks=[{"type": "mmpretrain.SwitchRecipeHook", "schedule": schedule}],
    )


def switched_pipeline(case: Case) -> None:
    switch = {"type": "mmdet.PipelineSwitchHook", "switch_pipeline": ALWAYS_FLIPPED}
    average = {"type": "EMAHook", "ema_type": "mmdet.ExpMomentumEMA", "momentum": 0.05}
    hooks = [
        {**switch, "switch_epoch": 1},
        {**average, "gamma": 5, "update_buffers": True, "priority": 49},
        {"type": "mmdet.SyncNormHook", "priority": 48},
        {"type": "mmdet.CheckInvalidLossHook", "interval": 2},
    ]
    case.train(train_dataloader=loader(of=DATA, **WORKERS), custom_hooks=hooks)
