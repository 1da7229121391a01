"""Two processes: every backend and every logger is written to by the first alone, and once."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
STEPS = list(range(1, 11))
# What Lightning code logged: name -> the steps, which Lightning counts from 0 for `self.log`.
LOGGED = {"direct": STEPS, "drawn": STEPS, "mine": list(range(10)), "shown": [1]}
# What the hooks wrote.
HOOKED = {"loss": STEPS, "acc": STEPS, "MulticlassAccuracy": [1, 2]}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the one run that two processes have left."""
    folder = tmp_path_factory.mktemp("processes")
    script = Path(__file__).with_name("logging_processes.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    done = subprocess.run(
        [*command, str(script), str(folder)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (log,) = folder.glob("*/*.log")
    return log.parent


def test_scalars_json_has_each_line_once(run: Path) -> None:
    lines = [json.loads(one) for one in (run / "vis_data/scalars.json").read_text().splitlines()]
    for name, steps in {**LOGGED, **HOOKED}.items():
        assert [line["step"] for line in lines if name in line] == steps, name


def test_the_logger_hooks_own_file_has_each_line_once(run: Path) -> None:
    (file,) = (path for path in (run / "vis_data").glob("*.json") if path.name != "scalars.json")
    lines = [json.loads(one) for one in file.read_text().splitlines()]
    assert [line["step"] for line in lines if "loss" in line] == STEPS


def test_the_one_event_file_has_each_value_once(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert len(list(run.rglob("events.out.tfevents.*"))) == 1
    events = EventAccumulator(str(run / "vis_data"))
    events.Reload()
    for name, steps in {**LOGGED, **HOOKED}.items():
        assert [one.step for one in events.Scalars(name)] == steps, name


@pytest.mark.parametrize("file", ["vis_data/csv", "vis_data/native/0", "beside/0"])
def test_each_csv_logger_has_each_value_once(run: Path, file: str) -> None:
    with (run / file / "metrics.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    for name, steps in {**LOGGED, **HOOKED}.items():
        written = Counter(int(row["step"]) for row in rows if row.get(name))
        assert written == Counter(steps), name


def test_what_is_logged_is_the_first_processs(run: Path) -> None:
    """The callback logs its rank."""
    lines = (run / "vis_data/scalars.json").read_text().splitlines()
    assert {json.loads(one).get("mine", 0.0) for one in lines} == {0.0}


def test_no_other_run_is_left_beside_it(run: Path) -> None:
    folders = [path for path in run.parent.iterdir() if path.is_dir()]
    assert folders == [run]
