"""What of mmengine.fileio is ours alone: fsspec, and errors that say more."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import yaml

from mm2pl.errors import ConfigError, ConfigKeyError, MissingPackageError, UnsupportedError
from mm2pl.mmengine import fileio
from mm2pl.mmengine.fileio import file_client
from mm2pl.mmengine.fileio.backends import FsspecBackend

MEMORY = "memory://bucket"


@pytest.fixture(autouse=True)
def _empty_memory() -> Iterator[None]:
    yield
    fsspec.filesystem("memory").store.clear()
    fsspec.filesystem("memory").pseudo_dirs[:] = [""]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("a.txt", "sub/b.json", "sub/.hidden", "sub/deep/c.txt"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"in {name}")
    return tmp_path / "tree"


def test_importing_fileio_brings_neither_torch_nor_fsspec() -> None:
    code = (
        "import sys, mm2pl.mmengine.fileio;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'fsspec')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_text_and_bytes_come_back_from_any_storage() -> None:
    fileio.put_text("é\n", f"{MEMORY}/new/a.txt")
    fileio.put(b"\x00", f"{MEMORY}/new/b.bin")
    assert fileio.get_text(f"{MEMORY}/new/a.txt") == "é\n"
    assert fileio.get(f"{MEMORY}/new/a.txt") == "é\n".encode()
    assert fileio.get(f"{MEMORY}/new/b.bin") == b"\x00"


def test_objects_and_lists_come_back_from_any_storage() -> None:
    for ending in ("json", "yaml", "pkl"):
        fileio.dump({"a": [1]}, f"{MEMORY}/x.{ending}")
        assert fileio.load(f"{MEMORY}/x.{ending}") == {"a": [1]}
    fileio.put(b"a 1\r\nb 2\n", f"{MEMORY}/lines.txt")
    assert fileio.list_from_file(f"{MEMORY}/lines.txt", prefix="x ") == ["x a 1", "x b 2"]
    assert fileio.dict_from_file(f"{MEMORY}/lines.txt") == {"a": "1", "b": "2"}


def test_a_folder_is_listed_alike_in_any_storage(tree: Path) -> None:
    fileio.copytree_from_local(tree, f"{MEMORY}/tree")
    choices = [
        {},
        {"recursive": True},
        {"list_dir": False, "recursive": True, "suffix": ".txt"},
        {"list_file": False, "recursive": True},
    ]
    for options in choices:
        ours = sorted(fileio.list_dir_or_file(f"{MEMORY}/tree", **options))
        assert ours == sorted(fileio.list_dir_or_file(tree, **options))
        assert ours


def test_what_is_where_is_told_alike_in_any_storage(tree: Path) -> None:
    fileio.copytree_from_local(tree, f"{MEMORY}/tree")
    for ask in (fileio.exists, fileio.isdir, fileio.isfile):
        for name in ("a.txt", "sub", "no"):
            assert ask(f"{MEMORY}/tree/{name}") is ask(tree / name)


def test_folders_go_to_a_storage_and_come_back_whole(tree: Path, tmp_path: Path) -> None:
    uploaded = fileio.copytree_from_local(tree, f"{MEMORY}/tree")
    copied = fileio.copytree(uploaded, f"{MEMORY}/copy")
    fileio.copytree_to_local(copied, tmp_path / "back")
    found = {p.relative_to(tree): p.read_text() for p in tree.rglob("*") if p.is_file()}
    back = tmp_path / "back"
    assert {p.relative_to(back): p.read_text() for p in back.rglob("*") if p.is_file()} == found


def test_files_are_copied_to_files_and_into_folders(tree: Path, tmp_path: Path) -> None:
    first = fileio.copyfile_from_local(tree / "a.txt", f"{MEMORY}/f/x.txt")
    second = fileio.copyfile(first, f"{MEMORY}/f/y.txt")
    into = fileio.copyfile_from_local(tree / "a.txt", f"{MEMORY}/f")
    local = fileio.copyfile_to_local(second, tmp_path / "new" / "z.txt")
    also_local = fileio.copyfile_to_local(second, tmp_path)
    assert sorted(fileio.list_dir_or_file(f"{MEMORY}/f")) == ["a.txt", "x.txt", "y.txt"]
    assert into == f"{MEMORY}/f/a.txt"
    assert Path(local).read_text() == Path(also_local).read_text() == "in a.txt"
    assert Path(also_local) == tmp_path / "y.txt"


def test_copying_refuses_what_would_overwrite(tree: Path) -> None:
    fileio.copytree_from_local(tree, f"{MEMORY}/tree")
    with pytest.raises(FileExistsError, match="should not exist"):
        fileio.copytree_from_local(tree, f"{MEMORY}/tree")
    with pytest.raises(FileExistsError, match="should not exist"):
        fileio.copytree(f"{MEMORY}/tree", f"{MEMORY}/tree/sub")
    with pytest.raises(shutil.SameFileError):
        fileio.copyfile(f"{MEMORY}/tree/a.txt", f"{MEMORY}/tree")


def test_links_become_copies_where_there_are_none(tree: Path) -> None:
    fileio.copytree_from_local(tree, f"{MEMORY}/tree")
    assert not fileio.copy_if_symlink_fails(f"{MEMORY}/tree", f"{MEMORY}/second")
    assert not fileio.copy_if_symlink_fails(f"{MEMORY}/tree/a.txt", f"{MEMORY}/a.txt")
    assert fileio.get_text(f"{MEMORY}/second/sub/deep/c.txt") == "in sub/deep/c.txt"
    assert fileio.get_text(f"{MEMORY}/a.txt") == "in a.txt"


def test_removing_tells_files_from_folders(tree: Path) -> None:
    fileio.copytree_from_local(tree, f"{MEMORY}/tree")
    with pytest.raises(IsADirectoryError):
        fileio.remove(f"{MEMORY}/tree/sub")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        fileio.remove(f"{MEMORY}/tree/no")
    fileio.remove(f"{MEMORY}/tree/a.txt")
    fileio.rmtree(f"{MEMORY}/tree/sub")
    assert not fileio.exists(f"{MEMORY}/tree/a.txt")
    assert not fileio.exists(f"{MEMORY}/tree/sub")


def test_a_local_path_is_a_download_for_a_while() -> None:
    fileio.put_text("x", f"{MEMORY}/a.txt")
    with fileio.get_local_path(f"{MEMORY}/a.txt") as path:
        assert Path(path).read_text() == "x"
    assert not os.path.exists(path)


def test_storage_options_reach_fsspec() -> None:
    backend = FsspecBackend(auto_mkdir=True)
    fs, _ = backend._at("file:///tmp/x")
    assert fs.auto_mkdir is True


def test_urls_are_signed_by_storages_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, dict[str, object]]] = []

    def sign(self: object, path: str, **options: object) -> str:
        asked.append((path, options))
        return "https://signed"

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "sign", sign)
    fileio.generate_presigned_url(f"{MEMORY}/a", expires_in=5)
    assert fileio.generate_presigned_url(f"{MEMORY}/a", "put_object") == "https://signed"
    first, second = {"expiration": 5}, {"expiration": 3600, "client_method": "put_object"}
    assert asked == [("/bucket/a", first), ("/bucket/a", second)]


def test_chained_uris_are_fsspecs() -> None:
    fileio.put_text("x", f"{MEMORY}/a.txt")
    assert fileio.get_text(f"simplecache::{MEMORY}/a.txt") == "x"


def test_s3_is_fsspecs_too() -> None:
    assert isinstance(fileio.get_file_backend("s3://bucket/a"), FsspecBackend)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingPackageError, match="s3fs"):
        fileio.get("s3://bucket/a")


@pytest.mark.parametrize("name", ["petrel", "lmdb", "memcached"])
def test_unsupported_backends_say_so_and_name_the_way(name: str) -> None:
    with pytest.raises(UnsupportedError, match=r"is not supported(.|\n)*s3://bucket/file"):
        fileio.get("a", backend_args={"backend": name})


def test_petrels_clusters_are_said_to_be_unsupported() -> None:
    with pytest.raises(UnsupportedError, match="PetrelBackend is not supported"):
        fileio.get("cluster:s3://bucket/a")


def test_an_unknown_backend_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigKeyError, match=r"(?s)'locol'.*Did you mean: local"):
        fileio.get("a", backend_args={"backend": "locol"})


def test_an_unknown_prefix_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigKeyError, match=r"(?s)for memry://.*Did you mean: memory"):
        fileio.get("memry://a")


def test_an_unknown_format_is_answered_with_the_nearest() -> None:
    with pytest.raises(TypeError, match=r"(?s)jsn.*Did you mean: json"):
        fileio.load("a.jsn")


def test_an_unknown_client_is_answered_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_client, "_warn", lambda message: None)
    with pytest.raises(ConfigError, match=r"(?s)Backend dsk.*Did you mean: disk"):
        fileio.FileClient(backend="dsk")


def test_a_client_is_made_anew_when_its_backend_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(fileio.LocalBackend):
        pass

    monkeypatch.setattr(file_client, "_warn", lambda message: None)
    for table in ("_backends", "_instances"):
        monkeypatch.setattr(fileio.FileClient, table, dict(getattr(fileio.FileClient, table)))
    before = fileio.FileClient(backend="disk")
    fileio.FileClient.register_backend("disk", Other, force=True)
    assert fileio.FileClient(backend="disk") is not before
    assert isinstance(fileio.FileClient(backend="disk").client, Other)


def test_a_line_without_a_value_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a 1\nb\n")
    with pytest.raises(AssertionError, match=r"a\.txt:2"):
        fileio.dict_from_file(tmp_path / "a.txt")


def test_yaml_runs_no_code_unless_it_is_asked_to() -> None:
    text = "!!python/object/apply:os.getpid []"
    with pytest.raises(yaml.YAMLError, match="could not determine a constructor"):
        fileio.load(io.StringIO(text), file_format="yaml")
    loaded = fileio.load(io.StringIO(text), file_format="yaml", Loader=yaml.UnsafeLoader)
    assert loaded == os.getpid()
