"""Files are complete or absent."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from mm2pl import durable


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_once_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    durable.write_text(path, "old")
    with durable.replacing(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert _names(path.parent) == ["a.txt"]


def test_a_write_that_fails_leaves_the_old_file_alone(tmp_path: Path) -> None:
    durable.write_text(tmp_path / "a.txt", "old")
    with suppress(ZeroDivisionError), durable.replacing(tmp_path / "a.txt") as file:
        file.write(b"half")
        raise ZeroDivisionError
    assert (tmp_path / "a.txt").read_text() == "old"
    assert _names(tmp_path) == ["a.txt"]


def test_the_content_is_on_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def fsync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    def renamed(source: Path, target: Path) -> None:
        assert Path(source).parent == Path(target).parent
        done.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", renamed)
    durable.write_text(tmp_path / "a.txt", "x")
    assert done == ["file", "name", "folder"]


def test_a_file_that_leaves_memory_stays_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, int, int]] = []
    monkeypatch.setattr(os, "POSIX_FADV_DONTNEED", 4, raising=False)
    monkeypatch.setattr(
        os, "posix_fadvise", lambda handle, *what: asked.append(what), raising=False
    )
    durable.write_text(tmp_path / "a.txt", "x")
    durable.leave_memory(tmp_path / "a.txt")
    assert asked == [(0, 0, os.POSIX_FADV_DONTNEED)]  # from the first to the last byte
    durable.leave_memory(tmp_path / "absent.txt")
    monkeypatch.delattr(os, "posix_fadvise")  # macOS
    durable.leave_memory(tmp_path / "a.txt")
    assert len(asked) == 1
    assert (tmp_path / "a.txt").read_text() == "x"


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    durable.write_text(tmp_path / "a.txt", "")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_link_goes_on_pointing_to_the_file(tmp_path: Path) -> None:
    durable.write_text(tmp_path / "real" / "a.txt", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a.txt")
    durable.write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a.txt").read_text() == "new"


def test_a_copy_takes_the_place_of_what_had_its_name(tmp_path: Path) -> None:
    for name in ("a", "b"):
        durable.write_text(tmp_path / name, name)
    durable.copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "a"
    assert _names(tmp_path) == ["a", "b"]
    (tmp_path / "a").write_text("new")
    assert (tmp_path / "b").read_text() == "a"


def test_a_copy_of_what_is_not_there_leaves_the_old_file_alone(tmp_path: Path) -> None:
    durable.write_text(tmp_path / "b", "b")
    with pytest.raises(FileNotFoundError):
        durable.copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "b"
    assert _names(tmp_path) == ["b"]


_KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from mm2pl.durable import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.pth"
    durable.write_text(target, "old")
    (tmp_path / ".hidden").write_text("the user's")
    root = str(Path(durable.__file__).parents[1])
    subprocess.run([sys.executable, "-c", _KILLED, str(target), root])
    assert target.read_text() == "old"
    (left,) = set(_names(tmp_path)) - {"a.pth", ".hidden"}
    with durable.replacing(tmp_path / "b.pth"):
        # That one is being written.
        assert durable.remove_leftovers(tmp_path) == [left]
        assert any(name.startswith(".b.pth") for name in _names(tmp_path))
    assert _names(tmp_path) == [".hidden", "a.pth", "b.pth"]


def test_a_folder_is_tried_without_a_trace(tmp_path: Path) -> None:
    durable.check_writable(tmp_path / "new")
    assert _names(tmp_path / "new") == []


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        durable.check_writable(tmp_path / "file")
