"""What is found in the loops, optimizers and schedules of three libraries' own config files.

Each entry was looked up in the file by hand, and says what MMEngine does with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tools import bench_config

pytestmark = pytest.mark.slow

SOURCE = """
import json, sys, warnings
from mm2pl.cli.config_file import read_config
from mm2pl.errors import Mm2plError
from mm2pl.translate import examine
warnings.simplefilter("ignore")
for file in sys.stdin.read().split():
    try:
        cfg = read_config(file)
    except Mm2plError:
        continue
    found = examine(cfg, file)
    notes = [[n.key_path, n.status.value] for n in found.plan.notes if n.status.is_finding]
    print(json.dumps([notes, [[p.key_path, p.message] for p in found.deferred]]))
print(json.dumps("torch" in sys.modules))
"""
SECTIONS = ("train_cfg", "val_cfg", "test_cfg", "optim_wrapper", "param_scheduler", "auto_scale_lr")
FOUND = {
    # Twins' schedules write _delete for _delete_, below paramwise_cfg.
    ("optim_wrapper.paramwise_cfg._delete", "no effect"): 6,
    # DNLNet means decay_mult.
    ("optim_wrapper.paramwise_cfg.custom_keys.theta.wd_mult", "no effect"): 2,
    ("optim_wrapper.paramwise_cfg.custom_keys.phi.wd_mult", "no effect"): 2,
    # Densenet's last milestone is its last epoch; LeNet trains 5 epochs, and its milestone is 15.
    ("param_scheduler.milestones", "no effect"): 5,
    # The base's schedule ends at epoch 12 or 24, and only max_epochs and milestones are changed.
    ("param_scheduler[1].milestones", "no effect"): 4,
    # MaskTrack R-CNN trains 12 epochs and validates from the 13th on.
    ("train_cfg.val_begin", "no effect"): 6,
    ("optim_wrapper.type", "unsupported"): 3,
}
# SOLOv2-light adds by_epoch=True to a base with a type, and so does a benchmark of MaskFeat's.
DEFERRED = {("train_cfg", "only one of 'type' and 'by_epoch' may be given"): 5}


@pytest.fixture(scope="module")
def rows(reference: Any) -> list[Any]:
    """The findings and the problems of each file, and whether torch was imported."""
    path = map(str, (Path(__file__).parents[3], reference.wheels.resolve()))
    done = subprocess.run(
        [sys.executable, "-c", SOURCE],
        input="\n".join(bench_config.config_files()),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr
    read: list[Any] = [json.loads(line) for line in done.stdout.splitlines()]
    return read


def test_only_real_mistakes_are_found(rows: list[Any]) -> None:
    found = Counter(tuple(note) for notes, _ in rows[:-1] for note in notes)
    assert {note: n for note, n in found.items() if note[0].startswith(SECTIONS)} == FOUND


def test_only_what_mmengine_refuses_is_a_problem(rows: list[Any]) -> None:
    told = Counter(tuple(problem) for _, problems in rows[:-1] for problem in problems)
    assert {one: n for one, n in told.items() if one[0].startswith(SECTIONS)} == DEFERRED


def test_nearly_all_files_were_read_without_torch(rows: list[Any]) -> None:
    assert (len(rows) - 1, rows[-1]) == (2474, False)
