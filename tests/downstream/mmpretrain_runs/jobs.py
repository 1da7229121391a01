"""Which jobs each engine runs, and how the engines' processes are started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.downstream.mmpretrain_runs.cases import CASES, Case
from tools import reference as reference_tool

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
STUBS = HERE.parent / "stubs"
LIBRARY = reference_tool.LIBRARIES / "mmpretrain"

ENGINES = ("mmengine", "mm2pl")
_KINDS = {
    "fit": "fit",
    "from_cfg": "from_cfg",
    "own_fit": "process",
    "own_run": "process",
    "ddp": "ddp",
}


def environment(engine: str) -> dict[str, str]:
    """Return the variables for a process that runs mmpretrain with an engine."""
    last = reference_tool.SITE if engine == "mmengine" else ROOT
    paths = (STUBS, HERE, HERE.parents[1] / "parity/harness", reference_tool.LIBRARIES, last)
    return {
        **reference_tool.environment(),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
    }


def jobs_of(engine: str, name: str, folder: Path, data: str) -> list[dict[str, Any]]:
    """Return the jobs of one case: training through each door, then testing and resuming."""
    case = CASES[name]
    root = folder / engine / name
    doors = ("train",) if engine == "mmengine" else (*case.doors, *case.processes)
    doors += ("ddp",) if case.distributed else ()
    jobs = [_job(case, root, door, data) for door in doors]
    after = [*_tests(engine, case, root, data)] if case.tests else []
    if case.resumes:
        resume = _job(case, root, "resume", data)
        after.append({**resume, "args": [*resume["args"], "--resume", f"{root}/train/epoch_1.pth"]})
    jobs += [{**job, "after": f"{name} train"} for job in after]
    if engine == "mm2pl" and case.resumes:
        jobs.append(exchange(engine, name, folder, data))
    return [{**job, "name": f"{name} {job['name']}"} for job in jobs]


def _tests(engine: str, case: Case, root: Path, data: str) -> Iterator[dict[str, Any]]:
    job = _job(case, root, "test", data)
    trained = root / "train"
    if case.tests_copy:
        job |= {"config": str(trained / Path(job["config"]).name), "options": []}
    extra = [one.replace("{work_dir}", job["work_dir"]) for one in case.test_args]
    yield {**job, "args": [f"{trained}/epoch_2.pth", *job["args"], *extra]}
    if engine == "mm2pl" and not extra:
        job |= {"name": "cli_test", "door": "test", "work_dir": str(root / "cli_test")}
        yield {**job, "args": [f"{trained}/epoch_2.pth", "--work-dir", job["work_dir"]]}


def exchange(engine: str, name: str, folder: Path, data: str) -> dict[str, Any]:
    """Return the job that goes on from the checkpoint of the other engine, which has run."""
    other = folder / next(one for one in ENGINES if one != engine) / name
    job = _job(CASES[name], folder / engine / name, "exchange", data)
    return {
        **job,
        "args": [*job["args"], "--resume", f"{other}/train/epoch_1.pth"],
        "other": str(other),
    }


def _job(case: Case, root: Path, name: str, data: str) -> dict[str, Any]:
    script = "test.py" if name == "test" else "train.py"
    work_dir = str(root / name)
    return {
        "name": name,
        "door": _KINDS.get(name, "script"),
        "script": str(LIBRARY / ".mim/tools" / script),
        "config": case.path(LIBRARY),
        "options": case.all_options(data, root.parent),
        "after": case.after,
        "args": ["--work-dir", work_dir],
        "work_dir": work_dir,
    }


def run(
    engine: str, folder: Path, jobs: list[dict[str, Any]], driver: Path = HERE / "drive.py"
) -> None:
    """Run jobs in one process of an engine; each leaves its report beside its work_dir."""
    (folder / engine).mkdir(parents=True, exist_ok=True)
    jobs_file = folder / engine / "jobs.json"
    jobs_file.write_text(json.dumps(jobs))
    done = subprocess.run(
        [sys.executable, str(driver), engine, str(jobs_file)],
        cwd=folder,
        env=environment(engine),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        pytest.fail(f"the library does not run with {engine}:\n{done.stdout[-4000:]}")


def report(folder: Path, engine: str, name: str, door: str) -> dict[str, Any]:
    """Return what a job left."""
    path = folder / engine / name / f"{door}.json"
    if not path.exists():
        pytest.fail(
            f"{engine} left no report of {name}, {door}:\n{output(folder, engine, name, door)}"
        )
    return json.loads(path.read_text())  # type: ignore[no-any-return]


def output(folder: Path, engine: str, name: str, door: str) -> str:
    """Return the end of what a job printed."""
    path = folder / engine / name / f"{door}.out"
    return "\n".join(path.read_text().splitlines()[-40:]) if path.exists() else "no output"
