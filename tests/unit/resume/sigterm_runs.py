"""Trains in forks and sends signals to data workers and the run itself. See test_sigterm.py.

``sigterm_runs.py FOLDER`` prints ``{case: [exit status, output]}`` as its last line.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

import torch

from mm2pl.mmengine.hooks import Hook
from tests.unit.resume.resume_runs import Noisy, config, epochs, loader, run
from tests.unit.resume.test_own_states import Mixed, Telling
from tests.unit.training_forks import fork

WORKERS = {"num_workers": 2}
PERSISTENT = {"num_workers": 2, "persistent_workers": True}
KINDS = {"new": WORKERS, "persistent": PERSISTENT}


class Scheduler(Hook):
    """Takes the node away at an iteration.

    Args:
        at: The iteration.
        way: Which processes get the signal, and when.
        point: ``iter``, ``step`` for its end, or ``val`` for the validation after it.
    """

    priority = "VERY_HIGH"

    def __init__(self, at: int, way: str, point: str = "iter") -> None:
        self.at, self.way, self.point = at, way, point

    def before_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        if self.point == "iter":
            self.signal(runner)

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        if self.point == "step":  # weights are new, schedules are not
            self.signal(runner)

    def before_val_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        if self.point == "val":
            self.signal(runner)

    def signal(self, runner: Any) -> None:
        if runner.iter != self.at:
            return
        self.at = -1
        own = os.getpid()
        workers = map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split())
        if self.way == "workers killed":
            os.kill(own, signal.SIGTERM)
            time.sleep(0.1)
        for worker in workers:
            number = signal.SIGKILL if self.way == "workers killed" else signal.SIGTERM
            os.kill(worker, number)
        if self.way == "workers first":
            time.sleep(0.5)
        if self.way != "workers killed":
            os.kill(own, signal.SIGTERM)
        time.sleep(0.2)


def train(folder: Path, options: dict[str, Any], *hooks: Hook, **changes: Any) -> None:
    hook = {"type": "CheckpointHook", "by_epoch": False, "interval": 3}
    data = loader(Mixed(Telling(), size=22), **options)
    validation = loader(Noisy(6), **options, sampler={"type": "DefaultSampler", "shuffle": False})
    settings = config(
        folder,
        train_cfg=epochs(2),
        train_dataloader=data,
        val_dataloader=validation,
        default_hooks={"checkpoint": hook},
        custom_hooks=list(hooks),
        **changes,
    )
    _, end = run(settings)
    (folder / "end.json").write_text(json.dumps(end))


def main(folder: Path) -> None:
    results: dict[str, Any] = {}

    def start(name: str, *arguments: Any, **changes: Any) -> None:
        with tempfile.TemporaryFile() as out:
            child = fork(lambda: train(*arguments, **changes), out)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            out.seek(0)
            results[name] = [status, out.read().decode()]

    for kind, options in KINDS.items():
        start(f"{kind}, whole", folder / kind, options)
        for hook in (
            Scheduler(4, "workers first"),
            Scheduler(4, "all at once"),
            Scheduler(4, "workers killed", "step"),
            Scheduler(6, "all at once", "val"),
        ):
            case = f"{kind}, {hook.way}, {hook.point}"
            start(case, folder / case, options, hook)
            start(f"{case}, goes on", folder / case, options, resume=True)
    print(json.dumps(results))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
