"""Wherever the CheckpointHook is cut off, what ``last_checkpoint`` names is whole."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from mm2pl import checkpoint
from mm2pl.errors import ConfigError
from mm2pl.mmengine.hooks import CheckpointHook

_make_runner = runpy.run_path(str(Path(__file__).with_name("scenarios.py")))["make_runner"]
_STEPS = ("fsync", "replace", "unlink", "remove")
_SCORES = (0.1, 0.5, 0.3, 0.7)


class Cut(BaseException):
    """The process ends here."""


class Disk:
    """Lets so many changes of the disk happen, and then no more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, allowed: int) -> None:
        self.left = allowed
        for name in _STEPS:
            self._guard(monkeypatch, name, getattr(os, name))

    def _guard(self, monkeypatch: pytest.MonkeyPatch, name: str, real: Any) -> None:
        def step(*args: Any, **kwargs: Any) -> Any:
            if self.left == 0:
                raise Cut
            self.left -= 1
            return None if name == "fsync" else real(*args, **kwargs)

        monkeypatch.setattr(os, name, step)


def _run(folder: Path, **settings: Any) -> None:
    """Train four epochs of nothing, with real files."""
    runner = _make_runner("mm2pl.mmengine", str(folder), "cut off")

    def save(out_dir: str, filename: str, **kwargs: Any) -> None:
        infos = dict(runner.message_hub.runtime_info)
        content = {"epoch": runner.epoch, "infos": infos, "w": torch.ones(1000)}
        checkpoint.write(content, str(Path(out_dir, filename)))

    runner.save_checkpoint = save
    hook = CheckpointHook(interval=1, save_best="acc", **settings)
    hook.before_train(runner)
    for score in _SCORES:
        hook.after_train_epoch(runner)
        runner.epoch += 1
        hook.after_val_epoch(runner, {"acc": score})


def _check(work_dir: Path) -> int:
    """Check what a killed run left; return how many epochs it had saved."""
    for path in work_dir.glob("[!.]*.pth"):
        checkpoint.read(path)
    marker = work_dir / "last_checkpoint"
    if not marker.exists():
        return 0
    newest = checkpoint.read(marker.read_text())
    best = newest["infos"].get("best_ckpt")
    assert best is None or checkpoint.read(best)
    for step in newest["infos"].get("keep_ckpt_ids", ()):
        checkpoint.read(work_dir / f"epoch_{step}.pth")
    return int(newest["infos"]["last_ckpt"].rpartition("_")[2].removesuffix(".pth"))


@pytest.mark.parametrize("settings", [{}, {"max_keep_ckpts": 1}, {"max_keep_ckpts": 2}])
def test_what_last_checkpoint_names_is_whole_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    saved, allowed, done = [], 0, False
    while not done:
        folder = tmp_path / str(allowed)
        folder.mkdir()
        with monkeypatch.context() as patch:
            Disk(patch, allowed)
            try:
                _run(folder, **settings)
                done = True
            except Cut:
                allowed += 1
        saved.append(_check(folder / "work" / "exp"))
    assert saved == sorted(saved)
    assert set(saved) == {0, 1, 2, 3, 4}
    assert allowed > 30


def cut() -> None:
    raise Cut


def test_a_file_whose_removal_was_cut_off_goes_when_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointHook, "_remove", lambda hook, path: cut())
        with pytest.raises(Cut):
            _run(tmp_path, max_keep_ckpts=1)
    work_dir = tmp_path / "work" / "exp"
    newest = checkpoint.read((work_dir / "last_checkpoint").read_text())
    assert len(list(work_dir.glob("epoch_*.pth"))) == 2
    runner = _make_runner("mm2pl.mmengine", str(tmp_path / "on"), "goes on", work_dir=str(work_dir))
    runner.message_hub.runtime_info.update(newest["infos"])
    CheckpointHook(max_keep_ckpts=1).before_train(runner)
    assert [path.name for path in work_dir.glob("epoch_*.pth")] == ["epoch_2.pth"]


def test_a_folder_that_cannot_be_written_is_refused_before_the_training(tmp_path: Path) -> None:
    runner = _make_runner("mm2pl.mmengine", str(tmp_path), "read only")
    (tmp_path / "out").write_text("a file")
    hook = CheckpointHook(out_dir=str(tmp_path / "out"))
    with pytest.raises(ConfigError, match=r"cannot be written to .*out") as caught:
        hook.before_train(runner)
    assert caught.value.key_path == "default_hooks.checkpoint"


def test_half_written_files_of_a_killed_run_are_removed_at_the_start(tmp_path: Path) -> None:
    runner = _make_runner("mm2pl.mmengine", str(tmp_path), "left")
    left = Path(runner.work_dir, ".epoch_3.pth.12.incomplete")
    left.write_text("half")
    CheckpointHook().before_train(runner)
    assert not left.exists()
    assert any(left.name in str(entry) for entry in runner.journal)
