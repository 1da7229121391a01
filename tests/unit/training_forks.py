"""Trains in forks of one process that has imported everything.

``training_forks.py train`` reads ``{name: [[folder, settings], ...]}`` as JSON and prints ``{name:
[[exit status, output], ...]}``; those in one list train together. With ``"signal_at"`` in its
settings a run sends itself SIGTERM within that iteration, with ``"full_at"`` files cannot grow any
more from there on.

``training_forks.py kill FOLDER COUNT HOOK`` trains to the end in ``FOLDER/whole``; in
``FOLDER/killed`` it kills the run so many times, and prints what it saw. ``HOOK`` holds arguments
of the CheckpointHook, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from torch import nn

from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.hooks import CheckpointHook, Hook
from mm2pl.runner import Runner
from tests.unit.schedule_runs import Line
from tests.unit.test_runner import config


class Signals(Hook):
    """Sends a signal in the middle of an iteration or of a validation, and tells of each."""

    def __init__(self, at: int | None, times: int, point: str) -> None:
        self.at, self.times, self.point = at, times, point
        self.full_at: int | None = None

    def _send(self, runner: Any, point: str) -> None:
        print(f"{point} {runner.iter}", flush=True)
        if point == self.point and runner.iter == self.at:
            self.at = None
            for _ in range(self.times):
                os.kill(os.getpid(), signal.SIGTERM)

    def before_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        self._send(runner, "train")
        if runner.iter == self.full_at:
            for hook in runner.hooks:
                if isinstance(hook, CheckpointHook):  # what it is writing still fits
                    hook.checkpoint_files.wait()
            resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))

    def after_val_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        self._send(runner, "val")


def train(folder: str, settings: dict[str, Any]) -> None:
    os.environ.update(settings.pop("variables", {}))
    hook = Signals(
        settings.pop("signal_at", None), settings.pop("times", 1), settings.pop("point", "train")
    )
    hook.full_at = settings.pop("full_at", None)
    if settings.pop("wide", False):
        settings["model"] = {"type": Wide}
    if settings.pop("read_only", False):
        Path(folder).mkdir()
        Path(folder).chmod(0o555)
        if os.getuid() == 0:  # who may write anywhere
            os.setuid(65534)
    if settings.pop("own_handler", False):
        signal.signal(signal.SIGTERM, lambda *_: print("own handler", flush=True))
    before = signal.getsignal(signal.SIGTERM)
    runner = Runner.from_cfg(config(Path(folder), **{"log_level": "WARNING"} | settings))
    runner.register_hook(hook)
    try:
        model = runner.train()
    finally:
        print("handler restored", signal.getsignal(signal.SIGTERM) == before, flush=True)
        print("ended at", runner.iter, flush=True)
    torch.save(model.state_dict(), Path(folder, "final.pt"))


class Wide(Line):
    """Takes a while to save."""

    def __init__(self) -> None:
        super().__init__()
        self.more = nn.Linear(2, 100_000)

    def forward(self, inputs: Any, target: Any, mode: str = "tensor") -> Any:
        found = super().forward(inputs, target, mode)
        if mode == "loss":
            found["more"] = (self.more(inputs) ** 2).mean()
        return found


class Error(BaseMetric):
    def process(self, data_batch: Any, data_samples: Any) -> None:
        (found,) = data_samples
        self.results.append(float((found - torch.stack(list(data_batch["target"]))).abs().mean()))

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return {"error": sum(results)}


class Pauses(Hook):
    """Lets a run do so many epochs, and then nothing more until it is killed."""

    def __init__(self, epochs: int) -> None:
        self.left = epochs

    def before_train_epoch(self, runner: Any) -> None:
        if not self.left:
            signal.pause()
        self.left -= 1


def train_wide(folder: str, until: int, settings: dict[str, Any], epochs: int = -1) -> None:
    hook = {"type": "CheckpointHook", "interval": 1, "max_keep_ckpts": 2, **settings}
    best = {"save_best": "error", "rule": "less"}
    changes = {
        "model": {"type": Wide},
        "train_cfg": {"by_epoch": True, "max_epochs": until},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.001, "momentum": 0.9}},
        "param_scheduler": [{"type": "LinearLR", "start_factor": 0.1, "end": 25}],
        "default_hooks": {"checkpoint": hook | best},
        "val_evaluator": {"type": Error},
    }
    runner = Runner.from_cfg(config(Path(folder), resume=True, **changes))
    runner.register_hook(Pauses(epochs))
    model = runner.train()
    torch.save(model.state_dict(), Path(folder, "final.pt"))


def fork(run: Callable[[], None], out: Any) -> int:
    child = os.fork()
    if child:
        return child
    status = 0
    os.dup2(out.fileno(), 1)
    os.dup2(out.fileno(), 2)
    try:
        run()
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    os._exit(status)


def train_all(jobs: dict[str, Any]) -> dict[str, Any]:
    results = {}
    for name, alike in jobs.items():
        started = []
        for folder, settings in alike:  # more than one: they train together
            out = tempfile.TemporaryFile()  # noqa: SIM115  several at a time
            started.append((fork(lambda f=folder, s=settings: train(f, s), out), out))
        results[name] = []
        for child, out in started:
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            out.seek(0)
            results[name].append([status, out.read().decode()])
            out.close()
    return results


def kill(folder: Path, count: int, hook: dict[str, Any]) -> dict[str, Any]:
    """Kill a run at random moments of its next two epochs, setting up and writing included."""
    draw, killed = random.Random(), folder / "killed"
    seen: dict[str, Any] = {"cut off": 0, "ended": 0, "newest": []}
    until = 2 * count + 10  # however late it is killed, no run comes near the end
    with tempfile.TemporaryFile() as out:
        os.waitpid(fork(lambda: train_wide(str(folder / "whole"), until, {}), out), 0)
        for number in range(count):
            child = fork(lambda: train_wide(str(killed), until, hook, epochs=2), out)
            if number < 3:
                time.sleep(draw.uniform(0, 0.5))
            else:
                _wait_for_a_write(child, killed, draw)
                time.sleep(draw.uniform(0, 0.001 if number % 3 else 0.06))
            os.kill(child, signal.SIGKILL)
            seen["ended"] += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            seen["cut off"] += any(killed.glob(".*.incomplete"))
            marker = killed / "last_checkpoint"
            seen["newest"].append(marker.exists() and int(marker.read_text().split("_")[-1][:-4]))
        status = os.waitpid(fork(lambda: train_wide(str(killed), until, hook), out), 0)[1]
        out.seek(0)
        text = out.read().decode()
    return seen | {"status": os.waitstatus_to_exitcode(status), "output": text[-3000:]}


def _wait_for_a_write(child: int, folder: Path, draw: random.Random) -> None:
    """Wait until one of the next files is half written, if one is seen."""
    end = time.monotonic() + 2
    for _ in range(draw.randint(1, 5)):
        before = set(folder.glob(".*.incomplete"))
        while set(folder.glob(".*.incomplete")) <= before:
            ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended or time.monotonic() > end:
                return
            time.sleep(0.0002)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    if sys.argv[1] == "kill":
        print(json.dumps(kill(Path(sys.argv[2]), int(sys.argv[3]), json.loads(sys.argv[4]))))
    else:
        print(json.dumps(train_all(json.load(sys.stdin))))
