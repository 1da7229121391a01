"""Processes that have worked together over gloo end as they would alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mm2pl.mmengine.dist import _ending

PROGRAM = """
import atexit, sys
from mm2pl.mmengine.dist import init_dist
import torch, torch.distributed as dist

init_dist("pytorch", backend="gloo")
atexit.register({at_exit})
numbers = torch.ones(1)
for _ in range(3):
    dist.all_reduce(numbers)
{end}
"""
# How a program ends: its last lines, and its exit status.
ENDS = {
    "at its last line": ("", 0),
    "by sys.exit": ("sys.exit(143)", 143),
    "by an exception": ("raise KeyError('lost')", 1),
    "by Ctrl-C": ("raise KeyboardInterrupt", -signal.SIGINT),
    "after the group": ("dist.destroy_process_group()", 0),
}
NOTHING = "lambda: None"


def start(at_exit: str, end: str) -> list[subprocess.Popen[str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM.format(at_exit=at_exit, end=end)],
            env={**os.environ, **group, "RANK": rank, "LOCAL_RANK": rank, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in "01"
    ]


@pytest.mark.slow
@pytest.mark.parametrize("end", ENDS)
def test_the_exit_status_is_that_of_the_program(end: str) -> None:
    """Of plain torch's runs of two such ranks, up to 8 of 20 abort."""
    last, status = ENDS[end]
    for rank in start(NOTHING, last):
        printed = rank.communicate(timeout=90)[0]
        assert rank.returncode == status, printed


@pytest.mark.slow
def test_what_a_program_does_at_its_exit_may_use_the_group() -> None:
    for rank in start("lambda: (dist.all_reduce(numbers), print('sum', numbers.item()))", ""):
        printed = rank.communicate(timeout=90)[0]
        assert (rank.returncode, printed.splitlines()[-1]) == (0, "sum 16.0"), printed


@pytest.mark.slow
def test_a_rank_that_fails_does_not_wait_for_the_others() -> None:
    first, second = start(NOTHING, "dist.get_rank() and dist.barrier()\nsys.exit(5)")
    printed = first.communicate(timeout=30)[0]
    assert first.returncode == 5, printed
    assert second.communicate(timeout=30)[0]
    assert second.returncode != 0


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of threads as Linux tells of them, one of gloo's asleep and one of Python."""
    for number, told in enumerate(["(pt_gloo_runloop) S 1", "(python) R 1"]):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "stat").write_text(f"{number} {told}")
    monkeypatch.setattr(_ending, "_TASKS", tmp_path)
    monkeypatch.setattr(_ending, "_LONGEST", 0.5)
    return tmp_path


def seconds_of_letting_go() -> float:
    started = time.monotonic()
    _ending._let_go()
    return time.monotonic() - started


def test_threads_that_are_asleep_are_not_waited_for(tasks: Path) -> None:
    assert 0.05 <= seconds_of_letting_go() < 0.4


def test_a_thread_of_gloos_that_is_awake_is_waited_for_but_not_forever(tasks: Path) -> None:
    (tasks / "0/stat").write_text("0 (pt_gloo_runloop) R 1")
    assert 0.5 <= seconds_of_letting_go() < 5


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_without_gloo_has_none_awake() -> None:
    assert list(_ending._TASKS.glob("*/stat"))
    assert not _ending._gloo_is_awake()
