"""Metrics, validation and test: after training, alone, and with a checkpoint."""

from __future__ import annotations

from typing import Any

import torch
from case import Case, eval_loader
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS
from toys import ValLossModel

SHORT = {"by_epoch": True, "max_epochs": 2}
TWO = [{"type": "ToyAccuracy"}, {"type": "ScoreMetric"}]
NO_TRAINING: dict[str, Any] = {"train_dataloader": None, "train_cfg": None, "optim_wrapper": None}
BEST = {"checkpoint": {"type": "CheckpointHook", "save_best": "toy/accuracy"}}


def two_metrics(case: Case) -> None:
    case.train(val_evaluator=TWO, train_cfg=SHORT)


def prefix(case: Case) -> None:
    metrics = [{"type": "ToyAccuracy", "prefix": "mine"}, {"type": "ToyAccuracy"}]
    case.train(val_evaluator=metrics, train_cfg=SHORT)


def evaluator_section_with_metrics(case: Case) -> None:
    case.train(val_evaluator={"type": "Evaluator", "metrics": TWO}, train_cfg=SHORT)


def same_name_twice(case: Case) -> None:
    try:
        case.train(val_evaluator=[{"type": "ToyAccuracy"}] * 2, train_cfg=SHORT)
    except ValueError:
        case.note("ValueError")


def test_after_train(case: Case) -> None:
    runner = case.train(test_evaluator=TWO, train_cfg=SHORT)
    case.note(runner.test())


def val_and_test_after_train(case: Case) -> None:
    runner = case.train(train_cfg=SHORT)
    case.note(runner.val())
    case.note(runner.test())


def val_alone(case: Case) -> None:
    case.note(case.runner(val_evaluator=TWO, **NO_TRAINING).val())


def val_alone_with_save_best(case: Case) -> None:
    """MMEngine's CheckpointHook has no metric to compare with, and crashes."""
    case.note(case.runner(default_hooks={**BEST, **_LOG}, **NO_TRAINING).val())


def val_alone_like_it(case: Case) -> None:
    case.note(case.runner(**NO_TRAINING).val())


_LOG = {"logger": {"type": "LoggerHook", "interval": 2}}


def val_alone_with_a_train_section(case: Case) -> None:
    case.note(case.runner(param_scheduler={"type": "StepLR", "step_size": 1}).val())


@HOOKS.register_module()
class AskForEpoch(Hook):
    """Asking a runner that only validates for its epoch builds the train loop."""

    def before_val_epoch(self, runner: Any) -> None:
        assert (runner.epoch, runner.iter, runner.max_epochs) == (0, 0, 3)


def val_alone_with_a_hook_that_asks_for_the_epoch(case: Case) -> None:
    case.note(case.runner(custom_hooks=[{"type": "AskForEpoch"}]).val())


def test_alone(case: Case) -> None:
    case.note(case.runner(test_evaluator=TWO, **NO_TRAINING).test())


def test_then_val(case: Case) -> None:
    runner = case.runner(**NO_TRAINING)
    case.note(runner.test(), runner.val())


def test_alone_with_load_from(case: Case) -> None:
    case.train(train_cfg=SHORT)
    runner = case.runner(load_from=str(case.work_dir / "epoch_1.pth"), **NO_TRAINING)
    case.note(runner.test())


def val_alone_with_weights_only(case: Case) -> None:
    """A file that holds nothing but a state_dict, with one key missing and one too many."""
    runner = case.train(train_cfg=SHORT)
    state = {f"module.{key}": value for key, value in runner.model.state_dict().items()}
    state["module.extra"] = state.pop("module.head.bias")
    torch.save(state, case.work_dir / "weights.pt")
    case.note(case.runner(load_from=str(case.work_dir / "weights.pt"), **NO_TRAINING).val())


def train_with_load_from(case: Case) -> None:
    case.train(train_cfg=SHORT)
    case.train(load_from=str(case.work_dir / "epoch_2.pth"), train_cfg=SHORT)


def losses_among_predictions(case: Case) -> None:
    runner = case.train(model={"type": "ValLossModel"}, train_cfg=SHORT)
    case.note(runner.test())


@MODELS.register_module()
class LossAndMore(ValLossModel):
    """The last element carries something beside its losses, which makes it a prediction."""

    def predict(self, logits: Any, labels: Any) -> Any:
        *predictions, last = super().predict(logits, labels)
        predictions[-1].loss = last.loss
        return predictions


def losses_in_a_prediction(case: Case) -> None:
    runner = case.train(model={"type": "LossAndMore"}, train_cfg=SHORT)
    case.note(runner.test())


def save_best(case: Case) -> None:
    case.train(default_hooks=BEST, val_evaluator=TWO)


def save_best_of_several(case: Case) -> None:
    best = {"save_best": ["toy/accuracy", "spread"], "rule": ["greater", "less"]}
    hook = {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 1, **best}
    case.train(default_hooks={"checkpoint": hook}, val_evaluator=TWO)


def other_val_batches(case: Case) -> None:
    case.train(val_dataloader=eval_loader(size=3, batch_size=7), train_cfg=SHORT)
