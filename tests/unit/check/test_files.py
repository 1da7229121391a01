"""Which files are checked, and what is said of the others."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from mm2pl.check.files import AS_BASE, CODE, NO_KEY, Chosen, choose, why_no_config

CONFIG = "model = dict(type='Net')\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {
        "configs/_base_/net.py": CONFIG,
        "configs/a/one.py": "_base_ = '../_base_/net.py'\n",
        "configs/a/two.yaml": "model:\n  type: Net\n",
        "configs/a/three.json": '{"_base_": "../_base_/net.py"}',
        "configs/a/lazy.py": "with read_base():\n    from .._base_.net import *\n",
        "configs/a/metafile.yml": "Models:\n  - Name: one\n    Config: one.py\n",
        "configs/a/helpers.py": "class Net:\n    model = 1\n",
        "configs/a/policies.py": "policies = [1]\n",
        "configs/a/README.md": "model",
        "configs/.hidden/four.py": CONFIG,
        "configs/venv/pyvenv.cfg": "",
        "configs/venv/five.py": CONFIG,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _error(chosen: Chosen) -> str:
    (error,) = chosen.wrong
    return str(error)


@pytest.mark.usefixtures("folder")
class TestAFolder:
    def test_gives_its_configs_in_order(self) -> None:
        names = ["lazy.py", "one.py", "three.json", "two.yaml"]
        assert choose(["configs"]).files == [f"configs/a/{name}" for name in names]

    def test_says_of_each_other_file_why_it_is_left_out(self) -> None:
        reasons = Counter(one.reason for one in choose(["configs"]).skipped)
        assert reasons == {AS_BASE: 1, NO_KEY: 2, CODE: 1}

    def test_below_base_is_checked_if_it_is_named(self) -> None:
        assert choose(["configs/_base_"]).files == ["configs/_base_/net.py"]

    def test_without_configs_is_wrong(self) -> None:
        Path("empty").mkdir()
        Path("empty/notes.txt").touch()
        assert "empty: the folder holds no config file" in _error(choose(["empty"]))

    def test_with_bases_alone_is_wrong(self) -> None:
        Path("only/_base_").mkdir(parents=True)
        Path("only/_base_/net.py").write_text(CONFIG)
        assert "none of the 1 files in the folder is a config" in _error(choose(["only"]))


@pytest.mark.usefixtures("folder")
class TestAFile:
    def test_that_is_named_twice_is_checked_once(self) -> None:
        chosen = choose(["configs/a/one.py", "configs/a/../a/one.py", "configs/a"])
        assert chosen.files.count("configs/a/one.py") == 1
        assert len(chosen.files) == 4

    def test_that_is_named_is_not_counted_as_left_out(self) -> None:
        chosen = choose(["configs", "configs/_base_/net.py"])
        assert "configs/_base_/net.py" in chosen.files
        assert AS_BASE not in {one.reason for one in chosen.skipped}

    def test_that_does_not_exist_names_the_nearest(self) -> None:
        text = _error(choose(["configs/a/onne.py"]))
        assert "configs/a/onne.py: there is no such file\nDid you mean: configs/a/one.py" in text

    def test_in_a_folder_that_does_not_exist_says_so(self) -> None:
        assert "the folder nowhere does not exist" in _error(choose(["nowhere/one.py"]))

    def test_of_a_package_says_how_to_reach_it(self) -> None:
        assert "_base_ = ['mmdet::x/y.py']" in _error(choose(["mmdet::x/y.py"]))

    def test_that_is_a_checkpoint_says_so(self) -> None:
        Path("epoch_1.pth").touch()
        assert "this is a checkpoint, not a config" in _error(choose(["epoch_1.pth"]))

    def test_that_is_a_script_says_how_to_run_it(self) -> None:
        Path("train.py").write_text("model = 1\nif __name__ == '__main__':\n    print(model)\n")
        assert "`mm2pl run train.py`" in _error(choose(["train.py"]))

    def test_that_is_broken_data_is_left_to_the_reader(self) -> None:
        Path("broken.json").write_text('{"a": ')
        Path("other.json").write_text('{"a": 1}')
        assert choose(["broken.json"]).files == ["broken.json"]
        assert "it sets no key that a run reads" in _error(choose(["other.json"]))

    def test_that_sets_nothing_a_run_reads_says_so(self) -> None:
        assert "it sets no key that a run reads" in _error(choose(["configs/a/policies.py"]))


@pytest.mark.parametrize(
    "text",
    [
        CONFIG,
        "_base_ = 'other.py'\n\nclass Helper: pass\n",
        "train_cfg: dict = dict()\n",
        "model = dict(",  # reading it says what is wrong
        "work_dir = '{{ fileDirname }}'\n_base_ = {{ 1 }\n",
    ],
)
def test_may_be_a_config(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text(text)
    assert why_no_config(str(tmp_path / "x.py")) is None


def test_nothing_is_run_to_find_out(tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("raise SystemExit\n")
    assert why_no_config(str(tmp_path / "x.py")) == NO_KEY


def test_a_file_nested_too_deeply_to_be_parsed_is_left_to_the_reader(tmp_path: Path) -> None:
    file = tmp_path / "deep.py"
    file.write_text(f"model = {'-' * 20_000}1\n")
    assert why_no_config(str(file)) is None
