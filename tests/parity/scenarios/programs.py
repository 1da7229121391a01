"""What programs do beyond configs: own optimisation, errors, the global logger and message hub."""

from __future__ import annotations

from typing import Any

import torch
from case import Case, eval_loader, loader
from mmengine.hooks import Hook
from mmengine.logging import MessageHub, MMLogger, print_log
from mmengine.model import BaseModel
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapperDict, build_optim_wrapper
from mmengine.registry import HOOKS, MODELS, OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn
from toys import ToyModel

SHORT = {"by_epoch": True, "max_epochs": 2}


@MODELS.register_module()
class TalkingModel(ToyModel):
    """Talks to the current logger and message hub, and counts by the hub's iteration."""

    def losses(self, logits: Any, labels: Any) -> dict[str, Any]:
        hub = MessageHub.get_current_instance()
        hub.update_scalar("train/logit", logits.mean())
        if hub.get_info("iter") % 4 == 0:
            print_log(f"loss at {hub.get_info('iter')}", logger="current")
            MMLogger.get_current_instance().info(hub.get_info("loop_stage"))
        return super().losses(logits, labels)


@MODELS.register_module()
class TwoPlayers(BaseModel):
    """Two networks with an optimizer each, stepped in turns."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Linear(4, 6)
        self.critic = nn.Sequential(nn.Linear(6, 8), nn.Dropout(0.1), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        return self.critic(inputs)

    def train_step(self, data: Any, optim_wrapper: OptimWrapperDict) -> dict[str, Any]:
        real = torch.stack(list(data["inputs"]))
        noise = torch.randn(len(real), 4)
        critic, generator = optim_wrapper["critic"], optim_wrapper["generator"]
        with critic.optim_context(self):
            fake = self.generator(noise).detach()
            critic_loss, log_critic = self.parse_losses(
                {"loss_critic": self.critic(fake).mean() - self.critic(real).mean()}
            )
        critic.update_params(critic_loss)
        with generator.optim_context(self):
            score = self.critic(self.generator(noise))
            generator_loss, log_generator = self.parse_losses({"loss_generator": -score.mean()})
        generator.update_params(generator_loss)
        return {**log_critic, **log_generator}


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class PlayersConstructor(DefaultOptimWrapperConstructor):
    def __init__(self, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> None:
        self.sections = {k: v for k, v in optim_wrapper_cfg.items() if isinstance(v, dict)}

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        parts = {
            name: build_optim_wrapper(getattr(model, name), section)
            for name, section in self.sections.items()
        }
        return OptimWrapperDict(**parts)


@HOOKS.register_module()
class FailAt(Hook):
    def __init__(self, iteration: int, point: str = "train") -> None:
        self.iteration = iteration
        self.point = point

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if self.point == "train" and runner.iter == self.iteration:
            raise ArithmeticError(f"at {runner.iter}")

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if self.point == "val":
            raise ArithmeticError(f"at {batch_idx}")


def model_that_talks(case: Case) -> None:
    case.train(model={"type": "TalkingModel"}, train_cfg=SHORT)


def _players(**common: Any) -> dict[str, Any]:
    adam = {"type": "Adam", "lr": 0.01, "betas": (0.5, 0.9)}
    section = {"optimizer": adam, **common}
    return {"constructor": "PlayersConstructor", "generator": section, "critic": section}


_NO_VALIDATION: dict[str, Any] = {
    "val_dataloader": None,
    "val_cfg": None,
    "val_evaluator": None,
    "model": {"type": "TwoPlayers"},
}


def two_optimizers(case: Case) -> None:
    case.train(optim_wrapper=_players(), train_cfg=SHORT, **_NO_VALIDATION)


def two_optimizers_with_schedules(case: Case) -> None:
    case.train(
        optim_wrapper=_players(clip_grad={"max_norm": 1.0}),
        param_scheduler={
            "generator": [{"type": "MultiStepLR", "milestones": [1]}],
            "critic": {"type": "LinearLR", "by_epoch": False, "end": 6},
        },
        train_dataloader=loader(sampler={"type": "InfiniteSampler"}),
        train_cfg={"by_epoch": False, "max_iters": 9},
        **_NO_VALIDATION,
    )


def error_of_a_hook_in_training(case: Case) -> None:
    try:
        case.train(custom_hooks=[{"type": "FailAt", "iteration": 8}])
    except ArithmeticError as error:
        case.note(type(error).__name__, str(error))


def error_of_a_hook_in_validation(case: Case) -> None:
    try:
        case.train(custom_hooks=[{"type": "FailAt", "iteration": 0, "point": "val"}])
    except ArithmeticError as error:
        case.note(type(error).__name__, str(error))


def training_again_after_an_error(case: Case) -> None:
    hook = {"type": "FailAt", "iteration": 8}
    try:
        case.train(custom_hooks=[hook])
    except ArithmeticError:
        case.note("failed")
    case.train(resume=True)


def early_stopping(case: Case) -> None:
    hook = {"type": "EarlyStoppingHook", "monitor": "toy/accuracy", "patience": 1, "rule": "less"}
    case.train(custom_hooks=[hook], train_cfg={"by_epoch": True, "max_epochs": 8})


def early_stopping_of_iterations(case: Case) -> None:
    hook = {"type": "EarlyStoppingHook", "monitor": "toy/accuracy", "patience": 1, "rule": "less"}
    case.train(
        custom_hooks=[hook],
        train_dataloader=loader(sampler={"type": "InfiniteSampler"}),
        train_cfg={"type": "IterBasedTrainLoop", "max_iters": 20, "val_interval": 3},
    )


def steps_without_a_runner(case: Case) -> None:
    """A model and an OptimWrapper in a loop of one's own."""
    torch.manual_seed(3)
    model = ToyModel()
    section = {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 2}
    wrapper = build_optim_wrapper(model, section)
    from mmengine.runner import Runner

    wrapper.initialize_count_status(model, 0, 5)
    for data in Runner.build_dataloader(loader(size=20), seed=1):
        case.note(model.train_step(data, wrapper))
    model.eval()
    for data in Runner.build_dataloader(eval_loader()):
        case.note(model.val_step(data)[0].pred_score)
    case.note(dict(model.state_dict()))
