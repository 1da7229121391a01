"""Run scenarios with the engine that ``import mmengine`` gives here; write a JSON file for each.

Usage: python drive.py (mmengine | mm2pl) OUTPUT_FOLDER [NAME ...]

Everything is imported once; each scenario then runs in a fork, so it starts from the same clean
state and cannot harm the next one.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import random
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCENARIOS = HERE.parent / "scenarios"
TIMEOUT = 120  # seconds for one scenario
AT_ONCE = 2


def main(engine: str, output: str, *names: str) -> None:
    if engine == "mm2pl":
        import mm2pl

        mm2pl.install_as_mmengine()
    import torch

    torch.set_num_threads(1)
    scenarios = load(set(names))
    folder = Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    running: dict[int, tuple[str, float]] = {}
    for name, function in scenarios.items():
        while len(running) >= AT_ONCE:
            reap(running, folder)
        running[start(name, function, folder)] = (name, time.monotonic())
    while running:
        reap(running, folder)


def load(names: set[str]) -> dict[str, Callable[[Any], None]]:
    """Return the public functions of the scenario files as ``file.function``."""
    found = {}
    for path in sorted(SCENARIOS.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"scenario_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # worker processes and pickles look classes up by name
        spec.loader.exec_module(module)
        for name, function in vars(module).items():
            ours = inspect.isfunction(function) and function.__module__ == spec.name
            if ours and not name.startswith("_"):
                found[f"{path.stem}.{name}"] = function
    return {name: function for name, function in found.items() if not names or name in names}


def start(name: str, function: Callable[[Any], None], folder: Path) -> int:
    """Run one scenario in a fork with its own session and output file; return the process id."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    with (folder / f"{name}.out").open("w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    try:
        report = run(function)
        (folder / f"{name}.json").write_text(json.dumps(report))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def reap(running: dict[int, tuple[str, float]], folder: Path) -> None:
    """Wait for one scenario to end, and end one that takes too long."""
    pid, _ = os.waitpid(-1, os.WNOHANG)
    if pid:
        running.pop(pid, None)
        return
    for late, (name, since) in running.items():
        if time.monotonic() - since > TIMEOUT:
            os.killpg(late, signal.SIGKILL)
            report = {"error": {"type": "Timeout", "message": f"more than {TIMEOUT} s"}}
            (folder / f"{name}.json").write_text(json.dumps(report))
    time.sleep(0.01)


def run(function: Callable[[Any], None]) -> dict[str, Any]:
    """Run one scenario; return its events and all that it left behind."""
    import mmengine
    import numpy as np
    import torch
    from case import Case
    from collect import collect
    from tracing import EVENTS

    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)
    with tempfile.TemporaryDirectory() as work_dir:
        os.chdir(work_dir)
        case = Case(Path(work_dir).resolve() / "work", function.__module__, function.__name__)
        case.work_dir.mkdir()
        error = None
        try:
            function(case)
        except Exception as caught:
            traceback.print_exc()
            error = {"type": type(caught).__name__, "message": str(caught)}
        report = {
            "error": error,
            "engine": Path(mmengine.__file__).parts[-3],  # site or mm2pl
            "trace": EVENTS,
            **case.outcome(),
            **collect(case.work_dir),
        }
        os.chdir("/")
    return report


if __name__ == "__main__":
    main(*sys.argv[1:])
