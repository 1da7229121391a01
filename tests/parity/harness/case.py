"""What a scenario is given: a work_dir, a config to change, and the means to run it."""

from __future__ import annotations

import copy
import os
import shutil
import time
from pathlib import Path
from typing import Any

import mmengine
import toys  # noqa: F401  (registers the toys)
from mmengine.runner import Runner
from tracing import HISTORY, digest, exact, tracers

EXCHANGE = Path(os.environ["PARITY_EXCHANGE"]) if "PARITY_EXCHANGE" in os.environ else None


def loader(dataset: str = "ToyDataset", **options: Any) -> dict[str, Any]:
    """Return the config of a shuffled loader; options that a loader has not are the dataset's."""
    ours = {"batch_size": 4, "num_workers": 0, "sampler": {"type": "DefaultSampler"}}
    names = (*ours, "batch_sampler", "collate_fn", "drop_last", "persistent_workers", "pin_memory")
    names += ("worker_init_fn", "prefetch_factor", "num_batch_per_epoch")
    chosen = {key: options.pop(key) for key in names if key in options}
    chosen.setdefault("sampler", {"type": "DefaultSampler", "shuffle": True})
    dataset_cfg = options.pop("of", None) or {"type": dataset, **options}
    return {**ours, **chosen, "dataset": dataset_cfg}


def eval_loader(dataset: str = "ToyDataset", **options: Any) -> dict[str, Any]:
    """Return the config of a loader in order."""
    options.setdefault("sampler", {"type": "DefaultSampler", "shuffle": False})
    return loader(dataset, **{"size": 14, "batch_size": 5, **options})


class Case:
    """One scenario's folder and runs."""

    def __init__(self, work_dir: Path, *names: str) -> None:
        self.work_dir = work_dir
        self.name = ".".join(names)
        self.results: list[Any] = []
        self.runners: list[Any] = []

    def config(self, **changes: Any) -> dict[str, Any]:
        """Return a config that trains, validates and tests; ``None`` takes a section away."""
        config: dict[str, Any] = {
            "work_dir": str(self.work_dir),
            "default_scope": "mmengine",
            "model": {"type": "ToyModel"},
            "train_dataloader": loader(),
            "val_dataloader": eval_loader(),
            "test_dataloader": eval_loader(size=16),
            "train_cfg": {"by_epoch": True, "max_epochs": 3, "val_interval": 1},
            "val_cfg": {},
            "test_cfg": {},
            "val_evaluator": {"type": "ToyAccuracy"},
            "test_evaluator": {"type": "ToyAccuracy"},
            "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.05, "momentum": 0.9}},
            "default_hooks": {"logger": {"type": "LoggerHook", "interval": 2}},
            "randomness": {"seed": 7},
        }
        config.update(copy.deepcopy(changes) if _is_plain(changes) else changes)
        if config.get("resume") is True and not self.name.endswith("_from_the_other_engine"):
            # To MMEngine it is as true; mm2pl would go on exactly where its own checkpoint ends.
            config["resume"] = {"exact": False}
        return {key: value for key, value in config.items() if value is not None}

    def runner(self, config: dict[str, Any] | None = None, **changes: Any) -> Any:
        """Build a runner from a config, with tracing hooks in front of its custom hooks."""
        config = self.config(**changes) if config is None else config
        config["custom_hooks"] = [*tracers(), *config.get("custom_hooks", [])]
        return self.keep(Runner.from_cfg, config)

    def keep(self, make: Any, *args: Any, **kwargs: Any) -> Any:
        """Call ``make`` and remember its result as a runner whose end state is compared."""
        if self.runners:
            _let_a_second_pass()
        runner = make(*args, **kwargs)
        self.runners.append(runner)
        return runner

    def train(self, **changes: Any) -> Any:
        """Train by the config with ``changes``; return the runner."""
        runner = self.runner(**changes)
        runner.train()
        return runner

    def exchange(self, checkpoint: str) -> Path:
        """Leave a checkpoint for the other engine; return a copy of the other's, or of this one.

        The engines run one after the other: the first finds nothing from the other.
        """
        engine = Path(mmengine.__file__).parts[-3]
        folder = self.work_dir.parent if EXCHANGE is None else EXCHANGE
        name = f"{self.name}_{checkpoint}"
        shutil.copy(self.work_dir / checkpoint, folder / f"{engine}_{name}")
        found = sorted(folder.glob(f"*_{name}"))
        others = [path for path in found if not path.name.startswith(f"{engine}_")]
        return Path(shutil.copy((others or found)[0], self.work_dir.parent / "exchanged.pth"))

    def note(self, *values: Any) -> None:
        """Compare these values too."""
        self.results.append([exact(value) for value in values])

    def outcome(self) -> dict[str, Any]:
        """Return what is compared besides the files: noted values, scalars and final weights."""
        return {
            "result": self.results,
            "history": HISTORY,
            "weights": [_end_state(runner) for runner in self.runners],
        }


def _is_plain(value: Any) -> bool:
    """Tell whether a config has no objects in it, which are not to be copied."""
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str, type))


def _end_state(runner: Any) -> dict[str, Any]:
    state: dict[str, Any] = {
        "weights": {k: f"{exact(v)} {digest(v)}" for k, v in runner.model.state_dict().items()}
    }
    if hasattr(runner.optim_wrapper, "state_dict"):
        state["optimizer"] = exact(runner.optim_wrapper.state_dict())
    return state


def _let_a_second_pass() -> None:
    """Put the clock forward: time stamps, which name folders and singletons, count seconds."""
    now = time.time
    time.time = lambda: now() + 1.0
