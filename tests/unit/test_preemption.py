"""A training that is told to end by SIGTERM saves and exits; one that is killed goes on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from mm2pl import checkpoint
from mm2pl.mmengine.runner import EpochBasedTrainLoop
from mm2pl.runner import Runner
from tests.unit.test_runner import config

FILE = Path(__file__).with_name("training_forks.py")
PREEMPTED = 143
FOUR = {"train_cfg": {"by_epoch": True, "max_epochs": 4}}
SELDOM = {"default_hooks": {"checkpoint": {"type": "CheckpointHook", "interval": 9}}}
NONE = {"default_hooks": {"checkpoint": None}}
DISTRIBUTED = {"launcher": "pytorch", "env_cfg": {"dist_cfg": {"backend": "gloo"}}}
ASYNC = {
    "default_hooks": {"checkpoint": {"type": "CheckpointHook", "interval": 1, "async_save": True}}
}
_ASYNC = pytest.mark.proves("HOOKS.CheckpointHook.async_save")
JOBS: dict[str, dict[str, Any]] = {
    "whole": {**FOUR, **SELDOM},
    "cut": {**FOUR, **SELDOM, "signal_at": 3},
    "cut, goes on": {**FOUR, **SELDOM, "resume": True},
    "middle": {**FOUR, **SELDOM, "signal_at": 4},
    "middle, goes on": {**FOUR, **SELDOM, "resume": True},
    "saved already": {**FOUR, "signal_at": 3},
    "validation, saved": {**FOUR, "signal_at": 4, "point": "val"},
    "validation, not saved": {**FOUR, **SELDOM, "signal_at": 4, "point": "val"},
    "twice": {**FOUR, "signal_at": 2, "times": 2},
    "own handler": {**FOUR, "signal_at": 2, "own_handler": True},
    "no hook": {**FOUR, **NONE, "signal_at": 2},
    "full": {**FOUR, "wide": True, "full_at": 3},
    "full, goes on": {**FOUR, "wide": True, "resume": True},
    "saved in the background": {**FOUR, **ASYNC, "signal_at": 3, "wide": True},
    "background full": {**FOUR, **ASYNC, "wide": True, "full_at": 3},
    "background full, goes on": {**FOUR, **ASYNC, "wide": True, "resume": True},
    "read only": {**FOUR, "read_only": True},
}


class Ended:
    """How the runs of this file ended, each in a folder with the first word of its name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        jobs = {name: [(self.path(name), settings)] for name, settings in JOBS.items()}
        jobs["ranks"] = [(self.path("ranks"), settings) for settings in _ranks()]
        done = _forks("train", told=json.dumps(jobs, default=str))
        self._results = json.loads(done.splitlines()[-1])

    def path(self, name: str) -> Path:
        return self.folder / name.removesuffix(", goes on").replace(", ", "_")

    def __getitem__(self, name: str) -> tuple[int, str]:
        status, printed = self._results[name][0]
        return status, printed

    def ranks(self) -> list[tuple[int, str]]:
        return [(status, printed) for status, printed in self._results["ranks"]]

    def newest(self, name: str) -> Path:
        return Path((self.path(name) / "last_checkpoint").read_text())


def _ranks() -> list[dict[str, Any]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    variables = [{**group, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in (0, 1)]
    settings = {**FOUR, **SELDOM, **DISTRIBUTED}
    return [
        {**settings, "variables": variables[0]},
        {**settings, "variables": variables[1], "signal_at": 2},
    ]


def _forks(*arguments: str, told: str | None = None) -> str:
    command = [sys.executable, str(FILE), *arguments]
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, input=told, env=variables, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return Ended(tmp_path_factory.mktemp("preempted"))


def _weights(folder: Path) -> list[torch.Tensor]:
    return list(torch.load(folder / "final.pt", weights_only=True).values())


def _equal(one: Path, other: Path) -> bool:
    return all(map(torch.equal, _weights(one), _weights(other)))


@pytest.mark.slow
@pytest.mark.xdist_group("preemption")
class TestSigterm:
    def test_the_run_is_saved_and_ends_with_143(self, ended: Ended) -> None:
        status, printed = ended["cut"]
        assert status == PREEMPTED, printed
        assert "ended at 4" in printed
        assert "preempted_iter_4.pth; resume=True goes on from there" in printed
        assert "handler restored True" in printed

    @pytest.mark.parametrize("name", ["cut", "middle"])
    def test_it_goes_on_to_the_same_end(self, ended: Ended, name: str) -> None:
        """Cut at an epoch's end, and in the middle of one."""
        assert [ended[one][0] for one in ("whole", f"{name}, goes on")] == [0, 0]
        assert _equal(ended.path("whole"), ended.path(name))

    def test_the_next_checkpoint_takes_the_place_of_what_was_saved(self, ended: Ended) -> None:
        assert [path.name for path in ended.path("cut").glob("*.pth")] == ["epoch_4.pth"]

    def test_what_is_saved_already_is_not_saved_again(self, ended: Ended) -> None:
        status, printed = ended["saved already"]
        assert status == PREEMPTED, printed
        assert ended.newest("saved already").name == "epoch_2.pth"
        assert not list(ended.path("saved already").glob("preempted*"))

    @_ASYNC
    def test_what_is_being_saved_in_the_background_is_waited_for(self, ended: Ended) -> None:
        status, printed = ended["saved in the background"]
        assert status == PREEMPTED, printed
        assert checkpoint.read(ended.newest("saved in the background"))["meta"]["iter"] == 4
        assert not list(ended.path("saved in the background").glob("preempted*"))

    def test_a_validation_is_left_if_its_epoch_is_saved(self, ended: Ended) -> None:
        status, printed = ended["validation, saved"]
        assert status == PREEMPTED, printed
        assert printed.count("val 4") == 1

    def test_a_validation_is_finished_if_its_epoch_is_not_saved(self, ended: Ended) -> None:
        status, printed = ended["validation, not saved"]
        assert status == PREEMPTED, printed
        assert printed.count("val 4") == 2
        newest = ended.newest("validation, not saved")
        assert newest.name == "preempted_iter_4.pth"
        assert checkpoint.read(newest)["meta"]["epoch"] == 2

    def test_a_second_sigterm_ends_at_once(self, ended: Ended) -> None:
        status, printed = ended["twice"]
        assert status == -signal.SIGTERM, printed
        assert "ended at" not in printed
        assert ended.newest("twice").name == "epoch_1.pth"

    def test_a_handler_of_the_users_is_called_and_nothing_else(self, ended: Ended) -> None:
        status, printed = ended["own handler"]
        assert status == 0, printed
        assert printed.count("own handler") == 1
        assert "handler restored True" in printed

    def test_without_a_checkpoint_hook_the_run_is_saved_as_well(self, ended: Ended) -> None:
        status, printed = ended["no hook"]
        assert status == PREEMPTED, printed
        assert checkpoint.read(ended.newest("no hook"))["meta"]["iter"] == 3

    def test_all_ranks_end_after_the_same_iteration(self, ended: Ended) -> None:
        text = "\n".join(printed for _, printed in ended.ranks())
        assert [status for status, _ in ended.ranks()] == [PREEMPTED] * 2, text
        assert text.count("ended at 3") == 2
        assert text.count("mm2pl: SIGTERM") == 1  # one of the two was told
        assert checkpoint.read(ended.newest("ranks"))["meta"]["iter"] == 3


@pytest.mark.slow
@pytest.mark.xdist_group("preemption")
class TestDisk:
    @pytest.mark.parametrize("name", ["full", "background full"])
    def test_a_full_one_is_one_clear_error(self, ended: Ended, name: str) -> None:
        status, printed = ended[name]
        assert status == 1, printed
        assert "epoch_2.pth cannot be written: File too large" in printed
        assert "Hint: check free space" in printed

    @pytest.mark.parametrize("name", ["full", "background full"])
    def test_a_full_one_leaves_older_checkpoints_alone(self, ended: Ended, name: str) -> None:
        status, printed = ended[f"{name}, goes on"]
        assert status == 0, printed
        assert f"from path: {ended.path(name) / 'epoch_1.pth'}" in printed
        assert "train 1\n" not in printed

    def test_one_that_cannot_be_written_is_an_error_before_the_training(self, ended: Ended) -> None:
        status, printed = ended["read only"]
        assert status == 1
        assert "work_dir: the folder" in printed
        assert "Permission denied" in printed
        assert "train 0" not in printed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "hook"),
    [(25, {}), pytest.param(10, {"async_save": True}, marks=_ASYNC)],
    ids=["25 times", "10 times while a file is written in the background"],
)
def test_a_run_that_is_killed_ends_like_one_that_is_not(
    tmp_path: Path, count: int, hook: dict[str, Any]
) -> None:
    seen = json.loads(_forks("kill", str(tmp_path), str(count), json.dumps(hook)).splitlines()[-1])
    assert seen["status"] == 0, seen["output"]
    assert seen["ended"] == 0
    assert seen["cut off"], "no file was half written when the process was killed"
    assert seen["newest"] == sorted(seen["newest"])
    assert _equal(tmp_path / "killed", tmp_path / "whole")
    left = [{path.name for path in (tmp_path / name).glob("*.pth")} for name in ("killed", "whole")]
    assert left[0] == left[1]
    assert not list((tmp_path / "killed").glob(".*.incomplete"))


def test_a_training_outside_the_main_thread_has_no_handler(tmp_path: Path) -> None:
    runner = Runner.from_cfg(config(tmp_path))
    thread = threading.Thread(target=runner.train)
    thread.start()
    thread.join()
    assert runner.epoch == 2


def test_the_handler_goes_with_the_training(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    runner = Runner.from_cfg(config(tmp_path))
    callbacks = list(runner.trainer.callbacks)
    runner.train()
    assert signal.getsignal(signal.SIGTERM) == before
    assert runner.trainer.callbacks == callbacks
    assert "_broadcast_sigterm_tensor" not in vars(runner.trainer.fit_loop.epoch_loop)


class OwnRun(EpochBasedTrainLoop):
    """Does nothing but look who is told of SIGTERM."""

    seen: Any = None

    def run(self) -> Any:
        type(self).seen = signal.getsignal(signal.SIGTERM)
        return self.runner.model


def test_a_loop_with_a_run_of_its_own_is_ended_at_once_as_nothing_would_be_saved(
    tmp_path: Path,
) -> None:
    Runner.from_cfg(config(tmp_path, train_cfg={"type": OwnRun, "max_epochs": 2})).train()
    assert OwnRun.seen == signal.SIG_DFL
