"""Classes of users in the place of MMEngine's: samplers, wrappers, models, evaluators, runners."""

from __future__ import annotations

from typing import Any

import torch
from case import Case, eval_loader, loader
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import (
    DATA_SAMPLERS,
    EVALUATOR,
    HOOKS,
    LOG_PROCESSORS,
    MODELS,
    OPTIM_WRAPPERS,
    RUNNERS,
)
from mmengine.runner import LogProcessor, Runner
from torch import nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler
from toys import PIPELINE, labels_of
from tracing import EVENTS, exact, tracers

SHORT = {"by_epoch": True, "max_epochs": 2}


@DATA_SAMPLERS.register_module()
class GuessedLengthSampler(BatchSampler):
    """Says that it has ``extra`` more batches than it yields, as samplers by bucket do."""

    def __init__(self, sampler: Any, batch_size: int, extra: int = 0) -> None:
        super().__init__(sampler, batch_size, drop_last=True)
        self.extra = extra

    def __len__(self) -> int:
        return super().__len__() + self.extra


def batch_sampler_with_fewer_batches_than_it_says(case: Case) -> None:
    sampler = {"type": "GuessedLengthSampler", "extra": 2}
    case.train(train_dataloader=loader(batch_sampler=sampler), train_cfg=SHORT)


def batch_sampler_with_more_batches_than_it_says(case: Case) -> None:
    sampler = {"type": "GuessedLengthSampler", "extra": -2}
    case.train(train_dataloader=loader(batch_sampler=sampler), train_cfg=SHORT)


def validation_with_fewer_batches_than_it_says(case: Case) -> None:
    sampler = {"type": "GuessedLengthSampler", "extra": 1}
    case.train(val_dataloader=eval_loader(batch_sampler=sampler), train_cfg=SHORT)


def validation_with_more_batches_than_it_says(case: Case) -> None:
    sampler = {"type": "GuessedLengthSampler", "extra": -1}
    case.train(val_dataloader=eval_loader(batch_sampler=sampler), train_cfg=SHORT)


@OPTIM_WRAPPERS.register_module()
class TwiceOptimWrapper(OptimWrapper):
    """Steps by hand, scales the loss, and adds to what is logged."""

    def __init__(self, *args: Any, factor: float = 2.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.factor = factor

    def update_params(self, loss: torch.Tensor, **kwargs: Any) -> None:
        self.backward(self.scale_loss(loss) * self.factor)
        self.step()
        self.zero_grad()

    def get_lr(self) -> dict[str, list[float]]:
        return {**super().get_lr(), "factor": [self.factor]}


def own_optim_wrapper(case: Case) -> None:
    optimizer = {"type": "SGD", "lr": 0.02}
    section = {"type": "TwiceOptimWrapper", "factor": 1.5, "optimizer": optimizer}
    case.train(optim_wrapper=section, train_cfg=SHORT)


@MODELS.register_module()
class BareModel(nn.Module):
    """No BaseModel: brings its own steps."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def train_step(self, data: dict[str, Any], optim_wrapper: Any) -> dict[str, torch.Tensor]:
        logits = self.head(torch.stack(list(data["inputs"])))
        loss = F.cross_entropy(logits, labels_of(data["data_samples"]))
        optim_wrapper.zero_grad()
        optim_wrapper.backward(loss)
        optim_wrapper.step()
        return {"loss": loss, "norm": self.head.weight.norm()}

    def val_step(self, data: dict[str, Any]) -> list[dict[str, Any]]:
        logits = self.head(torch.stack(list(data["inputs"])))
        pairs = zip(logits, labels_of(data["data_samples"]), strict=True)
        return [{"pred_score": score, "gt_label": label} for score, label in pairs]

    test_step = val_step


def bare_model(case: Case) -> None:
    runner = case.train(model={"type": "BareModel"}, train_cfg=SHORT)
    case.note(runner.test())


@HOOKS.register_module()
class SwitchPipeline(Hook):
    """Swaps the transforms in mid run and restarts the workers, as detectors do near the end."""

    def before_train_epoch(self, runner: Any) -> None:
        if runner.epoch == 1:
            data = runner.train_loop.dataloader
            data.dataset.pipeline.transforms[1].probability = 1.0
            if data.persistent_workers:
                data._DataLoader__initialized = False
                data._iterator = None


def switched_pipeline(case: Case) -> None:
    data = {"type": "ListDataset", "size": 12, "pipeline": PIPELINE}
    case.train(train_dataloader=loader(of=data), custom_hooks=[{"type": "SwitchPipeline"}])


def switched_pipeline_of_workers(case: Case) -> None:
    data = {"type": "ListDataset", "size": 12, "pipeline": PIPELINE}
    options = {"num_workers": 1, "persistent_workers": True}
    hooks = [{"type": "SwitchPipeline"}]
    case.train(train_dataloader=loader(of=data, **options), custom_hooks=hooks)


@HOOKS.register_module()
class ChangeTheRun(Hook):
    """Registers a hook, changes the interval of validation and the rate while it runs."""

    def before_train(self, runner: Any) -> None:
        runner.register_hook({"type": "IterTracer", "tag": "late", "priority": "VERY_LOW"})

    def after_train_epoch(self, runner: Any) -> None:
        if runner.epoch == 0:
            runner.param_schedulers.pop()
        if runner.epoch == 2:
            runner.hooks[:] = [hook for hook in runner.hooks if type(hook) is not ChangeTheRun]


def changed_run(case: Case) -> None:
    rows = [{"type": "ExponentialLR", "gamma": 0.5}, {"type": "LinearLR", "by_epoch": False}]
    case.train(custom_hooks=[{"type": "ChangeTheRun"}], param_scheduler=rows)


@HOOKS.register_module()
class MakeLonger(Hook):
    def after_train_epoch(self, runner: Any) -> None:
        runner.train_loop._max_epochs = 4


def run_made_longer(case: Case) -> None:
    case.train(custom_hooks=[{"type": "MakeLonger"}], train_cfg=SHORT)


@EVALUATOR.register_module()
class CountingEvaluator(Evaluator):
    def process(self, data_samples: Any, data_batch: Any = None) -> None:
        EVENTS.append({"seen": len(data_samples), "batch": exact(type(data_batch).__name__)})
        super().process(data_samples, data_batch)

    def evaluate(self, size: int) -> dict[str, Any]:
        EVENTS.append({"size": size, "gradients": torch.is_grad_enabled()})
        return {**super().evaluate(size), "size": size}


def own_evaluator(case: Case) -> None:
    section = {"type": "CountingEvaluator", "metrics": {"type": "ToyAccuracy"}}
    case.train(val_evaluator=section, train_cfg=SHORT)


@LOG_PROCESSORS.register_module()
class ShoutingProcessor(LogProcessor):
    def get_log_after_iter(self, runner: Any, batch_idx: int, mode: str) -> Any:
        tag, text = super().get_log_after_iter(runner, batch_idx, mode)
        return {**tag, "shouted": 1.0}, f"! {text}"


def own_log_processor(case: Case) -> None:
    case.train(log_processor={"type": "ShoutingProcessor", "window_size": 4}, train_cfg=SHORT)


@RUNNERS.register_module()
class OwnRunner(Runner):
    """Overrides a step of the set-up and adds a method."""

    def build_model(self, model: Any) -> nn.Module:
        built = super().build_model(model)
        built.register_buffer("stamp", torch.ones(2))
        return built

    def train(self) -> Any:
        EVENTS.append({"own": "train"})
        return super().train()


def own_runner(case: Case) -> None:
    config = case.config(runner_type="OwnRunner", custom_hooks=tracers(), train_cfg=SHORT)
    case.keep(RUNNERS.build, config).train()


def checkpoints_by_hand(case: Case) -> None:
    runner = case.train(train_cfg=SHORT)
    runner.save_checkpoint(str(case.work_dir), "by_hand.pth", meta={"note": "mine"})
    runner.model.head.weight.data.zero_()
    runner.load_checkpoint(str(case.work_dir / "by_hand.pth"))
    case.note(runner.val())


def parts_by_hand(case: Case) -> None:
    """Builds the parts of a run by the runner's own methods."""
    runner = case.runner(train_cfg=SHORT)
    data = runner.build_dataloader(loader(size=8), seed=5)
    case.note([batch["data_samples"] for batch in data])
    wrapper = runner.build_optim_wrapper({"optimizer": {"type": "SGD", "lr": 0.1}})
    case.note(type(wrapper).__name__, wrapper.get_lr())
    case.note(type(runner.build_evaluator({"type": "ToyAccuracy"})).__name__)
    case.note(type(runner.build_log_processor({"window_size": 2})).__name__)
    runner.train()
