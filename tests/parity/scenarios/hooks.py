"""User hooks: priorities, the underscored methods, and what a hook may change."""

from __future__ import annotations

from typing import Any

from case import Case, loader
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Priority
from tracing import EVENTS

SHORT = {"by_epoch": True, "max_epochs": 2}


@HOOKS.register_module()
class ChangeOutputs(Hook):
    """Adds to the outputs and the log, and draws from the RNG."""

    priority = "ABOVE_NORMAL"

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        outputs["double"] = outputs["loss"] * 2
        runner.message_hub.update_scalar("train/mine", float(batch_idx))
        runner.message_hub.update_scalar("val/seen", runner.iter)
        runner.message_hub.update_info("mine", {"at": runner.iter})


@HOOKS.register_module()
class ChangeBatch(Hook):
    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        data_batch["inputs"][0].mul_(0.5)

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        data_batch["inputs"] = [item * 2 for item in data_batch["inputs"]]


@HOOKS.register_module()
class FreezeAndLog(Hook):
    """Does what a user's hook does: freezes a layer, changes a rate, writes to the log."""

    def before_train_epoch(self, runner: Any) -> None:
        runner.logger.info(f"epoch {runner.epoch} of {runner.max_epochs} begins")
        if runner.epoch == 1:
            runner.model.first.requires_grad_(False)
            for group in runner.optim_wrapper.optimizer.param_groups:
                group["lr"] *= 0.1

    def after_train_epoch(self, runner: Any) -> None:
        if self.every_n_epochs(runner, 2):
            runner.logger.info(f"last epoch: {self.is_last_train_epoch(runner)}")

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if self.every_n_train_iters(runner, 3) or self.is_last_train_iter(runner):
            runner.logger.info(f"inner {batch_idx}: {self.every_n_inner_iters(batch_idx, 2)}")
        if self.end_of_epoch(runner.train_dataloader, batch_idx):
            EVENTS.append({"hub": runner.message_hub.get_scalar("train/loss").current().hex()})


@HOOKS.register_module()
class SaveSometimes(Hook):
    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter == 4:
            runner.save_checkpoint(runner.work_dir, "mine.pth", meta={"mine": 1}, by_epoch=False)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        checkpoint["meta"]["seen"] = True


@HOOKS.register_module()
class StageReader(Hook):
    """Reads what the message hub knows at each point."""

    def _read(self, runner: Any) -> None:
        info = runner.message_hub.runtime_info
        keys = ("loop_stage", "epoch", "iter", "max_epochs", "max_iters")
        EVENTS.append({"hub": {key: info.get(key) for key in keys}})

    before_train = before_train_epoch = after_train_epoch = after_train = _read  # type: ignore[assignment]
    before_val = before_val_epoch = after_val = after_run = _read  # type: ignore[assignment]


def priorities_by_name_and_number(case: Case) -> None:
    named = ["HIGHEST", "VERY_HIGH", "HIGH", "ABOVE_NORMAL", "NORMAL", "BELOW_NORMAL", "LOW"]
    rows = [{"type": "IterTracer", "tag": name, "priority": name} for name in named]
    rows += [{"type": "IterTracer", "tag": f"{n}", "priority": n} for n in (100, 45, 0, 50, 90)]
    case.train(custom_hooks=rows, train_cfg=SHORT)


def equal_priorities(case: Case) -> None:
    """Hooks of equal priority run in the order in which they were registered."""
    tags = ["b", "a", "c"]
    rows = [{"type": "IterTracer", "tag": tag, "priority": "LOW"} for tag in tags]
    rows += [{"type": "IterTracer", "tag": f"{tag}50", "priority": 50} for tag in tags]
    case.train(custom_hooks=rows, train_cfg=SHORT)


def priority_of_class_and_default_hook(case: Case) -> None:
    hooks = {
        "logger": {"type": "LoggerHook", "interval": 2, "priority": "VERY_LOW"},
        "mine": {"type": "ChangeOutputs"},
        "timer": None,
    }
    case.train(default_hooks=hooks, train_cfg=SHORT)


def registered_afterwards(case: Case) -> None:
    runner = case.runner(train_cfg=SHORT)
    runner.register_hook({"type": "IterTracer", "tag": "late", "priority": "HIGH"})
    runner.register_hook(
        HOOKS.build({"type": "IterTracer", "tag": "object"}), priority=Priority.LOW
    )
    case.note([type(hook).__name__ for hook in runner.hooks])
    case.note(runner.get_hooks_info())
    runner.train()


def underscored_methods(case: Case) -> None:
    runner = case.train(custom_hooks=[{"type": "IterTracer", "tag": "mine"}], train_cfg=SHORT)
    runner.test()


def changed_outputs(case: Case) -> None:
    case.train(custom_hooks=[{"type": "ChangeOutputs"}], train_cfg=SHORT)


def changed_batches(case: Case) -> None:
    case.train(custom_hooks=[{"type": "ChangeBatch", "priority": "HIGHEST"}], train_cfg=SHORT)


def frozen_layer_and_log_lines(case: Case) -> None:
    case.train(custom_hooks=[{"type": "FreezeAndLog"}], train_cfg=SHORT)


def own_checkpoint(case: Case) -> None:
    case.train(custom_hooks=[{"type": "SaveSometimes"}], train_cfg=SHORT)


def message_hub_at_each_point(case: Case) -> None:
    rows = [{"type": "StageReader", "priority": priority} for priority in ("HIGHEST", "LOWEST")]
    case.train(custom_hooks=rows, train_cfg=SHORT)


def call_of_an_own_point(case: Case) -> None:
    """``call_hook`` calls any method that a hook has."""

    class OwnPoint(Hook):
        def my_point(self, runner: Any, value: int) -> None:
            EVENTS.append({"own": value})

    runner = case.runner(train_cfg=SHORT)
    runner.register_hook(OwnPoint())
    runner.call_hook("my_point", value=3)
    runner.train()


def no_default_hooks(case: Case) -> None:
    names = ("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint")
    hooks = dict.fromkeys(names)
    sampler = loader(sampler={"type": "DefaultSampler", "shuffle": True})
    case.train(default_hooks=hooks, train_dataloader=sampler, train_cfg=SHORT)
