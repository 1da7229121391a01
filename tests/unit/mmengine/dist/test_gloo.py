"""Processes that have worked together over gloo end, and fork, as they would alone."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mm2pl.mmengine.dist import _gloo

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


def start(program: str) -> list[subprocess.Popen[str]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    return [
        subprocess.Popen(
            [sys.executable, "-c", program],
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
    for rank in start(PROGRAM.format(at_exit=NOTHING, end=last)):
        printed = rank.communicate(timeout=90)[0]
        assert rank.returncode == status, printed


@pytest.mark.slow
def test_what_a_program_does_at_its_exit_may_use_the_group() -> None:
    add = "dist.all_reduce(numbers), print('sum', numbers.item())"
    for rank in start(PROGRAM.format(at_exit=f"lambda: ({add})", end="")):
        printed = rank.communicate(timeout=90)[0]
        assert (rank.returncode, printed.splitlines()[-1]) == (0, "sum 16.0"), printed


@pytest.mark.slow
def test_a_rank_that_fails_does_not_wait_for_the_others() -> None:
    end = "dist.get_rank() and dist.barrier()\nsys.exit(5)"
    first, second = start(PROGRAM.format(at_exit=NOTHING, end=end))
    printed = first.communicate(timeout=30)[0]
    assert first.returncode == 5, printed
    assert second.communicate(timeout=30)[0]
    assert second.returncode != 0


FORKS = """
import os, signal, time
from mm2pl.mmengine.dist import init_dist
import torch, torch.distributed as dist

init_dist("pytorch", backend="gloo")
hung = 0
for _ in range(150):
    # What is to be done with the result is done by a thread of gloo's.
    future = dist.all_reduce(torch.ones(3), async_op=True).get_future()
    future.then(lambda future: future.value()).wait()
    child = os.fork()
    if not child:
        os._exit(0)
    end = time.monotonic() + 5
    while not os.waitpid(child, os.WNOHANG)[0]:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            hung += 1
        time.sleep(0.0003)
print("hung", hung)
"""


@pytest.mark.slow
def test_a_fork_right_after_a_collective_does_not_hang() -> None:
    """Of plain torch's, on Python 3.11, about one of 70 such forks does."""
    for rank in start(FORKS):
        printed = rank.communicate(timeout=90)[0]
        assert (rank.returncode, printed.splitlines()[-1]) == (0, "hung 0"), printed


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of threads as Linux tells of them, one of gloo's asleep and one of Python."""
    for number, told in enumerate(["(pt_gloo_runloop) S 1", "(python) R 1"]):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "stat").write_text(f"{number} {told}")
    monkeypatch.setattr(_gloo, "_TASKS", tmp_path)
    monkeypatch.setattr(_gloo, "_LONGEST", 0.5)
    return tmp_path


def seconds_of_letting_go() -> float:
    started = time.monotonic()
    _gloo._let_go(0.01)
    return time.monotonic() - started


def test_threads_that_are_asleep_are_not_waited_for(tasks: Path) -> None:
    assert 0.05 <= seconds_of_letting_go() < 0.4


def test_a_thread_of_gloos_that_is_awake_is_waited_for_but_not_forever(tasks: Path) -> None:
    (tasks / "0/stat").write_text("0 (pt_gloo_runloop) R 1")
    assert 0.5 <= seconds_of_letting_go() < 5


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_process_without_gloo_has_none_awake() -> None:
    assert list(_gloo._TASKS.glob("*/stat"))
    assert not _gloo._gloo_is_awake()
