"""A broken newest checkpoint is passed by; one that was named is not."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from mm2pl import checkpoint, latest_checkpoint
from mm2pl.errors import BrokenCheckpointError, CheckpointError, CheckpointNotFoundError
from mm2pl.latest_checkpoint import good_before, naming_a_good_one, newest_good
from mm2pl.mmengine.runner import find_latest_checkpoint
from mm2pl.runner import Runner
from tests.unit.test_runner import config


def _save(path: Path, **changes: Any) -> Path:
    content = {"meta": {}, "message_hub": {}, "optimizer": {}, "state_dict": {}, **changes}
    checkpoint.write({key: value for key, value in content.items() if value is not None}, str(path))
    return path


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _zeroed(path: Path) -> None:
    """What a power failure may leave of a file that was never synced: its size, and zeros."""
    path.write_bytes(bytes(path.stat().st_size))


def _one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    place = data.index(torch.full((64,), 7.0).numpy().tobytes()) + 30
    data[place] ^= 4
    path.write_bytes(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four epochs, of which the third is the last that ``last_checkpoint`` names."""
    for epoch in (1, 2, 3):
        _save(tmp_path / f"epoch_{epoch}.pth", state_dict={"w": torch.full((64,), 7.0)})
    _save(tmp_path / "epoch_30.pth")
    (tmp_path / "last_checkpoint").write_text(str(tmp_path / "epoch_3.pth"))
    return tmp_path


@pytest.mark.parametrize("damage", [_cut, _zeroed, _one_bit, Path.unlink])
def test_the_one_before_is_used_with_a_warning(folder: Path, damage: Any) -> None:
    damage(folder / "epoch_3.pth")
    warnings: list[str] = []
    assert newest_good(str(folder), warnings.append) == str(folder / "epoch_2.pth")
    (warning,) = warnings
    assert str(folder / "epoch_3.pth") in warning
    assert f"goes on from {folder / 'epoch_2.pth'}" in warning


def test_several_broken_ones_are_passed_by(folder: Path) -> None:
    _cut(folder / "epoch_3.pth")
    _zeroed(folder / "epoch_2.pth")
    assert newest_good(str(folder), lambda _: None) == str(folder / "epoch_1.pth")


def test_a_whole_one_is_used_without_a_word(folder: Path) -> None:
    assert newest_good(str(folder), pytest.fail) == find_latest_checkpoint(str(folder))


def test_where_nothing_was_saved_there_is_nothing(tmp_path: Path) -> None:
    assert newest_good(str(tmp_path), pytest.fail) is None


def test_a_remote_one_is_not_looked_at(tmp_path: Path) -> None:
    (tmp_path / "last_checkpoint").write_text("s3://bucket/epoch_3.pth")
    assert newest_good(str(tmp_path), pytest.fail) == "s3://bucket/epoch_3.pth"


def test_with_no_good_one_the_broken_one_is_an_error(folder: Path) -> None:
    for path in folder.glob("*.pth"):
        _cut(path)
    with pytest.raises(BrokenCheckpointError, match=r"epoch_3\.pth") as caught:
        newest_good(str(folder), pytest.fail)
    assert "last_checkpoint to start anew" in str(caught.value)


def test_a_missing_one_with_none_before_is_an_error(folder: Path) -> None:
    for path in folder.glob("*.pth"):
        path.unlink()
    with pytest.raises(CheckpointNotFoundError, match=r"epoch_3\.pth"):
        newest_good(str(folder), pytest.fail)


def test_one_with_forbidden_objects_is_no_broken_one(folder: Path) -> None:
    torch.save({"meta": Path("x")}, folder / "epoch_3.pth")
    with pytest.raises(CheckpointError, match="could run code"):
        newest_good(str(folder), pytest.fail)


def test_files_of_another_kind_come_after_those_named_alike(tmp_path: Path) -> None:
    broken = tmp_path / "epoch_3.pth"
    broken.write_bytes(b"?")
    published = _save(tmp_path / "epoch_2-01234567.pth", message_hub=None)
    weights = _save(tmp_path / "best_acc_epoch_2.pth", optimizer=None)
    whole = _save(tmp_path / "iter_17.pth")
    later = _save(tmp_path / "iter_99.pth")
    times = {published: 5, weights: 4, whole: 3, later: 20, broken: 10}
    for path, time in times.items():
        os.utime(path, (time, time))
    assert good_before(str(broken)) == str(whole)
    alike = _save(tmp_path / "epoch_1.pth", optimizer=None)  # save_optimizer=False
    os.utime(alike, (1, 1))
    assert good_before(str(broken)) == str(alike)


def test_the_error_of_a_named_one_names_a_good_one(folder: Path) -> None:
    _cut(folder / "epoch_3.pth")
    path = str(folder / "epoch_3.pth")
    with pytest.raises(BrokenCheckpointError, match=r"Hint: the newest before it.*epoch_2"):
        _read_named(path)


def _read_named(path: str) -> None:
    with naming_a_good_one(path):
        checkpoint.read(path)


def test_a_run_goes_on_from_the_one_before_and_ends_alike(tmp_path: Path) -> None:
    whole = Runner.from_cfg(config(tmp_path / "whole", train_cfg={"max_epochs": 4})).train()
    Runner.from_cfg(config(tmp_path / "cut", train_cfg={"max_epochs": 3})).train()
    _cut(tmp_path / "cut" / "epoch_3.pth")
    runner = Runner.from_cfg(config(tmp_path / "cut", train_cfg={"max_epochs": 4}, resume=True))
    runner.train()
    log = next(Path(runner.log_dir).glob("*.log")).read_text()
    assert runner.epoch == 4
    assert "epoch_3.pth" not in log  # the level is ERROR
    for ours, theirs in zip(runner.model.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert checkpoint.read(tmp_path / "cut" / "epoch_3.pth")["meta"]["epoch"] == 3


def test_a_run_does_not_go_on_from_another_than_was_named(tmp_path: Path) -> None:
    Runner.from_cfg(config(tmp_path, train_cfg={"max_epochs": 2})).train()
    named = tmp_path / "epoch_2.pth"
    _cut(named)
    runner = Runner.from_cfg(config(tmp_path, resume=True, load_from=str(named)))
    with pytest.raises(BrokenCheckpointError, match=r"epoch_1\.pth"):
        runner.train()


def test_a_run_goes_on_from_the_best_one_and_ends_alike(tmp_path: Path) -> None:
    """MMEngine's best checkpoints hold no optimizer; momentum would begin anew."""
    changes: dict[str, Any] = {
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.001, "momentum": 0.9}},
        "param_scheduler": [{"type": "LinearLR", "start_factor": 0.1, "end": 4}],
        "train_cfg": {"max_epochs": 4},
    }
    best = {"type": "CheckpointHook", "save_best": "count", "rule": "greater"}
    hooks = {"default_hooks": {"checkpoint": best}}
    whole = Runner.from_cfg(config(tmp_path / "whole", **changes, **hooks)).train()
    start = str(tmp_path / "whole" / "best_count_epoch_1.pth")
    assert {"optimizer", "param_schedulers"} <= set(checkpoint.read(start))
    resumed = config(tmp_path / "on", **changes, load_from=start, resume=True)
    again = Runner.from_cfg(resumed).train()
    for ours, theirs in zip(again.parameters(), whole.parameters(), strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    "named", ["/gone/runs/a/epoch_3.pth", "epoch_3.pth", "C:\\runs\\a\\epoch_3.pth"]
)
def test_a_folder_that_was_moved_goes_on_with_its_newest_file(tmp_path: Path, named: str) -> None:
    _save(tmp_path / "epoch_2.pth")
    newest = _save(tmp_path / "epoch_3.pth")
    (tmp_path / "last_checkpoint").write_text(named)
    told: list[str] = []
    assert newest_good(str(tmp_path), told.append) == str(newest)
    assert named in told[0]


def test_a_cut_off_file_is_told_as_such(tmp_path: Path) -> None:
    _cut(_save(tmp_path / "a.pth"))
    with pytest.raises(BrokenCheckpointError, match=r"a\.pth cannot be read: its end is missing"):
        checkpoint.read(tmp_path / "a.pth")


def test_a_run_that_starts_anew_beside_checkpoints_warns(folder: Path) -> None:
    (folder / "last_checkpoint").unlink()
    warnings: list[str] = []
    assert newest_good(str(folder), warnings.append) is None
    (warning,) = warnings
    assert "has no last_checkpoint" in warning
    assert "epoch_1.pth lies there" in warning


def test_one_in_an_empty_folder_does_not(tmp_path: Path) -> None:
    warnings: list[str] = []
    assert newest_good(str(tmp_path), warnings.append) is None
    assert warnings == []


def _folder_in_its_place(marker: Path) -> None:
    marker.unlink()
    marker.mkdir()


def _naming_a_folder(marker: Path) -> None:
    (marker.parent / "epoch_4.pth").mkdir()
    marker.write_text(str(marker.parent / "epoch_4.pth"))


USELESS: dict[str, tuple[Any, str]] = {
    "a folder": (_folder_in_its_place, r"cannot be read \(Is a directory\)"),
    "empty": (lambda marker: marker.write_text(" \n"), "holds no path"),
    "garbage": (lambda marker: marker.write_bytes(bytes(range(256)) * 40), "holds no path"),
    "no text": (lambda marker: marker.write_bytes(b"\xff\xfe" * 20), "holds no path"),
    "several lines": (lambda marker: marker.write_text("a.pth\nb.pth"), "holds no path"),
    "a long name": (
        lambda marker: marker.write_text("a" * 9999),
        r"names what cannot be looked at \(File name too long\)",
    ),
    "naming a folder": (_naming_a_folder, r"names a folder, .*epoch_4\.pth"),
}


@pytest.mark.parametrize("name", USELESS)
def test_a_useless_last_checkpoint_is_passed_by_with_a_warning(folder: Path, name: str) -> None:
    spoil, problem = USELESS[name]
    spoil(folder / "last_checkpoint")
    for age, path in enumerate(("epoch_30", "epoch_1", "epoch_2", "epoch_3")):
        os.utime(folder / f"{path}.pth", (age, age))
    _cut(folder / "epoch_3.pth")
    os.utime(folder / "epoch_3.pth", (9, 9))
    warnings: list[str] = []
    assert newest_good(str(folder), warnings.append) == str(folder / "epoch_2.pth")
    (warning,) = warnings
    assert re.search(f"last_checkpoint {problem}", warning)
    assert f"goes on from {folder / 'epoch_2.pth'}" in warning


def test_one_that_may_not_be_read_is_passed_by_too(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> str:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(latest_checkpoint, "find_latest_checkpoint", refuse)
    warnings: list[str] = []
    assert newest_good(str(folder), warnings.append) == str(folder / "epoch_30.pth")
    assert "last_checkpoint cannot be read (Permission denied)" in warnings[0]


@pytest.mark.parametrize("name", USELESS)
def test_with_nothing_beside_it_a_useless_last_checkpoint_is_an_error(
    tmp_path: Path, name: str
) -> None:
    spoil, problem = USELESS[name]
    (tmp_path / "last_checkpoint").touch()
    _save(tmp_path / "weights.pth", message_hub=None)
    spoil(tmp_path / "last_checkpoint")
    with pytest.raises(CheckpointError, match=f"last_checkpoint {problem}.*, and no checkpoint"):
        newest_good(str(tmp_path), pytest.fail)


def test_files_of_the_current_folder_are_not_those_of_the_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    _save(elsewhere / "epoch_99.pth")
    monkeypatch.chdir(elsewhere)
    (folder / "last_checkpoint").write_text("")
    assert newest_good(str(folder), lambda _: None) == str(folder / "epoch_30.pth")


def test_a_run_goes_on_though_its_last_checkpoint_is_a_folder(tmp_path: Path) -> None:
    Runner.from_cfg(config(tmp_path, train_cfg={"max_epochs": 1})).train()
    _folder_in_its_place(tmp_path / "last_checkpoint")
    runner = Runner.from_cfg(config(tmp_path, train_cfg={"max_epochs": 2}, resume=True))
    runner.train()
    assert (runner.epoch, runner.iter) == (2, 4)
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / "epoch_2.pth")
    assert (tmp_path / "last_checkpoint.folder").is_dir()


_FOUND = """
import json, pathlib, tempfile
from mmengine.runner import find_latest_checkpoint
found = []
for text in {texts!r}:
    folder = tempfile.mkdtemp()
    if text is not None:
        pathlib.Path(folder, "last_checkpoint").write_text(text)
    found.append(find_latest_checkpoint(folder))
folder = tempfile.mkdtemp()
pathlib.Path(folder, "last_checkpoint").mkdir()
try:
    find_latest_checkpoint(folder)
except Exception as error:
    found.append(type(error).__name__)
print(json.dumps(found))
"""


def test_the_public_function_is_as_in_mmengine(reference: Any, tmp_path: Path) -> None:
    texts = [None, "a/b.pth", " a.pth \n", "", "a\nb", "s3://a/b.pth", "ä.pth"]
    theirs = reference.run(_FOUND.format(texts=texts))
    ours: list[str | None] = []
    for number, text in enumerate(texts):
        folder = tmp_path / str(number)
        folder.mkdir()
        if text is not None:
            (folder / "last_checkpoint").write_text(text)
        ours.append(find_latest_checkpoint(str(folder)))
    _folder_in_its_place(folder / "last_checkpoint")
    with pytest.raises(OSError) as caught:  # noqa: PT011  its type is what is compared
        find_latest_checkpoint(str(folder))
    assert [*ours, type(caught.value).__name__] == theirs
