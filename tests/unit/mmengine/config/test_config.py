"""What is ours alone in reading configs: strings, packages, templates, caching."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import pytest

from mm2pl.errors import ConfigError
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.config.utils import MODULE2PACKAGE, _get_cfg_metainfo, package_folder


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An importable mmyolo, whose import fails, with a config in it."""
    folder = tmp_path / "site" / "mmyolo"
    (folder / ".mim" / "configs" / "a").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    (folder / ".mim" / "configs" / "a" / "b.py").write_text("model = dict(type='M')\n")
    (folder / ".mim" / "model-index.yml").write_text("Import: [m.yml]\n")
    (folder / ".mim" / "m.yml").write_text("Models:\n- {Name: x, Config: configs/a/b.py}\n")
    monkeypatch.syspath_prepend(str(folder.parent))
    return folder


def test_a_package_needs_no_more_than_its_folder(package: Path, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("_base_ = 'mmyolo::a/b.py'\nlr = 1\n")
    cfg = Config.fromfile(tmp_path / "main.py")
    assert cfg.to_dict() == {"model": {"type": "M", "_scope_": "mmyolo"}, "lr": 1}
    assert "mmyolo" not in sys.modules


def test_a_package_without_init_is_found(package: Path) -> None:
    (package / "__init__.py").unlink()
    assert package_folder("mmyolo") == str(package)


def test_a_distribution_is_found_by_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mmaction").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert MODULE2PACKAGE["mmaction"] == "mmaction2"
    assert package_folder("mmaction2") == str(tmp_path / "mmaction")


def test_a_missing_config_of_a_package_names_the_nearest(package: Path, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("_base_ = 'mmyolo::a/bb.py'\n")
    with pytest.raises(FileNotFoundError) as caught:
        Config.fromfile(tmp_path / "main.py")
    error = caught.value
    assert isinstance(error, ConfigError)
    assert (error.file, error.choices) == (f"{tmp_path}/main.py:1", ("b.py",))


def test_metafiles_tell_about_a_config(package: Path) -> None:
    assert _get_cfg_metainfo(str(package), "a/b.py")["Name"] == "x"
    with pytest.raises(ValueError, match="no metafile"):
        _get_cfg_metainfo(str(package), "a/c.py")


def test_relative_bases_of_a_string_lie_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.py").write_text("a = dict(x=1)\n")
    cfg = Config.fromstring("_base_ = './base.py'\na = dict(y=2)\n", ".py")
    assert cfg.to_dict() == {"a": {"x": 1, "y": 2}}


def test_python_given_as_yaml_is_warned_of() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ConfigError):
            Config.fromstring("a = dict(b=1)", ".yaml")
    assert "may be .py" in str(caught[0].message)


def test_a_changed_file_is_read_anew(tmp_path: Path) -> None:
    base, main = tmp_path / "base.py", tmp_path / "main.py"
    base.write_text("a = 1\n")
    main.write_text("_base_ = 'base.py'\n")
    assert Config.fromfile(main).a == 1
    base.write_text("a = 2\n")
    assert Config.fromfile(main).a == 2


def test_two_reads_share_nothing(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("a = [dict(x=[1])]\n")
    (tmp_path / "main.py").write_text("_base_ = 'base.py'\n")
    Config.fromfile(tmp_path / "main.py").a[0].x.append(2)
    assert Config.fromfile(tmp_path / "main.py").to_dict() == {"a": [{"x": [1]}]}


def test_a_config_is_run_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "main.py").write_text("import os\na = os.environ.get('MM2PL_A')\n")
    assert Config.fromfile(tmp_path / "main.py").a is None
    monkeypatch.setenv("MM2PL_A", "1")
    assert Config.fromfile(tmp_path / "main.py").a == "1"


@pytest.mark.proves("env_variables")
def test_values_of_the_environment_are_taken_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MM2PL_A", r"a\\b\\g<0>")
    (tmp_path / "main.py").write_text("a = '{{$MM2PL_A:x}}'\n")
    assert Config.fromfile(tmp_path / "main.py").a == r"a\b\g<0>"


def test_the_file_is_known_to_its_code(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import os\nhere = os.path.basename(__file__)\n")
    assert Config.fromfile(tmp_path / "main.py").to_dict() == {"here": "main.py"}


def test_a_template_outside_of_quotes_is_filled_in(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("a = {{$MM2PL_UNSET:3}}\n")
    assert Config.fromfile(tmp_path / "main.py").a == 3


def test_base_variables_in_strings_are_written_out(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("root = 'data/'\nn = 3\n")
    text = "_base_ = 'base.py'\na = '{{_base_.root}}train{{_base_.n}}'\n"
    (tmp_path / "main.py").write_text(text)
    assert Config.fromfile(tmp_path / "main.py").a == "data/train3"


def test_the_difference_of_configs_is_shown(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\ny = 2\n")
    lines = Config.diff(str(tmp_path / "a.py"), Config({"x": 1, "y": 3})).splitlines()
    assert "-y = 2" in lines
    assert "+y = 3" in lines
    assert " x = 1" in lines


def test_the_difference_of_equal_configs_is_empty() -> None:
    assert Config.diff(Config({"x": 1, "y": {}}), Config({"y": {}, "x": 1})).strip() == ""
