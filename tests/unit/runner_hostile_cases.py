"""Programs whose hooks, models, data and metrics misbehave; prints what each gives, as JSON.

Run as ``python runner_hostile_cases.py ours|mmengine FOLDER``, like runner_cases.
"""

# ruff: noqa: E402  (mmengine is there only once runner_cases lets mm2pl serve it)

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import runner_cases
from runner_cases import CASES, ONE_EPOCH, At, Recorder, case, config, digest, loader, trained

CASES.clear()
assert sys.argv[1] in ("ours", "mmengine")

import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import FUNCTIONS, METRICS, MODELS
from mmengine.runner import Runner
from torch import nn
from torch.nn import functional as F
from toys import ToyModel

NO_CHECKPOINTS: dict[str, Any] = {"default_hooks": {"checkpoint": None}}
EPOCHS: dict[str, Any] = {"train_cfg": {"by_epoch": True, "max_epochs": 2}}
ITERATIONS = {**runner_cases.ITERATIONS, **NO_CHECKPOINTS}


def made(folder: str, *hooks: Hook, **changes: Any) -> Any:
    return runner_cases.made(folder, *hooks, **{**NO_CHECKPOINTS, **changes})


def attempt(call: Callable[[], Any]) -> Any:
    """Return what a call returns, or the type of what it raises."""
    try:
        return call()
    except BaseException as error:
        return type(error).__name__


def both(folder: str, **changes: Any) -> Any:
    """Train by epochs and by iterations; return how each ends and the points on the way."""
    results = []
    for name, mode in (("epochs", {"train_cfg": ONE_EPOCH}), ("iterations", ITERATIONS)):
        mode = copy.deepcopy(mode)
        mode["train_dataloader"] = {
            **mode.get("train_dataloader", loader()),
            **changes.get("data", {}),
        }
        more = {key: value for key, value in changes.items() if key != "data"}
        trace = Recorder()
        runner = made(f"{folder}/{name}", trace, **{**mode, **more})
        results.append([attempt(lambda runner=runner: trained(runner)), trace.points])
    return results


# --------------------------------------------------------------------------- errors

POINTS = """
before_run before_train before_train_epoch before_train_iter after_train_iter after_train_epoch
before_val before_val_epoch before_val_iter after_val_iter after_val_epoch after_val after_train
after_run
"""


class RaiseOnce(Hook):
    """Raises at one point, from the third iteration on."""

    priority = "LOW"

    def __init__(self, point: str, error: BaseException) -> None:
        self.early = point in ("before_run", "before_train")
        self.errors = [error]
        setattr(self, point, lambda runner, **_: self.fail(runner))

    def fail(self, runner: Any) -> None:
        if self.errors and (self.early or runner.iter > 1):
            raise self.errors.pop()


def raised_at_every_point(folder: str, error: BaseException, mode: dict[str, Any]) -> Any:
    results = {}
    for point in POINTS.split():
        trace = Recorder()
        hooks = (trace, RaiseOnce(point, error))
        runner = made(f"{folder}/{point}", *hooks, **copy.deepcopy(mode))
        first = attempt(lambda runner=runner: trained(runner))
        state = [runner.epoch, runner.iter, runner.model.training, torch.is_grad_enabled()]
        weights = digest(runner.model.state_dict())
        again = attempt(lambda runner=runner: trained(runner))
        results[point] = [first, state, weights, again, attempt(runner.val), trace.points]
    return results


@case
def an_error_at_every_point_and_training_again(folder: str) -> Any:
    return [
        raised_at_every_point(f"{folder}/{number}", ArithmeticError("here"), mode)
        for number, mode in enumerate((EPOCHS, ITERATIONS))
    ]


@case
def a_stop_iteration_at_every_point_ends_no_loop_in_silence(folder: str) -> Any:
    return [
        raised_at_every_point(f"{folder}/{number}", StopIteration("here"), mode)
        for number, mode in enumerate((EPOCHS, ITERATIONS))
    ]


@case
def an_interrupt_at_every_point(folder: str) -> Any:
    return raised_at_every_point(folder, KeyboardInterrupt(), EPOCHS)


@MODELS.register_module()
class Exhausted(ToyModel):  # type: ignore[misc]
    """Reads from an iterator of its own, which ends."""

    def train_step(self, data: Any, optim_wrapper: Any) -> Any:
        self.turns = getattr(self, "turns", iter(range(3)))
        next(self.turns)
        return super().train_step(data, optim_wrapper)


@case
def a_model_whose_iterator_ends(folder: str) -> Any:
    return both(folder, model={"type": "Exhausted"})


@case
def an_iterator_of_a_hooks_that_ends(folder: str) -> Any:
    def shorten(runner: Any) -> None:
        batches = list(runner.build_dataloader(loader(8)))
        runner.train_loop.dataloader_iterator = iter(batches)

    trace = Recorder()
    runner = made(folder, trace, At("before_train", shorten), **copy.deepcopy(ITERATIONS))
    return attempt(lambda: trained(runner)), trace.points


# --------------------------------------------------------------------------- models and data


@FUNCTIONS.register_module()
def nothing(batch: Any) -> None:
    return None


@MODELS.register_module()
class OwnData(ToyModel):  # type: ignore[misc]
    """Needs no batch to train on."""

    def train_step(self, data: Any, optim_wrapper: Any) -> Any:
        assert data is None
        own = {"inputs": [torch.ones(6)] * 4, "data_samples": [0, 1, 2, 0]}
        return super().train_step(own, optim_wrapper)


@case
def batches_of_nothing(folder: str) -> Any:
    return both(folder, model={"type": "OwnData"}, data={"collate_fn": {"type": "nothing"}})


@MODELS.register_module()
class Stepping(nn.Module):
    """No BaseModel; updates its weights in one of several ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.layer = nn.Linear(6, 3)
        self.way = way

    def loss(self, data: Any) -> Any:
        return F.cross_entropy(
            self.layer(torch.stack(data["inputs"])), torch.tensor(data["data_samples"])
        )

    def train_step(self, data: Any, optim_wrapper: Any) -> Any:
        def closure() -> Any:
            optim_wrapper.zero_grad()
            loss = self.loss(data)
            loss.backward()
            return loss

        if self.way == "update_params":
            optim_wrapper.update_params(self.loss(data))
        elif self.way == "backward of the wrapper":
            optim_wrapper.zero_grad()
            optim_wrapper.backward(self.loss(data), retain_graph=True)
            optim_wrapper.step()
        elif self.way == "backward of the loss":
            closure()
            optim_wrapper.step()
        elif self.way == "step of the optimizer":
            closure()
            optim_wrapper.optimizer.step()
        elif self.way == "closure":
            optim_wrapper.step(closure=closure)
        return {"loss": self.loss(data)} if self.way != "no losses" else {}

    def val_step(self, data: Any) -> Any:
        return [{"pred_score": one} for one in self.layer(torch.stack(data["inputs"]))]


@case
def models_that_step_in_their_own_way(folder: str) -> Any:
    ways = """update_params;backward of the wrapper;backward of the loss;step of the optimizer;
    closure;nothing;no losses"""
    return {
        way: both(f"{folder}/{way}", model={"type": "Stepping", "way": way.strip()})
        for way in ways.split(";")
    }


@METRICS.register_module()
class Odd(BaseMetric):
    """Metrics under names and with values that no logger expects."""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results.append(1)

    def compute_metrics(self, results: list[int]) -> Any:
        scalars = {"x/dataloader_idx_0": 1.0, "epoch": 3, "step": 4, "a b": True, "nan": "nan"}
        return {**scalars, 1: 2.0, (1, 2): 3.0, "table": {"p": 1}, "none": None, "empty": []}


@case
def odd_metrics(folder: str) -> Any:
    quiet = {"default_hooks": {"checkpoint": None, "logger": None, "runtime_info": None}}
    runner = made(folder, val_evaluator={"type": "Odd"}, train_cfg=ONE_EPOCH, **quiet)
    return attempt(lambda: trained(runner)), repr(runner.val())


# --------------------------------------------------------------------------- hooks and runners


class Late(Hook):
    """Notes from when on it is called."""

    def __init__(self, points: list[Any]) -> None:
        self.points = points

    def before_run(self, runner: Any) -> None:
        self.points.append("before_run")

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.points.append([runner.epoch, batch_idx])


@case
def a_hook_added_at_a_point_runs_at_that_point(folder: str) -> Any:
    results = []
    for point, when in (
        ("before_run", None),
        ("after_train_iter", lambda runner: runner.iter == 3),
    ):
        for priority in ("LOWEST", "HIGHEST"):
            seen: list[Any] = []

            def add(runner: Any, seen: Any = seen, priority: Any = priority) -> None:
                if not any(isinstance(hook, Late) for hook in runner.hooks):
                    runner.register_hook(Late(seen), priority)

            trace = Recorder()
            runner = made(f"{folder}/{point}{priority}", At(point, add, when), trace, **EPOCHS)
            results.append([trained(runner), seen, trace.points])
    return results


@case
def a_hook_taken_away_at_a_point(folder: str) -> Any:
    def drop(runner: Any) -> None:
        runner.hooks[:] = [hook for hook in runner.hooks if not isinstance(hook, (Late, At))]

    seen: list[Any] = []
    trace = Recorder()
    runner = made(folder, At("after_train_iter", drop), Late(seen), trace, **EPOCHS)
    return trained(runner), seen, trace.points


@case
def methods_that_a_subclass_overrides_are_called_in_order(folder: str) -> Any:
    called = []

    def noted(name: str) -> Any:
        original = getattr(Runner, name)

        def method(self: Any, *arguments: Any, **options: Any) -> Any:
            called.append(name)
            return original(self, *arguments, **options)

        return method

    names = """build_model wrap_model build_logger build_message_hub build_visualizer setup_env
    build_log_processor set_randomness register_hooks register_default_hooks dump_config
    register_custom_hooks build_train_loop build_val_loop build_optim_wrapper scale_lr
    build_param_scheduler build_evaluator load_or_resume call_hook"""
    kind = type("Noting", (Runner,), {name: noted(name) for name in names.split()})
    for number, custom in enumerate((None, [{"type": "EMAHook"}])):
        cfg = config(f"{folder}/{number}", **NO_CHECKPOINTS, train_cfg=ONE_EPOCH)
        kind.from_cfg({**cfg, "custom_hooks": custom}).train()  # type: ignore[attr-defined]
    return called


@case
def a_runner_within_a_run_of_another(folder: str) -> Any:
    results: list[Any] = []

    def inner(runner: Any) -> None:
        other = made(f"{folder}/inner{len(results)}", train_cfg=ONE_EPOCH)
        results.append([trained(other), other.val()])

    for point in ("before_train", "after_train_iter", "before_val", "after_run"):
        trace = Recorder()
        now = At(point, inner, lambda runner: runner.iter % 4 == 0)
        runner = made(f"{folder}/{point}", now, trace, **EPOCHS)
        results.append([trained(runner), runner.val(), trace.points])
    return results


if __name__ == "__main__":
    runner_cases.main()
