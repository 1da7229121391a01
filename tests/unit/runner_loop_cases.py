"""Programs with loops of a user's own; prints what each gives, as JSON.

Run as ``python runner_loop_cases.py ours|mmengine FOLDER [CASE ...]``, like runner_cases.
"""

# ruff: noqa: E402  (mmengine is there only once runner_cases lets mm2pl serve it)

from __future__ import annotations

from pathlib import Path
from typing import Any

import runner_cases
from runner_cases import CASES, At, case, digest, errors, loader, trained
from runner_live_cases import (
    ITERATIONS,
    SAVED,
    SAVED_ITERATIONS,
    Trace,
    at_iter,
    both,
    made,
    traced,
)

CASES.clear()

import torch
from mmengine.registry import LOOPS
from mmengine.runner import (
    BaseLoop,
    EpochBasedTrainLoop,
    IterBasedTrainLoop,
    TestLoop,
    ValLoop,
)

# --------------------------------------------------------------------------- loops of one's own


class _Noting:
    """Notes which method of a loop of one's own was called."""

    def note(self, name: str) -> None:
        self.runner.message_hub.update_info("called", [*self.called, name])  # type: ignore[attr-defined]

    @property
    def called(self) -> list[str]:
        return self.runner.message_hub.get_info("called") or []  # type: ignore[attr-defined, no-any-return]


def own(name: str, base: Any, *methods: str, stage: str = "train") -> str:
    """Register a loop class that overrides the methods, noting each call, and return its name."""

    def overriding(method: str) -> Any:
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            self.note(method)
            return getattr(super(kind, self), method)(*args, **kwargs)

        return call

    kind = type(name, (_Noting, base), {method: overriding(method) for method in methods})
    LOOPS.register_module(module=kind, force=True)
    return name


EPOCHS = {"max_epochs": 3, "val_interval": 2}
STEPS = {"max_iters": 8, "val_interval": 3, "dynamic_intervals": [(5, 1)]}


def ran(folder: str, **changes: Any) -> Any:
    trace = Trace()
    runner = made(folder, trace, **changes)
    weights = trained(runner)
    called = runner.message_hub.get_info("called")
    return trace.points, weights, runner.iter, called, runner.val(), runner.test()


@case
def training_loops_that_override_one_method_or_all(folder: str) -> Any:
    results = []
    kinds = [
        (EpochBasedTrainLoop, EPOCHS, ("run", "run_epoch", "run_iter"), {}),
        (IterBasedTrainLoop, STEPS, ("run", "run_iter"), ITERATIONS),
    ]
    for base, settings, methods, rest in kinds:
        for chosen in (
            (),
            *((one,) for one in methods),
            ("_decide_current_val_interval",),
            methods,
        ):
            name = own(f"{base.__name__}{''.join(chosen)}Own", base, *chosen)
            section = {"type": name, **settings}
            results.append(ran(f"{folder}/{name}", **{**rest, "train_cfg": section}))
    return results


@case
def training_loops_of_ones_own_stop_resume_and_lengthen(folder: str) -> Any:
    results = []
    for base, settings, rest in (
        (EpochBasedTrainLoop, EPOCHS, SAVED),
        (IterBasedTrainLoop, STEPS, SAVED_ITERATIONS),
    ):
        for method in ("run", "run_iter"):
            name = own(f"{base.__name__}{method}Again", base, method)
            changes = {**rest, "train_cfg": {"type": name, **settings}}
            stop = At(
                "after_train_iter",
                lambda one: setattr(one.train_loop, "stop_training", True),
                at_iter(7),
            )
            results.append(traced(f"{folder}/{name}", stop, **changes))
            results.append(traced(f"{folder}/{name}", resume=True, **changes))
            runner = made(f"{folder}/{name}2", **changes)
            runner.train()
            epochs = base is EpochBasedTrainLoop
            runner.train_loop._max_epochs = 4 if epochs else 1
            runner.train_loop._max_iters = 24 if epochs else 10
            results.append((trained(runner), runner.iter, runner.epoch))
    return results


@LOOPS.register_module()
class GanLikeLoop(BaseLoop):
    """Shares no code with MMEngine's loops; reads its data backwards."""

    def __init__(self, runner: Any, dataloader: Any, passes: int) -> None:
        super().__init__(runner, dataloader)
        self.passes = self._max_epochs = passes
        self._epoch = self._iter = 0
        self.max_iters = passes * len(self.dataloader)
        self.max_epochs = passes

    @property
    def epoch(self) -> int:
        return self._epoch

    @property
    def iter(self) -> int:
        return self._iter

    def run(self) -> Any:
        self.runner.call_hook("before_train")
        while self._epoch < self.passes:
            self.runner.call_hook("before_train_epoch")
            self.runner.model.train()
            for idx, batch in enumerate(reversed(list(self.dataloader))):
                self.runner.call_hook("before_train_iter", batch_idx=idx, data_batch=batch)
                outputs = self.runner.model.train_step(batch, self.runner.optim_wrapper)
                self.runner.call_hook(
                    "after_train_iter", batch_idx=idx, data_batch=batch, outputs=outputs
                )
                self._iter += 1
            self.runner.call_hook("after_train_epoch")
            self._epoch += 1
            self.runner.val_loop.run()
        self.runner.call_hook("after_train")
        return "what it likes"


@case
def a_training_loop_that_is_nothing_but_a_base_loop(folder: str) -> Any:
    trace = Trace()
    runner = made(folder, trace, train_cfg={"type": "GanLikeLoop", "passes": 2})
    returned = runner.train()
    return returned, trace.points, digest(runner.model.state_dict()), runner.max_epochs


@LOOPS.register_module()
class MultiValLoop(BaseLoop):
    """Validates on several loaders with one evaluator each, as generative libraries do."""

    def __init__(self, runner: Any, dataloader: Any, evaluator: Any, extra: Any) -> None:
        super().__init__(runner, dataloader)
        rest = [runner.build_dataloader(one, seed=runner.seed) for one in extra]
        self.dataloaders = [self.dataloader, *rest]
        self.evaluators = [runner.build_evaluator(evaluator) for _ in self.dataloaders]
        self.evaluator = self.evaluators[0]
        self.total_length = sum(map(len, self.dataloaders))

    def run(self) -> dict[str, float]:
        self.runner.call_hook("before_val")
        self.runner.call_hook("before_val_epoch")
        self.runner.model.eval()
        metrics: dict[str, float] = {}
        count = 0
        for number, (data, evaluator) in enumerate(
            zip(self.dataloaders, self.evaluators, strict=True)
        ):
            for batch in data:
                self.run_iter(count, batch, evaluator)
                count += 1
            found = evaluator.evaluate(len(data.dataset))
            metrics |= {f"{number}/{key}": value for key, value in found.items()}
        self.runner.call_hook("after_val_epoch", metrics=metrics)
        self.runner.call_hook("after_val")
        return metrics

    @torch.no_grad()
    def run_iter(self, idx: int, batch: Any, evaluator: Any) -> None:
        self.runner.call_hook("before_val_iter", batch_idx=idx, data_batch=batch)
        outputs = self.runner.model.val_step(batch)
        evaluator.process(data_samples=outputs, data_batch=batch)
        self.runner.call_hook("after_val_iter", batch_idx=idx, data_batch=batch, outputs=outputs)


@case
def a_validation_loop_with_several_loaders(folder: str) -> Any:
    section = {"type": "MultiValLoop", "extra": [loader(5, False), loader(7, True)]}
    noted: list[int] = []
    look = lambda: At("before_val_iter", lambda one: noted.append(one.val_loop.total_length))  # noqa: E731
    results = both(folder, look, val_cfg=section)
    runner = made(f"{folder}/alone", val_cfg=section)
    return results, noted, runner.val()


@case
def validation_and_test_loops_that_override_one_method_or_all(folder: str) -> Any:
    results = []
    for chosen in (("run",), ("run_iter",), ("run", "run_iter")):
        names = [
            own(f"{base.__name__}{''.join(chosen)}Own", base, *chosen)
            for base in (ValLoop, TestLoop)
        ]
        sections = {"val_cfg": {"type": names[0]}, "test_cfg": {"type": names[1]}}
        results.append(ran(f"{folder}/{names[0]}", **sections))
        results.append(ran(f"{folder}/{names[0]}i", **{**ITERATIONS, **sections}))
    return results


@LOOPS.register_module()
class TwoModelsValLoop(ValLoop):
    """Validates the model's two halves under prefixed names, as semi-supervised detectors do."""

    def run(self) -> dict[str, float]:
        self.runner.call_hook("before_val")
        multi: dict[str, float] = {}
        for scale in (1.0, 0.5):
            self.runner.call_hook("before_val_epoch")
            self.runner.model.eval()
            with torch.no_grad():
                self.runner.model.head.bias.mul_(scale)
            for idx, batch in enumerate(self.dataloader):
                self.run_iter(idx, batch)
            metrics = self.evaluator.evaluate(len(self.dataloader.dataset))
            multi |= {f"{scale}/{key}": value for key, value in metrics.items()}
        self.runner.call_hook("after_val_epoch", metrics=multi)
        self.runner.call_hook("after_val")
        return multi


@case
def a_validation_loop_that_runs_twice_over_the_data(folder: str) -> Any:
    checkpoint = {"type": "CheckpointHook", "save_best": "0.5/score", "rule": "greater"}
    results = traced(
        folder, val_cfg={"type": "TwoModelsValLoop"}, default_hooks={"checkpoint": checkpoint}
    )
    return results, sorted(path.name for path in Path(folder).glob("*.pth"))


@case
def a_test_loop_that_returns_no_metrics(folder: str) -> Any:
    @LOOPS.register_module(force=True)
    class DumpLoop(TestLoop):
        def run(self) -> None:  # type: ignore[override]
            self.runner.call_hook("before_test")
            self.runner.model.eval()
            for batch in self.dataloader:
                with torch.no_grad():
                    self.runner.model.test_step(batch)
            self.runner.call_hook("after_test")

    trace = Trace()
    runner = made(folder, trace, test_cfg={"type": "DumpLoop"})
    return runner.test(), trace.points


@case
def an_abstract_loop_cannot_be_made(folder: str) -> Any:
    runner = made(folder)
    data = runner.build_dataloader(loader(), seed=1)

    class Empty(BaseLoop):
        pass

    return errors(lambda: BaseLoop(runner, data), lambda: Empty(runner, data), kinds=(TypeError,))


if __name__ == "__main__":
    runner_cases.main()
