"""Several optimizers in one run, and training steps that drive their optimizer themselves."""

from __future__ import annotations

from typing import Any

import torch
from case import Case, loader
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapperDict, build_optim_wrapper
from mmengine.registry import MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn
from torch.nn import functional as F
from toys import ToyModel, labels_of

EPOCHS = {"by_epoch": True, "max_epochs": 3}
ADAM = {"type": "Adam", "lr": 0.01, "betas": (0.5, 0.9)}
SGD = {"type": "SGD", "lr": 0.02, "momentum": 0.8, "weight_decay": 0.01}
NO_VALIDATION: dict[str, Any] = {"val_dataloader": None, "val_cfg": None, "val_evaluator": None}


@MODELS.register_module()
class Duel(BaseModel):
    """Two networks that are trained against each other.

    Args:
        generator_every: The generator is trained at each such iteration alone.
        critic_times: How often the critic is trained in an iteration.
    """

    def __init__(self, generator_every: int = 1, critic_times: int = 1) -> None:
        super().__init__()
        self.generator_every = generator_every
        self.critic_times = critic_times
        self.generator = nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 6))
        self.critic = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        scores = self.critic(torch.stack(list(inputs)))
        if mode == "predict":
            pairs = zip(scores.expand(-1, 3), labels_of(data_samples), strict=True)
            return [{"pred_score": score, "gt_label": label} for score, label in pairs]
        return scores

    def train_step(self, data: Any, optim_wrapper: OptimWrapperDict) -> dict[str, Any]:
        real = torch.stack(list(data["inputs"]))
        told = {}
        for _ in range(self.critic_times):
            told |= self._train_critic(real, optim_wrapper["critic"])
        if MessageHub.get_current_instance().get_info("iter") % self.generator_every == 0:
            told |= self._train_generator(len(real), optim_wrapper["generator"])
        return told

    def _train_critic(self, real: torch.Tensor, wrapper: Any) -> dict[str, Any]:
        with wrapper.optim_context(self):
            fake = self.generator(torch.randn(len(real), 4)).detach()
            lost = {"loss_critic": (self.critic(fake).mean() - self.critic(real).mean()).tanh()}
            loss, told = self.parse_losses(lost)
        wrapper.update_params(loss)
        return told

    def _train_generator(self, count: int, wrapper: Any) -> dict[str, Any]:
        with wrapper.optim_context(self):
            score = self.critic(self.generator(torch.randn(count, 4))).mean()
            loss, told = self.parse_losses({"loss_generator": -score.tanh()})
        wrapper.update_params(loss)
        return told


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class ByPart(DefaultOptimWrapperConstructor):
    """A wrapper for each part that has a section, by the ways of MMEngine for one part."""

    def __init__(self, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> None:
        cfg = dict(optim_wrapper_cfg)
        self.sections = {name: cfg[name] for name in cfg if isinstance(cfg[name], dict)}

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        parts = getattr(model, "module", model)
        wrappers = {
            name: build_optim_wrapper(getattr(parts, name), section)
            for name, section in self.sections.items()
        }
        return OptimWrapperDict(**wrappers)


def _sections(generator: Any = None, critic: Any = None) -> dict[str, Any]:
    return {
        "constructor": "ByPart",
        "generator": {"optimizer": ADAM, **(generator or {})},
        "critic": {"optimizer": SGD, **(critic or {})},
    }


def _duel(case: Case, sections: dict[str, Any], model: Any = None, **changes: Any) -> Any:
    return case.train(
        model={"type": "Duel", **(model or {})},
        **{"optim_wrapper": sections, "train_cfg": EPOCHS, **NO_VALIDATION, **changes},
    )


def plain(case: Case) -> None:
    _duel(case, _sections())


def accumulating(case: Case) -> None:
    _duel(case, _sections({"accumulative_counts": 4}, {"accumulative_counts": 4}))


def accumulating_unequally(case: Case) -> None:
    _duel(case, _sections({"accumulative_counts": 3}, {"accumulative_counts": 7}))


def one_that_accumulates(case: Case) -> None:
    _duel(case, _sections(critic={"accumulative_counts": 4}))


def clipping(case: Case) -> None:
    value = {"type": "value", "clip_value": 0.05}
    _duel(case, _sections({"clip_grad": {"max_norm": 0.1}}, {"clip_grad": value}))


def accumulating_and_clipping(case: Case) -> None:
    clip = {"max_norm": 0.1}
    generator = {"clip_grad": clip, "accumulative_counts": 2}
    _duel(case, _sections(generator, {"clip_grad": clip, "accumulative_counts": 5}))


def generator_at_intervals(case: Case) -> None:
    _duel(case, _sections(), {"generator_every": 3})


def generator_at_intervals_accumulating(case: Case) -> None:
    generator = {"accumulative_counts": 2, "clip_grad": {"max_norm": 0.1}}
    _duel(case, _sections(generator, {"accumulative_counts": 3}), {"generator_every": 2})


def critic_several_times(case: Case) -> None:
    sections = _sections(critic={"accumulative_counts": 2})
    _duel(case, sections, {"critic_times": 3, "generator_every": 2})


def with_validations(case: Case) -> None:
    """The epochs, of six batches, and the validations end inside windows."""
    shown = case.config()
    evaluation = {key: shown[key] for key in NO_VALIDATION}
    _duel(case, _sections({"accumulative_counts": 4}, {"accumulative_counts": 7}), **evaluation)


def in_iterations_with_validations(case: Case) -> None:
    shown = case.config()
    evaluation = {key: shown[key] for key in NO_VALIDATION}
    _duel(
        case,
        _sections({"accumulative_counts": 3}, {"accumulative_counts": 4}),
        train_dataloader=loader(sampler={"type": "InfiniteSampler"}),
        train_cfg={"by_epoch": False, "max_iters": 14, "val_interval": 5},
        log_processor={"by_epoch": False},
        **evaluation,
    )


def parameter_groups_of_each(case: Case) -> None:
    generator = {"paramwise_cfg": {"bias_lr_mult": 2.0, "custom_keys": {"0": {"lr_mult": 0.1}}}}
    critic = {"paramwise_cfg": {"bias_decay_mult": 0.0}}
    rows = {"type": "ExponentialLR", "gamma": 0.7, "by_epoch": False}
    _duel(case, _sections(generator, critic), param_scheduler=rows)


def schedules_by_name(case: Case) -> None:
    schedules = {
        "generator": {"type": "MultiStepLR", "milestones": [1, 2], "gamma": 0.5},
        "critic": [
            {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 6},
            {"type": "CosineAnnealingLR", "begin": 1, "end": 3, "convert_to_iter_based": True},
            {"type": "LinearMomentum", "start_factor": 0.5, "by_epoch": False, "end": 10},
        ],
    }
    _duel(case, _sections(), param_scheduler=schedules)


def schedules_by_name_under_accumulation(case: Case) -> None:
    schedules = {
        "generator": [{"type": "PolyLR", "by_epoch": False, "eta_min": 1e-4}],
        "critic": [{"type": "CosineAnnealingMomentum", "T_max": 3, "eta_min": 0.2}],
    }
    sections = _sections({"accumulative_counts": 4}, {"accumulative_counts": 3})
    _duel(case, sections, {"generator_every": 2}, param_scheduler=schedules)


def one_schedule_for_all(case: Case) -> None:
    rows = [{"type": "LinearLR", "by_epoch": False, "end": 8}, {"type": "StepLR", "step_size": 2}]
    _duel(case, _sections(), param_scheduler=rows)


def resumed(case: Case) -> None:
    schedules = {
        "generator": {"type": "ExponentialLR", "gamma": 0.8},
        "critic": {"type": "LinearLR", "by_epoch": False, "end": 15},
    }
    _duel(case, _sections(), param_scheduler=schedules, train_cfg={**EPOCHS, "max_epochs": 2})
    start = str(case.work_dir / "epoch_2.pth")
    _duel(case, _sections(), param_scheduler=schedules, load_from=start, resume=True)


def resumed_from_the_other_engine(case: Case) -> None:
    """Two optimizers, which mm2pl's file holds a second time for Lightning."""
    schedules = {"generator": {"type": "ExponentialLR", "gamma": 0.8}, "critic": []}
    _duel(case, _sections(), param_scheduler=schedules)
    start = str(case.exchange("epoch_2.pth"))
    _duel(case, _sections(), param_scheduler=schedules, load_from=start, resume=True)


def scaled_rates(case: Case) -> None:
    """Of every optimizer."""
    rows = {"type": "LinearLR", "by_epoch": False, "end": 8}
    scale = {"enable": True, "base_batch_size": 16}
    _duel(case, _sections(), param_scheduler=rows, auto_scale_lr=scale)


class _OwnSteps(ToyModel):
    """Does by itself what ``update_params`` does."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Any]:
        with optim_wrapper.optim_context(self):
            data = self.data_preprocessor(data, True)
            losses = self(**data, mode="loss")
        loss, told = self.parse_losses(losses)
        self.drive(loss, optim_wrapper)
        return told

    def drive(self, loss: torch.Tensor, optim_wrapper: Any) -> None:
        raise NotImplementedError


@MODELS.register_module()
class OwnAccumulation(_OwnSteps):
    """Asks the wrapper when to step."""

    def drive(self, loss: torch.Tensor, optim_wrapper: Any) -> None:
        optim_wrapper.backward(optim_wrapper.scale_loss(loss))
        if optim_wrapper.should_update():
            optim_wrapper.step()
            optim_wrapper.zero_grad()


@MODELS.register_module()
class SharpnessAware(_OwnSteps):
    """Steps twice: up along the gradient, and down by the gradient found there."""

    def drive(self, loss: torch.Tensor, optim_wrapper: Any) -> None:
        optim_wrapper.zero_grad()
        optim_wrapper.backward(loss, retain_graph=False)
        with torch.no_grad():
            moves = [(one, 0.05 * one.grad) for one in self.parameters() if one.grad is not None]
            for one, move in moves:
                one.add_(move)
        optim_wrapper.zero_grad(set_to_none=False)
        again = self.first.weight.square().sum() * 0.01 + self.head.weight.abs().mean()
        optim_wrapper.backward(again)
        with torch.no_grad():
            for one, move in moves:
                one.sub_(move)
        optim_wrapper.step()


@MODELS.register_module()
class TwoUpdates(_OwnSteps):
    """Calls ``update_params`` twice in a step, with arguments for the optimizer."""

    def drive(self, loss: torch.Tensor, optim_wrapper: Any) -> None:
        optim_wrapper.update_params(loss, zero_kwargs={"set_to_none": False})
        small = F.mse_loss(self.head.weight, torch.zeros_like(self.head.weight))
        optim_wrapper.update_params(small, step_kwargs={"closure": None})


def _own_steps(case: Case, kind: str, **options: Any) -> Any:
    section = {"optimizer": SGD, **options}
    rows = [{"type": "LinearLR", "by_epoch": False, "end": 9, "start_factor": 0.1}]
    return case.train(
        model={"type": kind}, optim_wrapper=section, param_scheduler=rows, train_cfg=EPOCHS
    )


def own_accumulation(case: Case) -> None:
    _own_steps(case, "OwnAccumulation", accumulative_counts=4, clip_grad={"max_norm": 0.5})


def own_double_step(case: Case) -> None:
    _own_steps(case, "SharpnessAware", clip_grad={"max_norm": 0.5})


def own_two_updates(case: Case) -> None:
    _own_steps(case, "TwoUpdates")


def own_two_updates_accumulating(case: Case) -> None:
    """There are twice as many passes as the run has iterations: refused halfway."""
    try:
        _own_steps(case, "TwoUpdates", accumulative_counts=3)
    except AssertionError:
        case.note("refused")
