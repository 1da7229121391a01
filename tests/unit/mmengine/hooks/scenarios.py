"""Hooks driven by a stand-in for the runner, with MMEngine's hooks or with ours.

``python scenarios.py mmengine`` prints what MMEngine does; ``run("mm2pl.mmengine")`` returns what
we do, in the same form.
"""

from __future__ import annotations

import copy
import importlib
import json
import os
import random
import sys
import tempfile
import time
from types import SimpleNamespace
from typing import Any


class Journal(list):  # type: ignore[type-arg]
    """What happened, in order, with the temporary folder's name taken out."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    def add(self, *entry: Any) -> None:
        self.append(json.loads(json.dumps(entry, default=repr).replace(self.folder, "FOLDER")))


class Recorder:
    """Notes the calls of some methods."""

    handlers: list[Any] = []

    def __init__(self, journal: Journal, **answers: Any) -> None:
        for name, answer in answers.items():
            setattr(self, name, self._method(journal, name, answer))

    @staticmethod
    def _method(journal: Journal, name: str, answer: Any) -> Any:
        def method(*args: Any, **kwargs: Any) -> Any:
            shown = [arg for arg in args if not isinstance(arg, SimpleNamespace)]
            journal.add(name, shown, kwargs)
            return answer

        return method


class Loader(list):  # type: ignore[type-arg]
    dataset = SimpleNamespace(metainfo={"classes": ["a", "b"]})


def make_runner(root: str, folder: str, name: str, **settings: Any) -> Any:
    hub = importlib.import_module(f"{root}.logging").MessageHub(name)
    journal = Journal(folder)
    runner = SimpleNamespace(
        journal=journal,
        message_hub=hub,
        logger=Recorder(journal, info=None, warning=None),
        visualizer=Recorder(journal, add_scalars=None, close=None),
        log_processor=Recorder(
            journal,
            get_log_after_iter=({"loss": 1.0}, "iter text"),
            get_log_after_epoch=({"acc": 2.0, "odd": {1}}, "epoch text"),
        ),
        work_dir=os.path.join(folder, "work", "exp"),
        log_dir=os.path.join(folder, "work", "exp", "log"),
        _log_dir=os.path.join(folder, "work", "exp", "log"),
        timestamp="TIME",
        experiment_name="EXP",
        seed=7,
        cfg=SimpleNamespace(pretty_text="TEXT"),
        epoch=0,
        iter=0,
        max_epochs=4,
        max_iters=12,
        train_dataloader=Loader([0] * 3),
        val_dataloader=Loader([0] * 5),
        test_dataloader=Loader([0] * 5),
        _train_loop=SimpleNamespace(stop_training=False),
        param_schedulers=None,
    )
    runner.train_loop = runner._train_loop
    if os.path.isdir(folder):
        os.makedirs(runner.log_dir)
    for key, value in settings.items():
        setattr(runner, key, value)

    def save_checkpoint(
        out_dir: Any, filename: str, file_client_args: Any = None, **kwargs: Any
    ) -> None:
        infos = {k: v for k, v in hub.runtime_info.items() if k != "superseded_ckpts"}
        journal.add("save", out_dir, filename, file_client_args, kwargs, infos)
        os.makedirs(out_dir, exist_ok=True)
        with open(os.path.join(out_dir, filename), "w") as file:
            file.write("checkpoint")

    runner.save_checkpoint = save_checkpoint
    return runner


def files(folder: str) -> list[str]:
    return sorted(
        os.path.relpath(os.path.join(where, name), folder)
        for where, _, names in os.walk(folder)
        for name in names
    )


# --------------------------------------------------------------------------- checkpoints

METRICS = [{"acc": 0.5, "loss": 3.0}, {"acc": 0.4, "loss": 2.0}, {"acc": 0.7, "loss": 2.5}, {}]
NAN = [{"acc": float("nan"), "loss": None}, {"acc": 0.1, "loss": 1}, {"acc": 0.1, "loss": 1}, {}]
PREFIXED = [{"a/top1": 1.0}, {"a/top1": 2.0}, {"a/top1": 2.0}, {"a/top1": 3.0}]

CHECKPOINT_CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "interval 2": {"interval": 2},
    "interval 3, last not saved": {"interval": 3, "save_last": False},
    "save_begin": {"interval": 2, "save_begin": 3},
    "keep 1": {"interval": 1, "max_keep_ckpts": 1},
    "keep 2 and best": {"interval": 1, "max_keep_ckpts": 2, "save_best": "acc"},
    "best auto": {"interval": 2, "save_best": "auto"},
    "best auto with rule": {"interval": 2, "save_best": "auto", "rule": "less"},
    "best list": {"interval": 2, "save_best": ["acc", "loss"]},
    "best list one rule": {"interval": 2, "save_best": ["acc", "loss"], "rule": "greater"},
    "best list two rules": {"save_best": ["acc", "loss"], "rule": ["less", "greater"]},
    "best by own keys": {"save_best": "acc", "greater_keys": [], "less_keys": "ac"},
    "best with prefix": {"interval": 1, "save_best": "a/top1", "metrics": PREFIXED},
    "best of nothing": {"interval": 1, "save_best": ["acc", "loss"], "metrics": NAN},
    "iterations": {"interval": 5, "by_epoch": False, "save_best": "acc"},
    "iterations, begin and keep": {
        "interval": 2, "by_epoch": False, "save_begin": 3, "max_keep_ckpts": 2,
    },
    "template": {"interval": 2, "filename_tmpl": "x_{}.ckpt", "save_best": "acc"},
    "out_dir": {"interval": 2, "out_dir": "OUT", "save_best": "acc"},
    "no optimizer": {"interval": 4, "save_optimizer": False, "save_param_scheduler": False},
    "extra arguments": {"interval": 4, "extra": 3},
    "resumed": {
        "interval": 1, "max_keep_ckpts": 2, "save_best": "acc",
        "infos": {"keep_ckpt_ids": [1, 2, 3, 4], "best_ckpt": "WORK/best.pth", "best_score": 0.45},
    },
    "resumed with several best": {
        "save_best": ["acc", "loss"],
        "infos": {"best_ckpt_acc": "WORK/a.pth", "best_score_acc": 0.6},
    },
}  # fmt: skip


def checkpoint_case(root: str, case: dict[str, Any]) -> Any:
    hooks = importlib.import_module(f"{root}.hooks")
    case = copy.deepcopy(case)
    with tempfile.TemporaryDirectory() as folder:
        runner = make_runner(root, folder, "checkpoint")
        for key, value in case.pop("infos", {}).items():
            if isinstance(value, str):
                value = value.replace("WORK", runner.work_dir)
                with open(value, "w") as file:
                    file.write("earlier")
            runner.message_hub.update_info(key, value)
        for step in (1, 2, 3, 4):
            with open(os.path.join(runner.work_dir, f"epoch_{step}.pth"), "w") as file:
                file.write("earlier")
        metrics = case.pop("metrics", METRICS)
        if case.get("out_dir"):
            case["out_dir"] = os.path.join(folder, "out")
        hook = hooks.CheckpointHook(**case)
        hook.before_train(runner)
        for epoch in range(runner.max_epochs):
            for batch in range(3):
                hook.after_train_iter(runner, batch, None, {})
                runner.iter += 1
            hook.after_train_epoch(runner)
            runner.epoch += 1
            hook.after_val_epoch(runner, metrics[epoch])
        hook.after_train(runner)
        last = os.path.join(runner.work_dir, "last_checkpoint")
        if os.path.exists(last):
            with open(last) as file:
                runner.journal.add("last_checkpoint", file.read())
        runner.journal.add(dict(runner.message_hub.runtime_info))
        runner.journal.add(files(folder))
        return list(runner.journal)


# --------------------------------------------------------------------------- logs

LOGGER_CASES: dict[str, dict[str, Any]] = {
    "defaults": {},
    "short epoch is logged at its end": {"interval": 10},
    "rest is ignored": {"interval": 2},
    "rest is logged": {"interval": 2, "ignore_last": False},
    "experiment's name": {"interval_exp_name": 2, "interval": 5, "ignore_last": False},
    "step of metrics": {"log_metric_by_epoch": False},
    "copied": {"out_dir": "OUT"},
    "moved": {"out_dir": "OUT", "keep_local": False, "out_suffix": ".log"},
}


def logger_case(root: str, case: dict[str, Any], built: bool = True) -> Any:
    hooks = importlib.import_module(f"{root}.hooks")
    with tempfile.TemporaryDirectory() as folder:
        runner = make_runner(root, folder, "logger")
        case = {key: os.path.join(folder, "out") if key == "out_dir" else value
                for key, value in case.items()}  # fmt: skip
        for name in ("a.log", "b.json", "c.txt", "vis_data/d.json"):
            path = os.path.join(runner.log_dir, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w") as file:
                file.write(name)
        if not built:
            runner._train_loop = {"type": "EpochBasedTrainLoop"}
        hook = hooks.LoggerHook(**case)
        hook.before_run(runner)
        for _ in range(2 if built else 0):
            for batch in range(3):
                hook.after_train_iter(runner, batch, None, {})
                runner.iter += 1
            runner.epoch += 1
        for batch in range(5):
            hook.after_val_iter(runner, batch, None, [])
        hook.after_val_epoch(runner, {})
        for batch in range(5):
            hook.after_test_iter(runner, batch, None, [])
        hook.after_test_epoch(runner, {})
        with open(os.path.join(runner.log_dir, "TIME.json")) as file:
            runner.journal.add("dumped", file.read())
        hook.after_run(runner)
        entries = sorted(map(json.dumps, runner.journal))  # files are found in any order
        return [entries, files(folder)]


def tags_case(root: str) -> Any:
    import numpy as np
    import torch

    hook = importlib.import_module(f"{root}.hooks").LoggerHook
    tags = {
        "number": 1, "float": 2.5, "flag": True, "text": "t", "none": None,
        "tensor": torch.ones(2), "array": np.arange(2), "np": np.float64(1.5),
        "np32": np.float32(1.5), "list": [1, (2, {3}), torch.tensor(4)], "dict": {"a": object()},
    }  # fmt: skip
    return hook._process_tags(tags)


# --------------------------------------------------------------------------- time and state


def timer_case(root: str) -> Any:
    """All phases, on a clock that moves by what the scenario says."""
    hooks = importlib.import_module(f"{root}.hooks")
    draw = random.Random(1)
    now = [1000.0]
    real, time.time = time.time, lambda: now[0]
    try:
        runner = make_runner(root, "/nowhere", "timer", iter=4)
        hook, hub, seen = hooks.IterTimerHook(), runner.message_hub, []
        hook.before_train(runner)
        for mode in ("train", "val", "train", "test", "val"):
            getattr(hook, f"before_{mode}_epoch")(runner)
            for batch in range(3):
                now[0] += draw.random()
                getattr(hook, f"before_{mode}_iter")(runner, batch, None)
                now[0] += draw.random()
                getattr(hook, f"after_{mode}_iter")(runner, batch, None, {})
                scalars = {key: float(hub.get_scalar(key).current()) for key in hub.log_scalars}
                seen.append([scalars, hub.get_info("eta")])
                runner.iter += mode == "train"
            getattr(hook, f"after_{mode}_epoch")(runner)
        return seen
    finally:
        time.time = real


def runtime_case(root: str) -> Any:
    import numpy as np
    import torch

    hook = importlib.import_module(f"{root}.hooks").RuntimeInfoHook()
    optim = SimpleNamespace(get_lr=lambda: {"lr": [0.1, 0.2], "base_lr": [0.3]})
    runner = make_runner(root, "/nowhere", "runtime", optim_wrapper=optim)
    hub, seen = runner.message_hub, []

    def look(point: str) -> None:
        infos = {k: v for k, v in hub.runtime_info.items() if k != "mmengine_version"}
        scalars = {k: [float(v.current()), len(v.data[0])] for k, v in hub.log_scalars.items()}
        seen.append(json.loads(json.dumps([point, infos, scalars], default=repr)))

    def call(point: str, *args: Any) -> None:
        getattr(hook, point)(runner, *args)
        look(point)

    losses = {"loss": torch.tensor(1.5, requires_grad=True), "acc": np.array([3]), "n": 4}
    metrics = {"acc": 0.5, "array": np.arange(3), "one": torch.ones(1), "text": "t", "none": None}
    for point in ("before_run", "before_train", "before_train_epoch"):
        call(point)
    call("before_train_iter", 0, None)
    call("after_train_iter", 0, None, losses)
    call("after_train_iter", 1, None, None)
    call("before_val")
    call("after_val_epoch", metrics)
    call("after_val")
    call("after_train")
    call("before_val")
    call("after_val_epoch", None)
    call("after_val")
    call("before_test")
    call("after_test_epoch", metrics)
    call("after_test")
    return seen


def scheduler_case(root: str) -> Any:
    hook = importlib.import_module(f"{root}.hooks").ParamSchedulerHook()
    base = importlib.import_module(f"{root}.optim")._ParamScheduler
    journal = Journal("-")

    class Scheduler(base):  # type: ignore[misc, valid-type]
        def __init__(self, name: str, by_epoch: bool, need_val_args: bool = False) -> None:
            self.name, self.by_epoch, self.need_val_args = name, by_epoch, need_val_args

        def _get_value(self) -> Any:
            raise NotImplementedError

        def step(self, *args: Any) -> None:
            journal.add(self.name, *args)

    one = [Scheduler("e", True), Scheduler("i", False), Scheduler("v", True, True)]
    two = {"a": one, "b": [Scheduler("b", False, True)]}
    unbuilt = {"type": "MultiStepLR", "by_epoch": True, "milestones": [1, 2]}
    for schedulers in (None, one, two, [unbuilt], unbuilt):
        runner = SimpleNamespace(param_schedulers=schedulers)
        if schedulers in (None, one, two):
            hook.after_train_iter(runner, 0, None, {})
            hook.after_train_epoch(runner)
        hook.after_val_epoch(runner, None)
        hook.after_val_epoch(runner, {"acc": 1})
        journal.add("--")
    return list(journal)


# --------------------------------------------------------------------------- early stopping

STOPPING_CASES: dict[str, tuple[dict[str, Any], list[float]]] = {
    "plateau": ({"monitor": "acc", "patience": 2}, [0.1, 0.5, 0.55, 0.4, 0.9]),
    "less": ({"monitor": "loss", "patience": 2, "min_delta": 0.01}, [3, 2, 1.999, 2.1, 1.0]),
    "threshold": ({"monitor": "acc", "stopping_threshold": 0.8}, [0.1, 0.9, 0.95]),
    "not finite": ({"monitor": "acc"}, [0.1, float("inf"), float("nan")]),
    "not checked": ({"monitor": "acc", "check_finite": False, "patience": 1}, [float("nan"), 1.0]),
    "rule": ({"monitor": "thing", "rule": "less", "patience": 1}, [1.0, 2.0]),
}


def stopping_case(root: str, case: tuple[dict[str, Any], list[float]]) -> Any:
    settings, scores = case
    hook = importlib.import_module(f"{root}.hooks").EarlyStoppingHook(**settings)
    runner = make_runner(root, "/nowhere", "stopping")
    hook.before_run(runner)
    for score in scores:
        runner.train_loop.stop_training = False
        hook.after_val_epoch(runner, {settings["monitor"]: score})
        state = [runner.train_loop.stop_training, hook.wait_count, repr(hook.best_score)]
        runner.journal.add(state)
    return list(runner.journal)


# --------------------------------------------------------------------------- the base, errors


def base_case(root: str) -> Any:
    hooks = importlib.import_module(f"{root}.hooks")
    base, calls = hooks.Hook, []

    class Shared(base):  # type: ignore[misc, valid-type]
        def _before_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
            calls.append(["_before_iter", args, kwargs])

        def _after_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
            calls.append(["_after_iter", args, kwargs])

        def _before_epoch(self, runner: Any, *args: Any, **kwargs: Any) -> None:
            calls.append(["_before_epoch", args, kwargs])

        def _after_epoch(self, runner: Any, *args: Any, **kwargs: Any) -> None:
            calls.append(["_after_epoch", args, kwargs])

    class One(base):  # type: ignore[misc, valid-type]
        def before_run(self, runner: Any) -> None:
            pass

        def after_test_iter(self, *args: Any, **kwargs: Any) -> None:
            pass

    for stage in base.stages:
        args: list[Any] = [3, "batch"] if "iter" in stage else []
        args += ["outputs"] if stage.startswith("after") and "iter" in stage else []
        args += [{}] if "checkpoint" in stage else []
        getattr(Shared(), stage)(SimpleNamespace(), *args)
    questions = []
    for epoch in range(5):
        runner = SimpleNamespace(epoch=epoch, iter=epoch, max_epochs=4, max_iters=3)
        hook = base()
        for n in (-1, 0, 1, 2, 3):
            for start in (0, 2):
                questions.append(hook.every_n_epochs(runner, n, start))
                questions.append(hook.every_n_train_iters(runner, n, start))
            questions.append(hook.every_n_inner_iters(epoch, n))
        questions += [hook.end_of_epoch([0] * 3, epoch), hook.is_last_train_epoch(runner)]
        questions.append(hook.is_last_train_iter(runner))
    names = [n for n in hooks.__all__ if isinstance(vars(hooks)[n].__dict__.get("priority"), str)]
    return {
        "calls": calls,
        "questions": questions,
        "stages": list(base.stages),
        "triggered": [sorted(kind().get_triggered_stages()) for kind in (base, Shared, One)],
        "priorities": {n: vars(hooks)[n].priority for n in names},
        "all": sorted(hooks.__all__),
    }


WRONG: dict[str, tuple[str, dict[str, Any]]] = {
    "save_best of a wrong type": ("CheckpointHook", {"save_best": 3}),
    "save_best holds a wrong type": ("CheckpointHook", {"save_best": ["acc", {}]}),
    "save_best with auto and more": ("CheckpointHook", {"save_best": ["auto", "acc"]}),
    "save_best twice": ("CheckpointHook", {"save_best": ["acc", "acc"]}),
    "rule of a wrong type": ("CheckpointHook", {"save_best": "acc", "rule": 1}),
    "too many rules": ("CheckpointHook", {"save_best": "acc", "rule": ["less", "less"]}),
    "unknown rule": ("CheckpointHook", {"save_best": "acc", "rule": "more"}),
    "rule not to be found": ("CheckpointHook", {"save_best": "thing"}),
    "greater_keys of a wrong type": ("CheckpointHook", {"greater_keys": [1]}),
    "published_keys of a wrong type": ("CheckpointHook", {"published_keys": 1}),
    "published_keys twice": ("CheckpointHook", {"published_keys": ["meta", "meta"]}),
    "save_begin below zero": ("CheckpointHook", {"save_begin": -1}),
    "both kinds of storage": ("CheckpointHook", {"file_client_args": {}, "backend_args": {}}),
    "interval of a wrong type": ("LoggerHook", {"interval": 1.5}),
    "interval zero": ("LoggerHook", {"interval": 0}),
    "interval_exp_name zero": ("LoggerHook", {"interval_exp_name": 0}),
    "interval_exp_name of a wrong type": ("LoggerHook", {"interval_exp_name": "1"}),
    "ignore_last of a wrong type": ("LoggerHook", {"ignore_last": "yes"}),
    "out_dir of a wrong type": ("LoggerHook", {"out_dir": 1}),
    "keep_local of a wrong type": ("LoggerHook", {"keep_local": 1}),
    "out_suffix of a wrong type": ("LoggerHook", {"out_suffix": [1]}),
    "storage without out_dir": ("LoggerHook", {"file_client_args": {}}),
    "early stopping by an unknown rule": ("EarlyStoppingHook", {"monitor": "acc", "rule": "x"}),
    "early stopping without a rule": ("EarlyStoppingHook", {"monitor": "thing"}),
}


def error_case(root: str, case: tuple[str, dict[str, Any]]) -> list[str]:
    """Return the names of what the error can be caught as, its own first."""
    name, settings = case
    kind = getattr(importlib.import_module(f"{root}.hooks"), name)
    try:
        kind(**settings)
    except Exception as error:
        return [base.__name__ for base in type(error).__mro__]
    return []


def priority_case(root: str) -> Any:
    module = importlib.import_module(f"{root}.runner.priority")
    names = list(module.Priority.__members__)
    values = [0, 33, 100, *names, "very_low", "Normal", *module.Priority]
    return [names, [module.get_priority(value) for value in values]]


WRONG_PRIORITIES: list[Any] = [-1, 101, 1.5, "middle", None]


def priority_error_case(root: str, value: Any) -> list[str]:
    module = importlib.import_module(f"{root}.runner.priority")
    try:
        module.get_priority(value)
    except Exception as error:
        return [base.__name__ for base in type(error).__mro__]
    return []


def run(root: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "tags": tags_case(root),
        "timer": timer_case(root),
        "runtime": runtime_case(root),
        "schedulers": scheduler_case(root),
        "base": base_case(root),
        "priority": priority_case(root),
        "validation alone": logger_case(root, {}, built=False),
    }
    for name, case in CHECKPOINT_CASES.items():
        found[f"checkpoint: {name}"] = checkpoint_case(root, case)
    for name, logger in LOGGER_CASES.items():
        found[f"logger: {name}"] = logger_case(root, logger)
    for name, stopping in STOPPING_CASES.items():
        found[f"stopping: {name}"] = stopping_case(root, stopping)
    for value in WRONG_PRIORITIES:
        found[f"error: priority {value}"] = priority_error_case(root, value)
    for name, wrong in WRONG.items():
        found[f"error: {name}"] = error_case(root, wrong)
    result: dict[str, Any] = json.loads(json.dumps(found))
    return result


if __name__ == "__main__":
    result = run(sys.argv[1])
    print(json.dumps(result))
