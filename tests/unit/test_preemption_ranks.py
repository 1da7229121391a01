"""Several processes that a scheduler takes away end together."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mm2pl import checkpoint, preemption
from mm2pl.preemption import Preemption

PROGRAM = Path(__file__).with_name("ranks_until_told.py")


@pytest.mark.slow
def test_torchrun_and_its_ranks_are_told_at_once_and_the_run_is_saved(tmp_path: Path) -> None:
    """Torchrun hands the signal on, so ranks get it twice."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    run = subprocess.Popen(
        [*command, str(PROGRAM), str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    until = time.monotonic() + 120
    while len(list(tmp_path.glob("under_way_*"))) < 2 and run.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.1)
    # A scheduler signals all processes of a job; torchrun starts its ranks in other sessions.
    ranks = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(run.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert len(ranks) == 2
    for process in [*ranks, run.pid]:
        os.kill(int(process), signal.SIGTERM)
    printed = run.communicate(timeout=60)[0]
    ends = dict(re.findall(r"rank (\d) ended at (\d+)", printed))
    assert sorted(ends) == ["0", "1"], printed
    assert ends["0"] == ends["1"], printed
    newest = Path((tmp_path / "last_checkpoint").read_text())
    assert newest.name == f"preempted_iter_{ends['0']}.pth"
    assert checkpoint.read(newest)["meta"]["iter"] == int(ends["0"])
    assert printed.count("mm2pl: SIGTERM: saving once all processes know") == 2
    assert "terminate called" not in printed


class Clock:
    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(preemption, "time", clock)
    return clock


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the signals that the process sends itself, which do not arrive."""
    sent: list[int] = []
    monkeypatch.setattr(preemption.os, "kill", lambda _, number: sent.append(number))
    monkeypatch.setattr(preemption.os, "write", lambda *_: None)
    monkeypatch.setattr(preemption.signal, "signal", lambda *_: None)
    return sent


@pytest.mark.parametrize(
    ("launched", "seconds", "ends"),
    [(True, 4.9, False), (True, 5.1, True), (False, 0.1, True)],
)
def test_a_second_signal_ends_the_run_unless_torchrun_only_handed_the_first_on(
    launched: bool,
    seconds: float,
    ends: bool,
    clock: Clock,
    killed: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    if launched:
        monkeypatch.setenv("TORCHELASTIC_RUN_ID", "some")
    runner: Any = SimpleNamespace(world_size=2)
    told = Preemption(runner)
    told._note(signal.SIGTERM, None)
    clock.now += seconds
    told._note(signal.SIGTERM, None)
    assert killed == [signal.SIGTERM] * ends


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.001, [1, 3, 7, 15, 31, 51]), (0.3, [1, 3, 6, 9]), (5.0, [1, 2, 3])],
    ids=["20 iterations apart", "a second apart", "after each"],
)
def test_ranks_ask_each_other_seldom(
    seconds: float, expected: list[int], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    done: list[None] = []
    runner: Any = SimpleNamespace(world_size=2)
    trainer: Any = SimpleNamespace(strategy=SimpleNamespace(root_device="cpu"))
    told = Preemption(runner)
    monkeypatch.setattr(
        preemption.torch.distributed, "all_reduce", lambda *_: asked.append(len(done))
    )
    while len(done) < expected[-1]:
        done.append(None)
        clock.now += seconds
        told.on_train_batch_end(trainer)
    assert asked == expected
