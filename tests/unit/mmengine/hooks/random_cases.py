"""Questions that hooks ask, by random arguments, and hooks registered at random.

``python random_cases.py mmengine`` prints MMEngine's; ``run("mm2pl.mmengine")`` returns ours.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import random
import sys
import tempfile
import warnings
from types import SimpleNamespace
from typing import Any

_REFUSALS = (AssertionError, KeyError, TypeError, ValueError)
SHARED = ("_before_epoch", "_after_epoch", "_before_iter", "_after_iter")


def questions(root: str) -> list[Any]:
    """Return the answers of all helpers for random places in random runs."""
    hook = importlib.import_module(f"{root}.hooks").Hook()
    draw = random.Random(1)
    answers: list[Any] = []
    for _ in range(2000):
        place = {name: draw.randint(0, 12) for name in ("epoch", "iter")}
        ends = {name: draw.randint(1, 13) for name in ("max_epochs", "max_iters")}
        runner = SimpleNamespace(**place, **ends)
        n, start, batch = draw.randint(-2, 6), draw.randint(-3, 15), draw.randint(0, 9)
        answers.append(
            [
                hook.every_n_epochs(runner, n),
                hook.every_n_epochs(runner, n, start),
                hook.every_n_train_iters(runner, n, start=start),
                hook.every_n_inner_iters(batch, n),
                hook.end_of_epoch(range(draw.randint(1, 9)), batch),
                hook.is_last_train_epoch(runner),
                hook.is_last_train_iter(runner),
            ]
        )
    return answers


def stages(root: str) -> list[list[str]]:
    """Return the points of classes that override methods at random, themselves or by a base."""
    base = importlib.import_module(f"{root}.hooks").Hook
    draw = random.Random(2)
    found = []
    for _ in range(150):
        names = draw.sample([*base.stages, *SHARED], draw.randint(0, 5))
        middle = type("Middle", (base,), dict.fromkeys(names[:2], lambda self, *a, **k: None))
        kind = type("Kind", (middle,), dict.fromkeys(names[2:], lambda self, *a, **k: None))
        found.append(sorted(kind().get_triggered_stages()))
    return found


def stopping(root: str) -> list[Any]:
    """Return what early stopping says to random scores by random settings."""
    kind = importlib.import_module(f"{root}.hooks").EarlyStoppingHook
    draw = random.Random(3)
    found: list[Any] = []
    for _ in range(200):
        settings: dict[str, Any] = {
            "monitor": draw.choice(["acc", "my/Loss_cls", "bbox_mAP", "top5", "thing"]),
            "rule": draw.choice([None, "greater", "less"]),
            "min_delta": draw.choice([0.1, 0.0, 0.5, -0.1]),
            "strict": draw.random() < 0.3,
            "check_finite": draw.random() < 0.7,
            "patience": draw.randint(0, 3),
            "stopping_threshold": draw.choice([None, 0.8, -0.5]),
        }
        said: list[str] = []
        loop = SimpleNamespace(stop_training=False)
        logger = SimpleNamespace(info=said.append)
        runner = SimpleNamespace(train_loop=loop, _train_loop=loop, logger=logger)
        states: list[Any] = [settings]
        found.append(states)
        try:
            hook = kind(**settings)
            hook.before_run(runner)
            for _ in range(8):
                odd = draw.choice([float("nan"), float("inf"), -float("inf"), True, 1])
                score = odd if draw.random() < 0.15 else round(draw.uniform(-1, 1.2), 2)
                present = draw.random() < 0.9
                loop.stop_training = False
                with warnings.catch_warnings(record=True) as warned:
                    warnings.simplefilter("always")
                    hook.after_val_epoch(runner, {settings["monitor"]: score} if present else {})
                state = [loop.stop_training, hook.wait_count, repr(hook.best_score), len(warned)]
                states.append(state)
        except (ValueError, RuntimeError) as error:
            states.append("ValueError" if isinstance(error, ValueError) else "RuntimeError")
        states.append(said)
    return found


def registered(root: str) -> list[Any]:
    """Return the tables of hooks that were registered in random ways, with what was refused."""
    hooks = importlib.import_module(f"{root}.hooks")
    runner_module = importlib.import_module(f"{root}.runner")
    registry = importlib.import_module(f"{root}.registry").HOOKS
    model = importlib.import_module(f"{root}.model").BaseModel

    class Model(model):  # type: ignore[misc, valid-type]
        def forward(self, *args: Any, **kwargs: Any) -> None: ...

    def point(self: Any, runner: Any) -> None: ...

    kinds = {
        f"Registered{level}": type(
            f"Registered{level}", (hooks.Hook,), {"priority": level, "before_run": point}
        )
        for level in ("HIGH", "low", 50, 73)
    }
    draw = random.Random(4)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        runner = runner_module.Runner(model=Model(), work_dir=folder, experiment_name="register")
        for name, kind in kinds.items():
            registry.register_module(name=name, module=kind)
        try:
            found = [_register(draw, runner, kinds, runner_module.Priority) for _ in range(150)]
        finally:
            for name in kinds:
                registry.module_dict.pop(name)
            for handler in runner.logger.handlers:
                handler.close()
            # Or the next one to log by the current logger opens the file again, which has gone.
            type(runner.logger)._instance_dict.pop(runner.logger.instance_name)
    return found


def _register(draw: random.Random, runner: Any, kinds: dict[str, Any], levels: Any) -> Any:
    """Do some registering, and return the table."""
    runner._hooks.clear()
    names = ("runtime_info", "timer", "sampler_seed", "logger", "param_scheduler", "checkpoint")

    def hook() -> Any:
        name = draw.choice(list(kinds))
        if draw.random() < 0.3:
            return kinds[name]()
        level = draw.choice([None, 0, 50, 100, "VERY_HIGH", "normal", levels.LOW, "ABSENT", 101])
        return {"type": name} if level is None else {"type": name, "priority": level}

    refused = []
    for way in draw.choices(["default", "custom", "one", "all"], k=draw.randint(1, 3)):
        changed = {name: draw.choice([None, hook()]) for name in draw.sample(names, 2)}
        added = {"mine": hook()} if draw.random() < 0.5 else {}
        if draw.random() < 0.1:
            added["absent"] = None
        priority = draw.choice([None, 10, "LOW", levels.HIGHEST])
        some = [hook() for _ in range(draw.randint(0, 3))]
        try:
            if way == "default":
                runner.register_default_hooks(draw.choice([None, {}, {**changed, **added}]))
            elif way == "custom":
                runner.register_custom_hooks(some)
            elif way == "one":
                runner.register_hook(draw.choice([hook(), "no hook"]), priority=priority)
            else:
                runner.register_hooks({**changed, **added}, some or None)
        except _REFUSALS as error:
            refused.append(next(one.__name__ for one in _REFUSALS if isinstance(error, one)))
    return [[type(one).__name__ for one in runner.hooks], runner.get_hooks_info(), refused]


def run(root: str) -> dict[str, Any]:
    found = {each.__name__: each(root) for each in (questions, stages, stopping, registered)}
    result: dict[str, Any] = json.loads(json.dumps(found, default=str))
    return result


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1])))
