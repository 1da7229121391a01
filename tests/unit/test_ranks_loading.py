"""Two processes, of which only one sees the checkpoint, end with errors, and do not wait."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import copy, json, os, sys
from pathlib import Path
from mm2pl.flexible_runner import FlexibleRunner
from mm2pl.mmengine._strategy import DDPStrategy
from mm2pl.runner import Runner
from tests.unit.resume.resume_runs import SGD, Net, config, epochs

folder, rank = Path(sys.argv[1]), os.environ["RANK"]
group = {"launcher": "pytorch", "env_cfg": {"dist_cfg": {"backend": "gloo"}}}
there_on_0, there_on_1 = (f"{folder}/{number}/epoch_1.pth" for number in (rank, 1 - int(rank)))

def run(kind, **source):
    settings = config(folder / "again", train_cfg=epochs(2), **group)
    settings["model"].init_cfg = source.pop("init_cfg", None)
    kind(**settings, **source).train()

def take(**source):
    env = {"launcher": "pytorch", "dist_cfg": {"backend": "gloo"}}
    strategy = DDPStrategy(work_dir=str(folder / "again"), env_kwargs=env)
    strategy.prepare(Net(), optim_wrapper=SGD)
    strategy.load_or_resume(**source)

for kind, source in [
    (Runner, {"load_from": there_on_0, "resume": True}),
    (Runner, {"load_from": there_on_1}),
    (Runner, {"init_cfg": {"type": "Pretrained", "checkpoint": there_on_0}}),
    (FlexibleRunner, {"resume": there_on_0}),
    (FlexibleRunner, {"load_from": there_on_1}),
    (FlexibleRunner, {"init_cfg": {"type": "Pretrained", "checkpoint": there_on_0}}),
    (None, {"load_from": there_on_1}),
    (None, {"resume": there_on_0}),
]:
    try:
        run(kind, **source) if kind else take(**source)
        raise SystemExit(f"nothing was wrong with {kind}, {source}")
    except Exception as error:
        print("\\n>", json.dumps([type(error).__name__, str(error)]), flush=True)
"""
WHOLE = """
import sys
from pathlib import Path
from tests.unit.resume.resume_runs import checkpoints, config, epochs, run

run(config(Path(sys.argv[1], "0"), train_cfg=epochs(1), default_hooks=checkpoints(by_epoch=True)))
"""
RESUME, LOAD, START = "go on from the checkpoint", "load the checkpoint", "initialize the weights"
# In the order of the program: what could not be done, and on which process.
EXPECTED = [
    *((RESUME, 1), (LOAD, 0), (START, 1)),
    *((RESUME, 1), (LOAD, 0), (START, 1)),
    *((LOAD, 0), (RESUME, 1)),
]


@pytest.mark.slow
def test_where_one_machine_has_no_such_file_all_end_with_an_error(tmp_path: Path) -> None:
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c"]
    subprocess.run([*command, WHOLE, str(tmp_path)], env=variables, cwd=root, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    variables |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    ranks = [
        subprocess.Popen(
            [*command, PROGRAM, str(tmp_path)],
            env={**variables, "RANK": rank, "LOCAL_RANK": rank},
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in "01"
    ]
    try:
        printed = [rank.communicate(timeout=90)[0] for rank in ranks]
    finally:
        for rank in ranks:
            rank.kill()
    errors = [
        [json.loads(line[2:]) for line in text.splitlines() if line.startswith("> ")]
        for text in printed
    ]
    assert [len(found) for found in errors] == [len(EXPECTED)] * 2, printed
    for (deed, failed), *both in zip(EXPECTED, *errors, strict=True):
        name, text = both[failed]
        assert name == "CheckpointNotFoundError"
        assert "can not be found" in text
        name, text = both[1 - failed]
        assert name == "CheckpointError"
        assert f"process {failed} of 2 could not {deed}: CheckpointNotFoundError" in text
