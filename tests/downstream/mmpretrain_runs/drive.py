"""Run jobs with the engine that ``import mmengine`` gives here; write a JSON file for each.

Usage: python drive.py (mmengine | mm2pl) JOBS.json

mmpretrain is imported once; each job then runs in a fork, so it starts from the same clean state.
A job is a dict with ``name``, ``door``, ``config``, ``options``, ``args`` and ``work_dir``.
"""

from __future__ import annotations

import json
import os
import pickle
import runpy
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PATHS = [HERE, HERE.parents[1] / "parity/harness"]
TIMEOUT = 240  # seconds for one job
AT_ONCE = 2


def main(engine: str, jobs_file: str) -> None:
    sys.path[:0] = [str(path) for path in PATHS]
    if engine == "mm2pl":
        import mm2pl

        mm2pl.install_as_mmengine()
        import mm2pl.runner  # Lightning, imported once

        # The exact way is compared with runs that were never interrupted.
        mm2pl.runner.Runner.resumes_exactly = False
    _import_library()
    jobs = json.loads(Path(jobs_file).read_text())
    done: set[str] = set()
    running: dict[int, tuple[dict[str, Any], float]] = {}
    while jobs or running:
        ready = [job for job in jobs if job.get("after") is None or job["after"] in done]
        if ready and len(running) < AT_ONCE:
            jobs.remove(ready[0])
            running[_start(engine, ready[0])] = (ready[0], time.monotonic())
        else:
            done |= _reap(running)


def _import_library() -> None:
    import numpy as np
    import recorder  # noqa: F401
    import torch
    from mmpretrain.utils import register_all_modules

    if not hasattr(np, "in1d"):
        np.in1d = np.isin  # NumPy 2.4 dropped it, mmpretrain's retrieval metrics call it
    torch.set_num_threads(1)
    register_all_modules(init_default_scope=False)


def _start(engine: str, job: dict[str, Any]) -> int:
    """Run one job in a fork with its own session and output file; return the process id."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    folder = Path(job["work_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".out").open("w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    started = time.monotonic()
    try:
        report = {**_run(engine, job), "seconds": round(time.monotonic() - started, 1)}
        folder.with_suffix(".json").write_text(json.dumps(report))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _reap(running: dict[int, tuple[dict[str, Any], float]]) -> set[str]:
    """Wait for jobs to end; return the names of those that did."""
    ended = set()
    for pid, (job, since) in list(running.items()):
        if time.monotonic() - since > TIMEOUT:
            os.killpg(pid, signal.SIGKILL)
        if os.waitpid(pid, os.WNOHANG)[0]:
            ended.add(job["name"])
            del running[pid]
    time.sleep(0.05)
    return ended


def _run(engine: str, job: dict[str, Any]) -> dict[str, Any]:
    from collect import collect
    from tracing import exact

    work_dir = Path(job["work_dir"])
    record = work_dir.with_suffix(".record")
    os.environ["RECORD"] = str(record)
    error = None
    try:
        DOORS[job["door"]](engine, job)
    except SystemExit as stop:
        error = f"SystemExit: {stop.code}" if stop.code else None
    except Exception as raised:
        traceback.print_exc()
        error = f"{type(raised).__name__}: {raised}"
    recorded = json.loads(record.read_text()) if record.exists() else {}
    second = record.with_suffix(".record.1")
    if second.exists():
        recorded["second rank"] = json.loads(second.read_text())
    report = {"error": error, **recorded, **collect(work_dir)}
    report["predictions"] = [
        exact(pickle.loads(path.read_bytes())) for path in sorted(work_dir.glob("*.pkl"))
    ]
    text = json.dumps(report)
    for path, mask in (
        (job.get("other"), "<root>"),
        (work_dir.parent, "<root>"),
        (work_dir.parents[1], "<runs>"),
    ):
        text = text.replace(str(path), mask)
    return json.loads(text)  # type: ignore[no-any-return]


# Doors


def _script(engine: str, job: dict[str, Any]) -> None:
    """Run the library's own script; on our side by ``mm2pl run``."""
    arguments = [job["config"], *job["args"], *_options(job)]
    if engine == "mm2pl":
        _command("run", job["script"], *arguments)
        return
    sys.argv = [job["script"], *arguments]
    runpy.run_path(job["script"], run_name="__main__")


def _cli(engine: str, job: dict[str, Any]) -> None:
    """Run ``mm2pl fit`` or ``mm2pl test``."""
    _command(job["door"], job["config"], *job["args"], *_options(job))


def _options(job: dict[str, Any]) -> list[str]:
    return ["--cfg-options", *job["options"]] if job["options"] else []


def _command(*arguments: str) -> None:
    from mm2pl.cli import main

    status = main(arguments)
    if status:
        raise RuntimeError(f"mm2pl {arguments[0]} ended with status {status}")


def _process(engine: str, job: dict[str, Any]) -> None:
    """Run a command of ``mm2pl`` in a fresh process, where nothing is imported yet."""
    command = ["fit"] if job["name"].endswith("fit") else ["run", job["script"]]
    arguments = [*command, job["config"], *job["args"], *_options(job)]
    subprocess.run([sys.executable, "-m", "mm2pl", *arguments], check=True)


def _distributed(engine: str, job: dict[str, Any]) -> None:
    """Run the library's own script in two processes, as its ``dist_train.sh`` does."""
    launch = ["-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={_free_port()}"]
    program = ["-m", "mm2pl", "run", job["script"]] if engine == "mm2pl" else [job["script"]]
    arguments = [job["config"], *job["args"], "--launcher", "pytorch", *_options(job)]
    arguments.append("env_cfg.dist_cfg.backend=gloo")
    subprocess.run([sys.executable, *launch, *program, *arguments], check=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _from_cfg(engine: str, job: dict[str, Any]) -> None:
    from mmengine.config import Config, DictAction
    from mmengine.runner import Runner

    cfg = Config.fromfile(job["config"])
    for stage in ("train", "val", "test"):  # as the library's script does
        loader = cfg.get(f"{stage}_dataloader")
        if loader is not None:
            for key, value in _LOADER_DEFAULTS.items():
                loader.setdefault(key, value)
    pairs = (option.split("=", 1) for option in job["options"])
    cfg.merge_from_dict({key: DictAction._parse_iterable(value) for key, value in pairs})
    cfg.work_dir = job["work_dir"]
    cfg.launcher = "none"
    Runner.from_cfg(cfg).train()


_LOADER_DEFAULTS: dict[str, Any] = {
    "pin_memory": True,
    "persistent_workers": True,
    "collate_fn": {"type": "default_collate"},
}

DOORS: dict[str, Callable[[str, dict[str, Any]], None]] = {
    "script": _script,
    "fit": _cli,
    "test": _cli,
    "from_cfg": _from_cfg,
    "process": _process,
    "ddp": _distributed,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
