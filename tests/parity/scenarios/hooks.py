"""User hooks: priorities, the underscored methods, and what a hook may change."""

from __future__ import annotations

from typing import Any

import torch
from case import Case, loader
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Priority
from toys import PIPELINE
from tracing import EVENTS

SHORT = {"by_epoch": True, "max_epochs": 2}
ITERATIONS = {"type": "IterBasedTrainLoop", "max_iters": 7, "val_interval": 3}
ENDLESS = loader(sampler={"type": "InfiniteSampler"})
DEFAULTS = ("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint")
RATES: dict[str, Any] = {"type": "ExponentialLR", "gamma": 0.7, "by_epoch": False}
BUILT_IN: list[dict[str, Any]] = [
    {"type": "EMAHook", "momentum": 0.1, "begin_iter": 2},
    {"type": "EmptyCacheHook", "before_epoch": True, "after_iter": True},
    {"type": "SyncBuffersHook"},
    {"type": "ProfilerHook", "by_epoch": False, "profile_times": 2, "json_trace_path": "trace"},
    {"type": "EarlyStoppingHook", "monitor": "toy/accuracy", "patience": 2, "min_delta": 0.3},
    {"type": "NaiveVisualizationHook", "interval": 100},
]


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
    hooks = dict.fromkeys(DEFAULTS)
    sampler = loader(sampler={"type": "DefaultSampler", "shuffle": True})
    case.train(default_hooks=hooks, train_dataloader=sampler, train_cfg=SHORT)


def each_hook_alone_in_epochs(case: Case) -> None:
    schedules = [RATES, {"type": "StepLR", "step_size": 1}]
    _train_with_each_alone(case, train_cfg=SHORT, param_scheduler=schedules)


def each_hook_alone_in_iterations(case: Case) -> None:
    changes = {"train_cfg": ITERATIONS, "train_dataloader": ENDLESS, "param_scheduler": RATES}
    _train_with_each_alone(case, **changes)


def _train_with_each_alone(case: Case, **changes: Any) -> None:
    for alone in DEFAULTS:
        hooks = dict.fromkeys(name for name in DEFAULTS if name != alone)
        case.train(default_hooks=hooks, **changes)
    for row in BUILT_IN:
        case.train(default_hooks=dict.fromkeys(DEFAULTS), custom_hooks=[row], **changes).test()


def all_built_in_hooks_in_epochs(case: Case) -> None:
    checkpoint = {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 1}
    runner = case.train(
        train_cfg={"by_epoch": True, "max_epochs": 4},
        default_hooks={"logger": {"type": "LoggerHook", "interval": 2}, "checkpoint": checkpoint},
        custom_hooks=BUILT_IN,
        param_scheduler=[RATES, {"type": "StepLR", "step_size": 1}],
    )
    runner.test()
    case.note(runner.epoch)


def all_built_in_hooks_in_iterations(case: Case) -> None:
    logger = {"type": "LoggerHook", "interval": 2, "log_metric_by_epoch": False}
    checkpoint = {"type": "CheckpointHook", "interval": 2, "by_epoch": False}
    runner = case.train(
        train_cfg={**ITERATIONS, "max_iters": 13},
        train_dataloader=ENDLESS,
        default_hooks={"logger": logger, "checkpoint": checkpoint},
        custom_hooks=BUILT_IN,
        param_scheduler=RATES,
        log_processor={"by_epoch": False},
    )
    runner.test()
    case.note(runner.iter)


class Plain(Hook):
    def __init__(self, tag: str) -> None:
        self.tag = tag

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        EVENTS.append({"plain": self.tag, "iter": runner.iter})


class Silent(Plain):
    """Says nothing of its points; the runner asks the hook itself."""

    def get_triggered_stages(self) -> list[str]:
        return []


class Growing(Hook):
    """Gets methods, and loses them, while it runs."""

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        EVENTS.append({"growing": runner.iter})
        if runner.iter == 2:
            self.after_train_iter = self._note  # type: ignore[method-assign]
        if runner.iter == 3:
            self.before_train_iter = self._note  # type: ignore[method-assign]

    def _note(self, runner: Any, **given: Any) -> None:
        EVENTS.append({"noted": runner.iter, "given": sorted(given)})


class NoHook:
    """Has points, but not the base class."""

    priority = "NORMAL"

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        EVENTS.append({"no hook": sorted(checkpoint)[0]})


def hooks_of_odd_forms(case: Case) -> None:
    shared, twice = Hook(), Plain("twice")
    shared._before_iter = lambda runner, batch_idx, data_batch, mode: EVENTS.append(  # type: ignore[method-assign]
        {"shared": mode, "batch": batch_idx}
    )
    runner = case.runner(train_cfg=SHORT)
    for hook in (Silent("silent"), shared, Growing(), twice, twice):
        runner.register_hook(hook)
    runner._hooks.append(NoHook())
    runner.train()


class ChangeTheList(Hook):
    """Adds, takes away, exchanges and turns round hooks, itself too."""

    priority = "LOW"

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        hooks = runner.hooks
        EVENTS.append({"change at": runner.iter})
        if runner.iter == 2 and len(hooks) < 13:  # in front: MMEngine calls this one once more
            runner.register_hook(Plain("high"), priority="HIGH")
        if runner.iter == 3:
            runner.register_hook(Plain("low"), priority="LOWEST")
        if runner.iter == 5:
            hooks[[type(hook) is Plain for hook in hooks].index(True)] = Plain("other")
        if runner.iter == 7:
            hooks.reverse()
        if runner.iter == 9:
            hooks.remove(self)


def a_list_of_hooks_that_changes(case: Case) -> None:
    runner = case.runner(train_cfg=SHORT)
    for hook in (Plain("first"), ChangeTheList()):
        runner.register_hook(hook)
    runner.train()


class RunLoops(Hook):
    """Validates and tests in the middle of things."""

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter == 2:
            EVENTS.append({"validated": runner.val_loop.run()})

    def after_train_epoch(self, runner: Any) -> None:
        if runner.epoch == 0:
            EVENTS.append({"tested": runner.test_loop.run(), "train": runner.model.training})

    def after_train(self, runner: Any) -> None:
        EVENTS.append({"validated": runner.val(), "tested": runner.test()})


def loops_run_by_a_hook(case: Case) -> None:
    runner = case.runner(train_cfg=SHORT, custom_hooks=BUILT_IN[:1])
    runner.register_hook(RunLoops())
    runner.train()


class SwapLoader(Hook):
    """Gives the loop another loader: before, in and after an epoch, and after a validation."""

    def _swap(self, runner: Any, size: int) -> None:
        data = {"type": "ToyDataset", "size": size}
        section = {**loader(of=data), "batch_size": 3}
        runner.train_loop.dataloader = runner.build_dataloader(section, seed=runner.seed)
        EVENTS.append({"swapped": size, "max_iters": runner.max_iters})

    def before_train_epoch(self, runner: Any) -> None:
        if runner.epoch == 1:
            self._swap(runner, 15)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.epoch == 2 and batch_idx == 1:
            self._swap(runner, 9)

    def after_train_epoch(self, runner: Any) -> None:
        if runner.epoch == 3:
            self._swap(runner, 12)

    def after_val(self, runner: Any) -> None:
        if runner.epoch == 5:
            self._swap(runner, 18)


def swapped_loaders_of_epochs(case: Case) -> None:
    runner = case.runner(train_cfg={"by_epoch": True, "max_epochs": 6}, param_scheduler=RATES)
    runner.register_hook(SwapLoader())
    runner.train()
    case.note(runner.iter, runner.max_iters, len(runner.train_dataloader))


@HOOKS.register_module()
class SwitchRecipe(Hook):
    """Changes pipeline, loss and preprocessor at an epoch, and at once when resuming after it."""

    def before_train(self, runner: Any) -> None:
        if runner._resume and runner.epoch > 1:
            self._switch(runner)

    def before_train_epoch(self, runner: Any) -> None:
        if runner.epoch == 1:
            self._switch(runner)

    def _switch(self, runner: Any) -> None:
        runner.logger.info("Switch.")
        data = runner.train_loop.dataloader
        data.dataset.pipeline.transforms[1].probability = 1.0
        data._iterator = None  # restarts persistent workers
        runner.model.losses = lambda logits, labels: {
            "loss": torch.nn.functional.cross_entropy(logits, labels) * 0.5
        }


def switched_recipe(case: Case) -> None:
    data = {"type": "ListDataset", "size": 12, "pipeline": PIPELINE}
    changes: dict[str, Any] = {
        "train_dataloader": loader(of=data, num_workers=1, persistent_workers=True),
        "custom_hooks": [{"type": "SwitchRecipe", "priority": "HIGH"}],
    }
    case.train(**changes)
    case.train(**changes, resume=True, load_from=str(case.work_dir / "epoch_2.pth"))
