"""``async_save=True``: the training goes on while a checkpoint is written, which does not show."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch

from mm2pl import checkpoint, durable
from mm2pl.errors import CheckpointError
from mm2pl.mmengine.hooks import CheckpointHook, Hook
from mm2pl.mmengine.logging import HistoryBuffer
from mm2pl.mmengine.runner import CheckpointLoader, find_latest_checkpoint
from mm2pl.runner import Runner
from tests.unit.test_runner import At, config

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:scheduler.step.. was called before"),
    pytest.mark.proves("HOOKS.CheckpointHook.async_save"),
]
_WRITE = checkpoint.write_now
_SLOW = 0.1


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """Make every write slow; note which thread begins and ends which file."""
    noted: list[tuple[str, str]] = []

    def slow(content: Any, path: str, backend_args: Any = None) -> None:
        thread, name = threading.current_thread().name, path.rpartition("/")[2]
        noted.append((f"{thread} begins", name))
        time.sleep(_SLOW)
        _WRITE(content, path, backend_args)
        noted.append((f"{thread} ends", name))

    monkeypatch.setattr(checkpoint, "write_now", slow)
    return noted


class Steps(Hook):
    """Notes each step's end among what is noted of the files."""

    def __init__(self, noted: list[tuple[str, str]]) -> None:
        self.noted = noted

    def before_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        self.noted.append(("step", str(runner.iter)))


def _build(folder: Path, hook: dict[str, Any], *hooks: Hook, **changes: Any) -> Runner:
    settings = {
        "train_cfg": {"by_epoch": False, "max_iters": 10, "val_interval": 5},
        "optim_wrapper": {
            "optimizer": {"type": "SGD", "lr": 0.01, "momentum": 0.9},
            "accumulative_counts": 2,
        },
        "param_scheduler": [{"type": "LinearLR", "start_factor": 0.1, "end": 8, "by_epoch": False}],
        "custom_hooks": [{"type": "EMAHook"}],
        "default_hooks": {"checkpoint": {"type": "CheckpointHook", "by_epoch": False} | hook},
    }
    runner = Runner.from_cfg(config(folder, **(settings | changes)))
    for one in hooks:
        runner.register_hook(one, priority="VERY_LOW")
    return runner


def _plain(value: Any, folder: str) -> Any:
    """Return what a file holds in a form that can be compared; times apart."""
    if isinstance(value, dict):
        timed = ("eta", "experiment_name")
        return {
            key: _plain(one, folder)
            for key, one in value.items()
            if not (key in timed or str(key).endswith("time"))
        }
    if isinstance(value, (list, tuple)):
        return [_plain(one, folder) for one in value]
    if isinstance(value, torch.Tensor):
        return [str(value.dtype), tuple(value.shape), value.tolist()]
    if isinstance(value, HistoryBuffer):
        return [array.tolist() for array in value.data]
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, str):
        return value.replace(folder, "FOLDER").replace("async_save=True", "async_save=False")
    return value


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_file_gets_the_memory_of_the_one_before_it(
    tmp_path: Path,
    written: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    asynchronous: bool,
) -> None:
    def left(path: str) -> None:
        written.append(("left", path.rpartition("/")[2]))

    monkeypatch.setattr(durable, "leave_memory", left)
    hook = {"interval": 3, "async_save": asynchronous, "max_keep_ckpts": 1}
    _build(tmp_path, hook).train()
    files = ["iter_3.pth", "iter_6.pth", "iter_9.pth", "iter_10.pth"]
    thread = "mm2pl-checkpoint" if asynchronous else "MainThread"
    assert written == [
        step
        for before, name in zip(["", *files], files, strict=False)
        for step in (("left", before), (f"{thread} begins", name), (f"{thread} ends", name))
        if step != ("left", "")
    ]


def test_files_are_those_of_saving_at_once_though_the_training_goes_on(
    tmp_path: Path, written: list[tuple[str, str]]
) -> None:
    """With an optimizer's state, an average, gradients of an open window and random states."""
    runs = {}
    for name, asynchronous in (("once", False), ("beside", True)):
        folder = tmp_path / name
        hook = {"interval": 3, "async_save": asynchronous, "save_best": "count", "rule": "greater"}
        del written[:]
        _build(folder, hook, Steps(written)).train()
        paths = sorted(folder.glob("*.pth"))
        runs[name] = {path.name: _plain(checkpoint.read(path), str(folder)) for path in paths}
    assert set(runs["beside"]) == {
        *(f"iter_{step}.pth" for step in (3, 5, 6, 9, 10)),
        "best_count_iter_5.pth",
    }
    assert runs["beside"] == runs["once"]
    ends = written.index(("mm2pl-checkpoint ends", "iter_3.pth"))
    assert written.index(("step", "4")) < ends
    assert {thread for thread, _ in written} == {
        "step",
        "mm2pl-checkpoint begins",
        "mm2pl-checkpoint ends",
    }


def test_one_file_is_written_at_a_time_and_the_run_waits_for_the_last(
    tmp_path: Path, written: list[tuple[str, str]]
) -> None:
    _build(tmp_path, {"interval": 1, "async_save": True, "max_keep_ckpts": 2}).train()
    assert [what.rpartition(" ")[2] for what, _ in written] == ["begins", "ends"] * 10
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == ["iter_10.pth", "iter_9.pth"]
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / "iter_10.pth")


def test_the_marker_and_older_files_wait_for_the_new_file(
    tmp_path: Path, written: list[tuple[str, str]]
) -> None:
    seen = []

    def look(runner: Runner) -> None:
        if runner.iter == 6:
            names = sorted(path.name for path in tmp_path.glob("*.pth"))
            seen.append((names, Path(tmp_path, "last_checkpoint").read_text().rpartition("/")[2]))

    hook = {"interval": 3, "async_save": True, "max_keep_ckpts": 1}
    _build(tmp_path, hook, At("before_train_iter", look)).train()
    assert seen == [(["iter_3.pth"], "iter_3.pth")]


@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt, SystemExit])
def test_a_run_that_is_broken_off_waits_for_the_file(
    tmp_path: Path, written: list[tuple[str, str]], error: type[BaseException]
) -> None:
    def fail(runner: Runner) -> None:
        if runner.iter == 3:
            raise error

    runner = _build(tmp_path, {"interval": 3, "async_save": True}, At("before_train_iter", fail))
    with pytest.raises(error):
        runner.train()
    assert written[-1] == ("mm2pl-checkpoint ends", "iter_3.pth")
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / "iter_3.pth")


def _fails_at(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    count = 0

    def write(content: Any, path: str, backend_args: Any = None) -> None:
        nonlocal count
        count += 1
        if count == number:
            raise CheckpointError(f"{path} cannot be written: No space left on device")
        _WRITE(content, path, backend_args)

    monkeypatch.setattr(checkpoint, "write_now", write)


def _wait(hook: Callable[[], CheckpointHook]) -> Hook:
    """Return a hook that lets each step last until nothing is being written."""

    def wait(runner: Runner) -> None:
        end = time.monotonic() + 5
        while hook().checkpoint_files.busy and time.monotonic() < end:
            time.sleep(0.001)

    return At("before_train_iter", wait)


def test_what_fails_in_the_background_ends_the_training_at_the_next_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fails_at(2, monkeypatch)
    hooks: list[CheckpointHook] = []
    runner = _build(
        tmp_path, {"interval": 3, "async_save": True, "max_keep_ckpts": 1}, _wait(lambda: hooks[0])
    )
    hooks += [hook for hook in runner.hooks if isinstance(hook, CheckpointHook)]
    with pytest.raises(CheckpointError, match=r"iter_6.pth cannot be written: No space"):
        runner.train()
    assert runner.iter == 6
    assert [path.name for path in tmp_path.glob("*.pth")] == ["iter_3.pth"]
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / "iter_3.pth")


def test_what_fails_last_is_an_error_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fails_at(1, monkeypatch)
    with pytest.raises(CheckpointError, match=r"iter_10.pth cannot be written"):
        _build(tmp_path, {"interval": -1, "async_save": True}).train()


def test_an_error_of_the_run_is_not_hidden_by_one_in_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(runner: Runner) -> None:
        if runner.iter == 3:
            raise ArithmeticError("here")

    _fails_at(1, monkeypatch)
    runner = _build(tmp_path, {"interval": 3, "async_save": True}, At("before_train_iter", fail))
    told: list[str] = []
    monkeypatch.setattr(runner.logger, "error", told.append)
    with pytest.raises(ArithmeticError, match="here"):
        runner.train()
    assert any("iter_3.pth cannot be written" in text for text in told)


def test_published_files_are_made_from_complete_ones(
    tmp_path: Path, written: list[tuple[str, str]]
) -> None:
    hook = {"interval": 5, "async_save": True, "published_keys": ["state_dict"]}
    _build(tmp_path, hook).train()
    (published,) = tmp_path.glob("iter_10-*.pth")
    assert list(checkpoint.read(published)) == ["state_dict"]


def test_remote_files_are_written_and_removed_in_the_background(
    tmp_path: Path, written: list[tuple[str, str]]
) -> None:
    hook = {"interval": 4, "async_save": True, "max_keep_ckpts": 1, "out_dir": "memory://async"}
    hook |= {"save_best": "count", "rule": "greater"}
    _build(tmp_path, hook).train()
    files = fsspec.filesystem("memory")
    try:
        names = {path.rpartition("/")[2] for path in files.find("async")}
        assert names == {"iter_10.pth", "best_count_iter_5.pth"}
        newest = (tmp_path / "last_checkpoint").read_text()
        assert newest == f"memory://async/{tmp_path.name}/iter_10.pth"
        with fsspec.open(newest) as file:
            assert checkpoint.read(file)["meta"]["iter"] == 10
    finally:
        files.rm("async", recursive=True)
    assert {thread for thread, _ in written} <= {
        "mm2pl-checkpoint begins",
        "mm2pl-checkpoint ends",
    }


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_best_and_the_last_checkpoint_are_two_equal_files(
    tmp_path: Path,
    asynchronous: bool,
    written: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    times = map(str, itertools.count())
    monkeypatch.setattr(checkpoint.time, "strftime", lambda *args: next(times))
    hook = {"interval": 5, "async_save": asynchronous, "save_best": "count", "rule": "greater"}
    hook["max_keep_ckpts"] = 1
    _build(tmp_path, hook, train_cfg={"by_epoch": False, "max_iters": 5, "val_interval": 5}).train()
    last, best = tmp_path / "iter_5.pth", tmp_path / "best_count_iter_5.pth"
    assert last.read_bytes() == best.read_bytes()
    assert not last.samefile(best)  # or who changes one would change both
    infos = checkpoint.read(last)["message_hub"]["runtime_info"]
    assert (infos["last_ckpt"], infos["best_ckpt"]) == (str(last), str(best))
    # At the iteration and with the best one; the last one again is a copy.
    begun = [name for what, name in written if what.endswith("begins")]
    assert begun == ["iter_5.pth", "best_count_iter_5.pth"]


def test_they_are_written_one_by_one_where_a_copy_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError("no copies here")

    monkeypatch.setattr(durable, "copy", refuse)
    hook = {"interval": 5, "async_save": True, "save_best": "count", "rule": "greater"}
    _build(tmp_path, hook, train_cfg={"by_epoch": False, "max_iters": 5, "val_interval": 5}).train()
    last, best = (
        _plain(checkpoint.read(tmp_path / f"{name}iter_5.pth"), "") for name in ("", "best_count_")
    )
    assert last == best


class Reader(Hook):
    """Opens what was saved last, at once."""

    priority = "LOWEST"

    def __init__(self, checkpoints: CheckpointHook) -> None:
        self.checkpoints = checkpoints
        self.found: list[Any] = []

    def after_train_iter(self, runner: Any, *args: Any, **kwargs: Any) -> None:
        path = self.checkpoints.last_ckpt
        if path is not None:
            assert find_latest_checkpoint(runner.work_dir) == path
            self.found.append(CheckpointLoader.load_checkpoint(path)["meta"]["iter"])


def test_who_loads_what_is_being_written_waits_for_it(
    tmp_path: Path, written: list[tuple[str, str]]
) -> None:
    runner = _build(tmp_path, {"interval": 5, "async_save": True})
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, CheckpointHook))
    reader = Reader(hook)
    runner.register_hook(reader)
    runner.train()
    assert reader.found == [5, 5, 5, 5, 5, 10]


class Saver(Hook):
    """Saves a file of its own whenever the run is saved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        from mm2pl.mmengine.runner import save_checkpoint

        save_checkpoint({"own": runner.iter}, str(self.folder / "own.pth"))


def test_a_file_that_a_hook_saves_meanwhile_is_its_own(tmp_path: Path) -> None:
    hook = {"interval": 5, "async_save": True, "save_best": "count", "rule": "greater"}
    _build(tmp_path, hook, Saver(tmp_path)).train()
    assert set(checkpoint.read(tmp_path / "own.pth")) == {"own"}
    assert "state_dict" in checkpoint.read(tmp_path / "iter_10.pth")
