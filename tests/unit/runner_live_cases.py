"""Programs whose hooks and loops change a run while it runs; prints what each gives, as JSON.

Run as ``python runner_live_cases.py ours|mmengine FOLDER``, like runner_cases, whose parts it uses.
"""

# ruff: noqa: E402  (mmengine is there only once runner_cases lets mm2pl serve it)

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import runner_cases
from runner_cases import (
    CASES,
    ONE_EPOCH,
    At,
    Recorder,
    case,
    digest,
    errors,
    loader,
    trained,
)

CASES.clear()
assert sys.argv[1] in ("ours", "mmengine")

import torch
from mmengine.config import ConfigDict
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.optim import MultiStepLR, OptimWrapper
from mmengine.runner.loops import _InfiniteDataloaderIterator
from toys import ToyModel


def made(work_dir: str, *hooks: Hook, **changes: Any) -> Any:
    """Make a runner without checkpoints, which take MMEngine half of the time."""
    return runner_cases.made(work_dir, *hooks, **{"default_hooks": NO_CHECKPOINTS, **changes})


NO_CHECKPOINTS = {"checkpoint": None}
ITERATIONS = {**runner_cases.ITERATIONS, "default_hooks": NO_CHECKPOINTS}
SAVED = {"default_hooks": {"checkpoint": {"type": "CheckpointHook"}}}
SAVED_ITERATIONS = runner_cases.ITERATIONS


class Trace(Recorder):
    """Notes losses, rates and metrics too, to the last bit."""

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        losses = {key: float(value).hex() for key, value in (outputs or {}).items()}
        self.points.append(
            f"step {batch_idx} {runner.iter} {losses} {runner.optim_wrapper.get_lr()}"
        )

    def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
        self.points.append(f"validated {runner.iter} {metrics}")

    def after_test_epoch(self, runner: Any, metrics: Any = None) -> None:
        self.points.append(f"tested {runner.iter} {metrics}")


def traced(folder: str, *hooks: Hook, **changes: Any) -> Any:
    """Train with the hooks; return the trace, the weights and the counters."""
    trace = Trace()
    runner = made(folder, *hooks, trace, **changes)
    weights = trained(runner)
    ends = [runner.epoch, runner.iter, runner.max_epochs, runner.max_iters]
    return trace.points, weights, ends


def both(folder: str, *hooks: Any, **changes: Any) -> Any:
    """Do it in an epoch-based and in an iteration-based run; hooks are made by each callable."""
    return [
        traced(f"{folder}/epochs", *(make() for make in hooks), **changes),
        traced(f"{folder}/iterations", *(make() for make in hooks), **{**ITERATIONS, **changes}),
    ]


def at_iter(count: int) -> Any:
    return lambda runner: runner.iter == count


def at_epoch(count: int) -> Any:
    return lambda runner: runner.epoch == count


# --------------------------------------------------------------------------- attributes

# All that MMEngine's Runner has, or that its code, hooks or libraries read from it.
ATTRIBUTES = """
_deterministic _distributed _experiment_name _has_loaded _launcher _load_from _model_name _rank
_randomness_cfg _resume _seed _test_dataloader _test_evaluator _test_loop _timestamp
_train_dataloader _train_loop _val_dataloader _val_evaluator _val_loop _work_dir _world_size
_log_dir _hooks auto_scale_lr cfg default_scope deterministic distributed epoch experiment_name
hooks iter launcher log_dir log_processor logger max_epochs max_iters message_hub model model_name
optim_wrapper param_schedulers rank seed test_dataloader test_evaluator test_loop timestamp
train_dataloader train_loop val_begin val_dataloader val_evaluator val_interval val_loop visualizer
work_dir world_size
"""


def shown(value: Any, folder: str) -> Any:
    if isinstance(value, str):
        return re.sub(r"\d{8}_\d{6}", "TIME", value.replace(folder, "FOLDER"))
    if isinstance(value, dict) and type(value) in (dict, ConfigDict):
        return {key: shown(one, folder) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(one, folder) for one in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return type(value).__name__


def snapshot(runner: Any, folder: str) -> dict[str, Any]:
    found = {}
    for name in ATTRIBUTES.split():
        try:
            value = getattr(runner, name)
            built = name.endswith("_loop") and not isinstance(value, Mapping)
            # mm2pl fills in the type of a loop before it is built, MMEngine while it is.
            found[name] = shown(value, folder) if built or name[-5:] != "_loop" else "a dict"
        except AttributeError as error:
            found[name] = f"AttributeError: {str(error)[:30]}"
    return found


class Snapshots(Hook):
    """Takes one at every point, the first and last time."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.taken: dict[str, Any] = {}
        for point in Hook.stages:
            setattr(self, point, partial(self.take, point))

    def take(self, point: str, runner: Any, **_: Any) -> None:
        found = snapshot(runner, self.folder)
        self.taken.setdefault(f"first {point}", found)
        self.taken[f"last {point}"] = found


@case
def every_attribute_at_every_point(folder: str) -> Any:
    results = []
    for name, changes in (("epochs", {}), ("iterations", ITERATIONS)):
        hook = Snapshots(folder)
        runner = made(f"{folder}/{name}", hook, auto_scale_lr={"base_batch_size": 4}, **changes)
        runner.train()
        hook.take("after training", runner)
        runner.val()
        runner.test()
        hook.take("after all", runner)
        results.append(hook.taken)
    return results


@case
def every_attribute_of_a_runner_that_only_tests(folder: str) -> Any:
    none = {f"{name}_{key}": None for name in ("train", "val") for key in ("dataloader", "cfg")}
    none |= {"optim_wrapper": None, "param_scheduler": None, "val_evaluator": None}
    hook = Snapshots(folder)
    runner = made(folder, hook, **none)
    runner.test()
    return hook.taken


@case
def attributes_that_may_be_assigned(folder: str) -> Any:
    runner = made(folder, train_cfg=ONE_EPOCH)
    results: dict[str, Any] = {}
    for name in ATTRIBUTES.split():
        before = vars(runner).get(name)
        results[name] = errors(
            lambda name=name: setattr(runner, name, None), kinds=(AttributeError,)
        )
        if name in vars(runner):
            setattr(runner, name, before)
    return {name: value for name, value in results.items() if name != "model"}


@case
def the_set_up_done_again_by_hand(folder: str) -> Any:
    runner = made(folder)
    runner.setup_env({"cudnn_benchmark": False, "mp_cfg": {"opencv_num_threads": 1}})
    runner.set_randomness(5, deterministic=False)
    runner._log_env({"cudnn_benchmark": False})
    schedulers: tuple[Any, ...] = (
        None,
        {"type": "LinearLR"},
        [{"type": "LinearLR"}],
        {"a": {"type": "LinearLR"}, "b": [{"type": "LinearLR"}]},
        [],
        [{"milestones": [1]}],
        {"a": 3},
        3,
        "LinearLR",
    )
    kinds = (AssertionError, TypeError)
    checks = [lambda one=one: runner._check_scheduler_cfg(one) for one in schedulers]
    return runner.seed, runner.rank, runner.world_size, errors(*checks, kinds=kinds)


# --------------------------------------------------------------------------- the end of a run


def set_end(value: int, name: str) -> Any:
    return lambda runner: setattr(runner.train_loop, name, value)


@case
def max_iters_raised_or_lowered_in_mid_run(folder: str) -> Any:
    results = []
    for number, (point, value) in enumerate(
        [
            ("after_train_iter", 11),
            ("after_train_iter", 6),
            ("before_train_iter", 5),
            ("after_train_iter", 2),
            ("after_val", 10),
            ("before_val", 4),
            ("before_train_epoch", 5),
        ]
    ):
        hook = At(point, set_end(value, "_max_iters"), lambda one: one.iter in (0, 4))
        results.append(traced(f"{folder}/{number}", hook, **ITERATIONS))
    return results


@case
def max_iters_raised_at_the_very_last_iteration(folder: str) -> Any:
    return [
        traced(
            f"{folder}/{point}", At(point, set_end(10, "_max_iters"), at_iter(when)), **ITERATIONS
        )
        for point, when in [("after_train_iter", 7), ("after_val", 8), ("before_val", 8)]
    ]


@case
def max_epochs_raised_or_lowered_in_mid_run(folder: str) -> Any:
    results = []
    for number, (point, value, epoch) in enumerate(
        [
            ("after_train_iter", 4, 1),
            ("after_val", 4, 3),
            ("before_val_iter", 1, 1),
            ("before_train_epoch", 1, 0),
            ("after_train_epoch", 2, 1),
        ]
    ):
        hook = At(point, set_end(value, "_max_epochs"), at_epoch(epoch))
        results.append(traced(f"{folder}/{number}", hook))
    return results


@case
def counters_set_in_mid_run(folder: str) -> Any:
    def jump(runner: Any) -> None:
        if runner.train_loop._iter != 7:
            runner.train_loop._iter, runner.train_loop._epoch = 7, 1

    return [
        traced(f"{folder}/a", At("after_val", jump, lambda one: one.iter == 12)),
        traced(f"{folder}/b", At("after_train_iter", jump, at_iter(2)), **ITERATIONS),
    ]


@case
def stopped_by_a_hook(folder: str) -> Any:
    stop = lambda runner: setattr(runner.train_loop, "stop_training", True)  # noqa: E731
    return both(f"{folder}/a", lambda: At("after_train_iter", stop, at_iter(7))), both(
        f"{folder}/b", lambda: At("after_val_epoch", stop, lambda one: one.iter >= 4)
    )


@case
def intervals_of_validation_changed(folder: str) -> Any:
    def change(runner: Any) -> None:
        runner.train_loop.dynamic_intervals[:] = [3]
        runner.train_loop.val_begin = 3

    return both(folder, lambda: At("before_train", change))


# --------------------------------------------------------------------------- data


@case
def the_iterator_of_an_iteration_loop_swapped(folder: str) -> Any:
    def swap(runner: Any) -> None:
        loop = runner.train_loop
        loop.dataloader = runner.build_dataloader(loader(12), seed=3)
        loop.dataloader_iterator = _InfiniteDataloaderIterator(loop.dataloader)

    return traced(folder, At("before_train_iter", swap, at_iter(3)), **ITERATIONS)


@case
def the_loader_of_an_epoch_loop_swapped_within_an_epoch(folder: str) -> Any:
    def swap(runner: Any) -> None:
        runner.train_loop.dataloader = runner.build_dataloader(loader(12), seed=3)

    return traced(folder, At("after_train_iter", swap, at_iter(2)))


@case
def the_dataset_of_a_loader_changed_while_its_workers_live(folder: str) -> Any:
    def change(runner: Any) -> None:
        data = runner.train_dataloader
        data.dataset.form = "tuple"
        data._DataLoader__initialized = False
        data._iterator = None
        data._DataLoader__initialized = True

    data = loader(num_workers=1, persistent_workers=True)
    return traced(folder, At("before_train_epoch", change, at_epoch(1)), train_dataloader=data)


# --------------------------------------------------------------------------- parts replaced


@case
def the_training_loop_replaced_before_the_run(folder: str) -> Any:
    def rebuild(runner: Any) -> None:
        runner._train_loop = runner.build_train_loop({"by_epoch": True, "max_epochs": 2})

    before = made(f"{folder}/a", Trace())
    rebuild(before)
    return [
        (trained(before), before.hooks[-1].points),
        traced(f"{folder}/b", At("before_run", rebuild)),
    ]


@case
def the_training_loop_replaced_in_mid_run_ends_as_it_began(folder: str) -> Any:
    def rebuild(runner: Any) -> None:
        runner._train_loop = runner.build_train_loop({"by_epoch": True, "max_epochs": 5})

    return traced(folder, At("after_train_iter", rebuild, at_iter(7)))


@case
def the_validation_loop_replaced_taken_away_or_brought(folder: str) -> Any:
    def other(runner: Any) -> None:
        runner._val_dataloader = loader(5, False)
        runner._val_loop = runner.build_val_loop({"type": "ValLoop", "fp16": False})

    def no_loop(runner: Any) -> None:
        runner._val_loop = None

    kept: list[Any] = []

    def take(runner: Any) -> None:
        kept.append(runner.val_loop)
        runner._val_loop = None

    def bring(runner: Any) -> None:
        runner._val_loop = kept.pop()

    return [
        both(f"{folder}/a", lambda: At("after_train_iter", other, at_iter(3))),
        both(f"{folder}/b", lambda: At("after_val", no_loop)),
        both(
            f"{folder}/c",
            lambda: At("before_train", take),
            lambda: At("before_train_iter", bring, at_iter(3)),
        ),
    ]


@case
def evaluators_replaced(folder: str) -> Any:
    def replace(runner: Any) -> None:
        meta = runner.val_evaluator.dataset_meta
        runner.val_loop.evaluator = runner.build_evaluator(
            [{"type": "MeanScore", "prefix": "a"}, {"type": "MeanScore", "prefix": "b"}]
        )
        runner.val_evaluator.dataset_meta = meta
        runner.test_loop.evaluator = Evaluator({"type": "MeanScore", "prefix": "c"})

    trace = Trace()
    runner = made(folder, At("before_val", replace, at_epoch(2)), trace)
    return trained(runner), runner.test(), trace.points


@case
def the_model_replaced_in_mid_run(folder: str) -> Any:
    def replace(runner: Any) -> None:
        torch.manual_seed(3)
        runner.model = ToyModel()
        runner.optim_wrapper.param_groups[0]["params"][:] = list(runner.model.parameters())

    return both(folder, lambda: At("before_train_iter", replace, at_iter(3)))


@case
def the_optimizer_changed_or_replaced_in_mid_run(folder: str) -> Any:
    def tune(runner: Any) -> None:
        runner.optim_wrapper.param_groups[0]["betas"] = (0.5, 0.6)
        runner.optim_wrapper.clip_grad_kwargs["max_norm"] = 0.01

    def other_optimizer(runner: Any) -> None:
        runner.optim_wrapper.optimizer = torch.optim.SGD(runner.model.parameters(), lr=0.5)

    def other_wrapper(runner: Any) -> None:
        runner.optim_wrapper = OptimWrapper(torch.optim.SGD(runner.model.parameters(), lr=0.5))

    def built_anew(runner: Any) -> None:
        runner.optim_wrapper = runner.build_optim_wrapper(
            {"optimizer": {"type": "SGD", "lr": 0.1}, "accumulative_counts": 2}
        )
        runner.optim_wrapper.initialize_count_status(runner.model, runner.iter, runner.max_iters)

    clipping = {"optimizer": {"type": "Adam", "lr": 0.01}, "clip_grad": {"max_norm": 1.0}}
    return [
        both(
            f"{folder}/{change.__name__}",
            lambda change=change: At("before_train_iter", change, at_iter(3)),
            optim_wrapper=clipping,
        )
        for change in (tune, other_optimizer, other_wrapper, built_anew)
    ]


@case
def schedulers_replaced_in_mid_run(folder: str) -> Any:
    def build(runner: Any) -> None:
        runner.param_schedulers = runner.build_param_scheduler(
            [{"type": "CosineAnnealingLR", "by_epoch": False, "T_max": 9}]
        )

    def give(runner: Any) -> None:
        runner.param_schedulers = [MultiStepLR(runner.optim_wrapper, [1, 2], by_epoch=True)]

    def single(runner: Any) -> None:
        runner.param_schedulers = runner._build_param_scheduler(
            {"type": "LinearLR", "by_epoch": False}, runner.optim_wrapper
        )

    def none(runner: Any) -> None:
        runner.param_schedulers = None

    return [
        both(
            f"{folder}/{change.__name__}",
            lambda change=change: At("before_train_iter", change, at_iter(3)),
        )
        for change in (build, give, single, none)
    ]


# --------------------------------------------------------------------------- runs within runs


@case
def validation_and_test_called_by_hooks(folder: str) -> Any:
    noted: list[Any] = []
    calls = {
        "val_loop": lambda runner: noted.append(runner.val_loop.run()),
        "test_loop": lambda runner: noted.append(runner.test_loop.run()),
        "val": lambda runner: noted.append(runner.val()),
        "test": lambda runner: noted.append(runner.test()),
    }
    results = []
    for name, call in calls.items():
        hooks = [
            lambda call=call, point=point: At(point, call, lambda one: one.iter in (0, 3, 6, 8))
            for point in ("before_train", "before_train_iter", "after_train_epoch", "after_train")
        ]
        results.append(both(f"{folder}/{name}", *hooks))
    return results, noted


@case
def a_test_within_a_validation(folder: str) -> Any:
    noted: list[Any] = []
    test = lambda runner: noted.append(runner.test_loop.run())  # noqa: E731
    return [
        both(f"{folder}/{point}", lambda point=point: At(point, test))
        for point in ("before_val", "after_val_epoch", "after_val")
    ], noted


@case
def gradients_are_as_in_mmengine_where_loops_are_nested(folder: str) -> Any:
    noted: list[bool] = []
    look = lambda runner: noted.append(torch.is_grad_enabled())  # noqa: E731
    points = ("before_val", "before_val_iter", "after_val_iter", "after_val_epoch", "after_val")
    hooks = [At(point, look) for point in points]
    run = At("before_train_iter", lambda runner: runner.val_loop.run(), at_iter(1))
    return traced(folder, *hooks, run, train_cfg=ONE_EPOCH), noted


@case
def points_of_ones_own(folder: str) -> Any:
    class Listener(Hook):
        def __init__(self) -> None:
            self.heard: list[Any] = []

        def custom_point(self, runner: Any, word: str) -> None:
            self.heard.append((word, runner.iter))

    listener = Listener()
    call = At("after_train_iter", lambda runner: runner.call_hook("custom_point", word="hello"))
    runner = made(folder, listener, call, train_cfg=ONE_EPOCH)
    runner.call_hook("custom_point", word="before")
    runner.call_hook("no_such_point")
    runner.train()
    runner.call_hook("custom_point", word="after")
    return listener.heard


@case
def checkpoints_saved_and_loaded_by_hooks(folder: str) -> Any:
    def save(runner: Any) -> None:
        runner.save_checkpoint(
            runner.work_dir, f"by_hook_{runner.iter}.pth", meta={"own": 1}, by_epoch=False
        )

    def load(runner: Any) -> None:
        runner.load_checkpoint(f"{runner.work_dir}/by_hook_3.pth")

    results = both(
        f"{folder}/a",
        lambda: At("after_train_iter", save, at_iter(3)),
        lambda: At("after_train_iter", load, at_iter(6)),
    )
    resumed = made(
        f"{folder}/b", resume=True, load_from=f"{folder}/a/iterations/by_hook_3.pth", **ITERATIONS
    )
    return results, trained(resumed), resumed.iter


@case
def training_after_loading_by_hand(folder: str) -> Any:
    made(f"{folder}/a", train_cfg=ONE_EPOCH, **SAVED).train()
    runner = made(f"{folder}/b", load_from="is_not_read.pth")
    runner.load_checkpoint(f"{folder}/a/epoch_1.pth")
    return trained(runner), runner._has_loaded, runner._load_from, runner._resume


@case
def train_val_and_test_in_one_program_again_and_again(folder: str) -> Any:
    trace = Trace()
    runner = made(folder, trace, train_cfg=ONE_EPOCH)
    metrics = [runner.val(), trained(runner), runner.val(), runner.test()]
    runner.train_loop._max_epochs = 2
    return [*metrics, trained(runner), runner.test(), runner.val()], trace.points


@case
def loops_run_by_hand_outside_a_run(folder: str) -> Any:
    trace = Trace()
    runner = made(
        folder,
        trace,
        train_cfg=ONE_EPOCH,
        default_hooks={"logger": None, "runtime_info": None, **NO_CHECKPOINTS},
    )
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    first = runner.val_loop.run(), runner.test_loop.run()
    model = runner.train_loop.run()
    return first, model is runner.model, digest(model.state_dict()), trace.points


# --------------------------------------------------------------------------- records


@case
def message_hub_visualizer_and_log_written_by_hooks(folder: str) -> Any:
    def write(runner: Any) -> None:
        hub = runner.message_hub
        hub.update_scalar("train/mine", runner.iter * 0.5)
        hub.update_info("note", {"iter": runner.iter})
        noted.append([hub.get_info("iter"), hub.get_info("max_iters"), hub.get_info("epoch")])
        if runner.iter > 1:
            noted.append(hub.get_scalar("train/loss").current().hex())
            noted.append(hub.get_scalar("train/mine").mean())
        runner.visualizer.add_scalar("own", runner.iter, step=runner.iter)
        runner.visualizer.add_scalars({"two": 2, "three": 3}, step=runner.iter)

    noted: list[Any] = []
    log = {"type": "LoggerHook", "interval": 2}
    runner = made(
        folder,
        At("after_train_iter", write),
        train_cfg=ONE_EPOCH,
        default_hooks={"logger": log, **NO_CHECKPOINTS},
    )
    weights = trained(runner)
    (file,) = Path(folder).rglob("scalars.json")
    import json

    skipped = ("time", "data_time", "memory")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    lines = [{k: v for k, v in line.items() if k not in skipped} for line in lines]
    return weights, noted, lines, runner.message_hub.get_info("note")


if __name__ == "__main__":
    runner_cases.main()
