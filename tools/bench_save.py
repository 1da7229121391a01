"""Measure how long saving a checkpoint holds training up, side by side with MMEngine.

What counts is the time that CheckpointHook's methods take, at a save and, with ``save_best``, at
the end of the validation behind it. Each engine has a process of its own. They take turns, round by
round, with all that was written before on the disk; the result is the median round, and the median
of the rounds' own ratios. The ratio of CPU time leaves out the waiting for the disk, on which mm2pl
puts each file before it goes on, and for other processes.

The last column is what a training step costs while a file is written in the background, against a
step beside which nothing is written.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
SAVES, STEPS, TENSORS = 3, 6, 60
KINDS = ("plain", "best", "async", "async best")

# (process, kind, megabytes): of each round the seconds held up, those of CPU time among them, and
# the ratio of steps
Measurements = dict[tuple[str, str, int], list[tuple[float, float, float]]]


def main() -> None:
    options = _options()
    if options.process:
        serve(options.process)
        return
    figures = measure(options.rounds, options.megabytes)
    print(table(figures, options.megabytes))
    worst = max(
        ratio(figures, kind, size) for kind in ("plain", "best") for size in options.megabytes
    )
    if options.limit is not None and worst > options.limit:
        sys.exit(f"error: a save of mm2pl takes {worst:.2f} of MMEngine's, limit {options.limit}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--megabytes",
        type=lambda text: [int(part) for part in text.split(",")],
        default=[10, 100, 400],
        metavar="N,...",
        help="size of a file: weights and the two states of Adam (default: 10,100,400)",
    )
    parser.add_argument(
        "--assert",
        type=float,
        dest="limit",
        metavar="X",
        help="fail if a save of mm2pl, not in the background, takes more than X times MMEngine's",
    )
    parser.add_argument("--process", choices=("mmengine", "mm2pl"), help=argparse.SUPPRESS)
    return parser.parse_args()


def ratio(figures: Measurements, kind: str, size: int, column: int = 0) -> float:
    """Return the median of the rounds' ratios: mm2pl's hold-up to MMEngine's beside it."""
    reference = kind.removeprefix("async").strip() or "plain"
    pairs = zip(figures["mm2pl", kind, size], figures["mmengine", reference, size], strict=True)
    return statistics.median(ours[column] / theirs[column] for ours, theirs in pairs)


def table(figures: Measurements, sizes: list[int]) -> str:
    """Return the results as aligned text."""
    lines = [
        f"{'a save, with Adam':38}{'MMEngine':>10}{'mm2pl':>10}{'ratio':>8}{'of CPU':>8}"
        f"{'steps beside':>14}"
    ]
    names = {
        "plain": "synchronous",
        "best": "synchronous, save_best",
        "async": "in the background",
        "async best": "in the background, save_best",
    }
    for size, kind in itertools.product(sizes, KINDS):
        reference = kind.removeprefix("async").strip() or "plain"
        own = figures["mm2pl", kind, size]
        theirs, ours = (
            f"{statistics.median(one for one, *_ in rounds) * 1000:.0f} ms"
            for rounds in (figures["mmengine", reference, size], own)
        )
        beside = statistics.median(slower for *_, slower in own)
        lines.append(
            f"{f'{size} MB, {names[kind]}':38}{theirs:>10}{ours:>10}"
            f"{ratio(figures, kind, size):>8.2f}{ratio(figures, kind, size, 1):>8.2f}"
            + (f"{f'x {beside:.2f}':>14}" if kind.startswith("async") else "")
        )
    return "\n".join(lines)


def measure(rounds: int, sizes: list[int]) -> Measurements:
    """Return the figures of each round but the first, which only warms up."""
    sys.path.insert(0, str(ROOT))
    from tools.bench import worker

    found: Measurements = {}
    with contextlib.ExitStack() as stack:
        ask = {name: stack.enter_context(worker(__file__, name)) for name in ("mmengine", "mm2pl")}
        for size, number in itertools.product(sizes, range(rounds + 1)):
            for kind, name in itertools.product(KINDS, ask):
                if name == "mm2pl" or not kind.startswith("async"):
                    answer = ask[name](kind, size)
                    if number:
                        found.setdefault((name, kind, size), []).append(tuple(answer))
    return found


# --------------------------------------------------------------------------- the processes' side


def serve(process: str) -> None:
    """Answer requests ``[kind, megabytes]`` with what :func:`train` returns."""
    answers = os.fdopen(os.dup(1), "w")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # the engines log to the console, too
        if process == "mm2pl":
            import mm2pl

            mm2pl.install_as_mmengine()
        warnings.simplefilter("ignore")
        for request in sys.stdin:
            kind, size = json.loads(request)
            with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
                answer = train(kind, size, folder)
            print(json.dumps(answer), file=answers, flush=True)


def train(kind: str, megabytes: int, folder: str) -> tuple[float, float, float]:
    """Train and save a few times; return the medians of a save, and the ratio of steps."""
    from mmengine.config import Config
    from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
    from mmengine.runner import Runner

    hook = timed_hook()
    HOOKS.register_module(module=hook, name="Timed", force=True)
    METRICS.register_module(module=rising_metric(), name="Rising", force=True)
    MODELS.register_module(module=network(), name="Network", force=True)
    DATASETS.register_module(module=samples(), name="Samples", force=True)
    settings: dict[str, Any] = {"save_best": "score", "rule": "greater"} if "best" in kind else {}
    if kind.startswith("async"):
        settings["async_save"] = True
    loader = {
        "batch_size": 1,
        "num_workers": 0,
        "dataset": {"type": "Samples"},
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "collate_fn": {"type": "default_collate"},
    }
    config = Config(
        {
            "model": {"type": "Network", "megabytes": megabytes},
            "work_dir": folder,
            "train_dataloader": loader,
            "train_cfg": {"by_epoch": True, "max_epochs": SAVES + 1},
            "optim_wrapper": {"optimizer": {"type": "Adam", "lr": 0.001}},
            "default_hooks": {
                "checkpoint": {"type": "Timed", "interval": 1, "max_keep_ckpts": 1, **settings}
            },
            "experiment_name": f"bench_{Path(folder).name}",
        }
    )
    if "best" in kind:
        config.merge_from_dict(
            {"val_dataloader": loader, "val_cfg": {}, "val_evaluator": {"type": "Rising"}}
        )
    Runner.from_cfg(config).train()
    # The first save warms up.
    wall, cpu = (
        statistics.median(times[1:])
        for times in zip(*hook.held, strict=True)  # type: ignore[attr-defined]
    )
    return wall, cpu, hook.slower()  # type: ignore[attr-defined]


def timed_hook() -> type:
    """Return a CheckpointHook that notes how long it takes in each epoch."""
    from mmengine.hooks import CheckpointHook

    class Timed(CheckpointHook):  # type: ignore[misc]  # a class or untyped, by who answers
        held: list[tuple[float, float]] = []  # seconds, and those of CPU time
        steps: dict[bool, list[float]] = {True: [], False: []}
        started, busy = 0.0, False

        def before_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
            self.started = time.perf_counter()
            self.busy = hasattr(self, "checkpoint_files") and self.checkpoint_files.busy

        def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
            if runner.iter >= STEPS:
                self.steps[self.busy].append(time.perf_counter() - self.started)
            super().after_train_iter(runner, *args, **kwargs)

        def after_train_epoch(self, runner: Any) -> None:
            if hasattr(self, "checkpoint_files"):
                self.checkpoint_files.wait()
            os.sync()  # what was written before is not to count
            self._time(super().after_train_epoch, runner, new=True)

        def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
            self._time(super().after_val_epoch, runner, metrics)

        def _time(self, call: Callable[..., None], *args: Any, new: bool = False) -> None:
            start, cpu = time.perf_counter(), time.thread_time()
            call(*args)
            taken = time.perf_counter() - start, time.thread_time() - cpu
            before = (0.0, 0.0) if new else self.held.pop()
            self.held.append((before[0] + taken[0], before[1] + taken[1]))

        @classmethod
        def slower(cls) -> float:
            beside, alone = cls.steps[True], cls.steps[False]
            if not beside or not alone:
                return 1.0
            return statistics.median(beside) / statistics.median(alone)

    return Timed


def rising_metric() -> type:
    """Return a metric that is better each time."""
    from mmengine.evaluator import BaseMetric

    class Rising(BaseMetric):  # type: ignore[misc]
        score = 0

        def process(self, data_batch: Any, data_samples: Any) -> None:
            self.results.append(0)

        def compute_metrics(self, results: list[Any]) -> dict[str, float]:
            self.score += 1
            return {"score": float(self.score)}

    return Rising


def samples() -> type:
    """Return a dataset of as many samples as there are steps between two saves."""
    from torch.utils.data import Dataset

    class Samples(Dataset[dict[str, float]]):
        def __len__(self) -> int:
            return STEPS

        def __getitem__(self, index: int) -> dict[str, float]:
            return {"inputs": 0.0}

    return Samples


def network() -> type:
    """Return a model whose weights are a third of so many megabytes."""
    import torch
    from mmengine.model import BaseModel

    class Network(BaseModel):  # type: ignore[misc]
        def __init__(self, megabytes: int) -> None:
            super().__init__()
            size = megabytes * 1_000_000 // 4 // 3 // TENSORS
            self.weights = torch.nn.ParameterList([torch.randn(size) for _ in range(TENSORS)])

        def forward(self, inputs: torch.Tensor, mode: str = "tensor") -> Any:
            if mode == "predict":
                return [0]
            return {"loss": torch.stack([weight.square().mean() for weight in self.weights]).sum()}

    return Network


if __name__ == "__main__":
    main()
