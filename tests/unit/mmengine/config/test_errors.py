"""Errors of configs name the file, the line, the cause, and what would be right."""

from __future__ import annotations

import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from mm2pl.errors import ConfigError, ConfigFileNotFoundError, ConfigKeyError, ConfigSyntaxError
from mm2pl.mmengine.config import Config


def failure(folder: Path, main: str = "main.py", **files: str) -> ConfigError:
    """Read a config that must fail; return the error."""
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(textwrap.dedent(text))
    with pytest.raises(ConfigError) as caught:
        Config.fromfile(folder / main)
    return caught.value


def test_missing_base_names_line_and_nearest_files(tmp_path: Path) -> None:
    error = failure(
        tmp_path,
        resnet50__py="",
        main__py="_base_ = [\n    './resnet50.py',\n    './resnet_50.py']\n",
    )
    assert isinstance(error, ConfigFileNotFoundError)
    assert error.file == f"{tmp_path}/main.py:3"
    assert error.choices[0] == "resnet50.py"
    assert f'"{tmp_path}/resnet_50.py" does not exist' in str(error)


def test_missing_folder_of_a_base_is_said(tmp_path: Path) -> None:
    error = failure(tmp_path, main__py="_base_ = '../nope/x.py'\n")
    assert f"the folder {tmp_path.parent}/nope does not exist" in str(error)


def test_a_base_that_is_a_folder_is_said_to_be_one(tmp_path):
    (tmp_path / "bases").mkdir()
    (tmp_path / "a.py").write_text("_base_ = ['./bases']\n")
    with pytest.raises(FileNotFoundError, match='bases" is a folder'):
        Config.fromfile(tmp_path / "a.py")


def test_missing_config_names_nearest_files(tmp_path: Path) -> None:
    error = failure(tmp_path, main="mian.py", main__py="")
    assert error.choices == ("main.py",)


def test_home_of_the_user_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "base.py").write_text("a = 1\n")
    (tmp_path / "main.py").write_text("_base_ = '~/base.py'\n")
    assert Config.fromfile("~/main.py").a == 1


def test_syntax_error_names_line_and_code(tmp_path: Path) -> None:
    error = failure(tmp_path, main__py="a = 1\nb = dict(c=1 d=2)\n")
    assert isinstance(error, ConfigSyntaxError)
    assert error.file == f"{tmp_path}/main.py:2"
    assert "b = dict(c=1 d=2)" in str(error)
    assert error.lineno == 2


def test_error_in_a_base_names_all_that_inherit_it(tmp_path: Path) -> None:
    error = failure(
        tmp_path,
        a__py="x = 1 / 0\n",
        b__py="# first\n_base_ = 'a.py'\n",
        main__py="_base_ = ['b.py']\n",
    )
    assert str(error).startswith(f"{tmp_path}/a.py:1: the config raised ZeroDivisionError")
    assert re.search(r"inherited by .*/b\.py:2\n +inherited by .*/main\.py:1", str(error))


def test_error_in_a_function_names_the_innermost_line_of_the_config(tmp_path: Path) -> None:
    error = failure(tmp_path, main__py="def f():\n    return int('x')\na = f()\n")
    assert error.file == f"{tmp_path}/main.py:2"
    assert isinstance(error.__cause__, ValueError)


def test_missing_key_of_a_base_has_a_hint(tmp_path: Path) -> None:
    error = failure(tmp_path, b__py="a = 1\n", main__py="_base_ = 'b.py'\n\nx = _base_['c']\n")
    assert isinstance(error, ConfigKeyError)
    assert error.file == f"{tmp_path}/main.py:3"
    assert "Hint: a key read through _base_" in str(error)


def test_dict_over_a_value_names_key_path_and_line(tmp_path: Path) -> None:
    error = failure(
        tmp_path,
        b__py="model = dict(head=dict(loss='ce'))\n",
        main__py="""\
            _base_ = 'b.py'
            model = dict(
                type='A',
                head=dict(
                    loss=dict(type='CE')))
            """,
    )
    assert isinstance(error, TypeError)
    assert (error.file, error.key_path) == (f"{tmp_path}/main.py:5", "model.head.loss")
    assert "_delete_=True" in str(error)


def test_dict_over_a_value_in_yaml_names_the_line(tmp_path: Path) -> None:
    error = failure(
        tmp_path,
        main="main.yaml",
        b__py="model = dict(head=1)\n",
        main__yaml="_base_: b.py\nmodel:\n  depth: 1\n  head:\n    x: 1\n",
    )
    assert (error.file, error.key_path) == (f"{tmp_path}/main.yaml:4", "model.head")


def test_duplicate_keys_name_both_bases(tmp_path: Path) -> None:
    error = failure(
        tmp_path, a__py="x = 1\n", b__py="x = 2\n", main__py="_base_ = [\n 'a.py',\n 'b.py']\n"
    )
    assert isinstance(error, KeyError)
    assert error.file == f"{tmp_path}/main.py:3"
    assert f"{tmp_path}/a.py" in str(error)
    assert f"{tmp_path}/b.py" in str(error)


def test_reserved_key_names_the_line(tmp_path: Path) -> None:
    error = failure(tmp_path, main__py="a = 1\n\ntext = 'x'\n")
    assert error.file == f"{tmp_path}/main.py:3"


def test_circle_of_bases_is_an_error(tmp_path: Path) -> None:
    error = failure(tmp_path, a__py="_base_ = 'main.py'\n", main__py="_base_ = 'a.py'\n")
    assert f"circle: {tmp_path}/main.py -> {tmp_path}/a.py -> {tmp_path}/main.py" in str(error)


def test_circle_of_imported_bases_is_an_error(tmp_path: Path) -> None:
    text = "from mmengine.config import read_base\nwith read_base():\n    from .{} import *\n"
    error = failure(tmp_path, a__py=text.format("main"), main__py=text.format("a"))
    assert "the bases form a circle" in str(error)


def test_entry_of_base_that_is_no_string_is_an_error(tmp_path: Path) -> None:
    error = failure(tmp_path, main__py="x = 1\n_base_ = ['a.py'[0:0] or 3]\n")
    assert isinstance(error, TypeError)
    assert error.file == f"{tmp_path}/main.py:2"


def test_unset_environment_variable_names_the_line(tmp_path: Path) -> None:
    error = failure(tmp_path, main__py="a = 1\nb = '{{$MM2PL_UNSET:}}'\n")
    assert error.file == f"{tmp_path}/main.py:2"
    assert "MM2PL_UNSET" in str(error)


def test_missing_base_variable_names_the_line(tmp_path: Path) -> None:
    error = failure(tmp_path, b__py="a = dict(c=1)\n", main__py="_base_='b.py'\nx={{_base_.a.d}}\n")
    assert isinstance(error, KeyError)
    assert (error.file, error.key_path) == (f"{tmp_path}/main.py:2", "_base_.a.d")


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [("main.yaml", "a: 1\nb: [1\nc: 2\n", 3), ("main.json", '{"a": 1,\n"b": }', 2)],
)
def test_broken_data_files_name_the_line(tmp_path: Path, name: str, text: str, line: int) -> None:
    error = failure(tmp_path, name, **{name.replace(".", "__"): text})
    assert isinstance(error, SyntaxError)
    assert error.file == f"{tmp_path}/{name}:{line}"


@pytest.mark.parametrize("text", ["", "- 1\n", "3\n"])
def test_data_files_must_hold_a_mapping(tmp_path: Path, text: str) -> None:
    assert "not a mapping" in str(failure(tmp_path, "main.yaml", main__yaml=text))


def test_keys_at_the_top_must_be_strings(tmp_path: Path) -> None:
    assert "must be a str, not 1" in str(failure(tmp_path, "main.yaml", main__yaml="1: 2\n"))


def test_yaml_makes_no_objects_but_tuples(tmp_path: Path) -> None:
    text = "a: !!python/object/apply:os.getcwd []\n"
    assert isinstance(failure(tmp_path, "main.yaml", main__yaml=text), SyntaxError)


def test_yaml_aliases_that_unfold_without_end_are_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 1]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    error = failure(tmp_path, "main.yaml", main__yaml="\n".join(lines))
    assert "its aliases make a value that unfolds to" in str(error)


def test_a_base_of_a_library_that_another_one_took_in_names_that(tmp_path: Path) -> None:
    error = failure(tmp_path, "main.py", main__py="_base_ = 'mmselfsup::a/b.py'\n")
    assert "pip install mmpretrain, which came after mmselfsup" in str(error)


def test_a_folder_is_no_config(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="cannot be read"):
        Config.fromfile(tmp_path)


def test_a_binary_file_is_no_config(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigSyntaxError, match="not UTF-8"):
        Config.fromfile(tmp_path / "main.py")


def test_null_bytes_are_a_syntax_error(tmp_path: Path) -> None:
    assert isinstance(failure(tmp_path, main__py="a = 1\0\n"), SyntaxError)


def test_custom_imports_that_fail_name_module_cause_and_line(tmp_path: Path) -> None:
    error = failure(
        tmp_path, main__py="a = 1\ncustom_imports = dict(imports=['mm2pl_no_such_module'])\n"
    )
    assert isinstance(error, ImportError)
    assert (error.file, error.key_path) == (f"{tmp_path}/main.py:2", "custom_imports")
    assert "mm2pl_no_such_module" in str(error)
    assert "PYTHONPATH" in str(error)


@pytest.mark.proves("custom_imports", "custom_imports.imports")
def test_custom_imports_of_a_base_are_run_and_can_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "mm2pl_custom.py").write_text("")
    (tmp_path / "base.py").write_text("custom_imports = dict(imports='mm2pl_custom')\n")
    (tmp_path / "main.py").write_text("_base_ = 'base.py'\n")
    Config.fromfile(tmp_path / "main.py", import_custom_modules=False)
    assert "mm2pl_custom" not in sys.modules
    Config.fromfile(tmp_path / "main.py")
    assert sys.modules.pop("mm2pl_custom")


@pytest.mark.proves("custom_imports.allow_failed_imports")
def test_custom_imports_may_fail_if_the_config_says_so(tmp_path: Path) -> None:
    imports = "dict(imports=['mm2pl_no_such_module'], allow_failed_imports=True)"
    (tmp_path / "main.py").write_text(f"a = 1\ncustom_imports = {imports}\n")
    with pytest.warns(UserWarning, match="mm2pl_no_such_module"):
        assert Config.fromfile(tmp_path / "main.py").a == 1


def test_an_unknown_package_has_the_nearest_names(tmp_path: Path) -> None:
    error = failure(tmp_path, main__py="_base_ = 'mmdett::a/b.py'\n")
    assert error.file == f"{tmp_path}/main.py:1"
    assert "mmdet" in error.choices


def test_missing_name_in_an_imported_base_has_the_nearest_names(tmp_path: Path) -> None:
    text = "from mmengine.config import read_base\nwith read_base():\n    from .b import modle\n"
    error = failure(tmp_path, b__py="model = dict()\n", main__py=text)
    assert error.file == f"{tmp_path}/main.py:3"
    assert error.choices == ("model",)


@pytest.mark.parametrize("body", ["import os", "x = 1", "from . import b"])
def test_read_base_holds_imports_of_files_only(tmp_path: Path, body: str) -> None:
    text = f"from mmengine.config import read_base\nwith read_base():\n    {body}\n"
    error = failure(tmp_path, main__py=text)
    assert error.file == f"{tmp_path}/main.py:3"
    assert isinstance(error, RuntimeError)


def test_a_base_that_is_a_package_is_refused(tmp_path: Path) -> None:
    text = "from mmengine.config import read_base\nwith read_base():\n    from mmdet import *\n"
    assert "is a package, not a file" in str(failure(tmp_path, main__py=text))


def test_a_base_in_a_package_that_is_not_installed_names_the_line(tmp_path: Path) -> None:
    text = "from mmengine.config import read_base\nwith read_base():\n    from nolib.a import *\n"
    error = failure(tmp_path, main__py=text)
    assert isinstance(error, ImportError)
    assert error.file == f"{tmp_path}/main.py:3"


def test_an_error_of_the_config_reader_used_in_a_config_is_kept(tmp_path: Path) -> None:
    text = "from mmengine.config import Config\nx = Config.fromfile('/nope/x.py')\n"
    error = failure(tmp_path, main__py=text)
    assert isinstance(error, ConfigFileNotFoundError)
    assert '"/nope/x.py" does not exist' in str(error)
    assert error.__cause__ is not error


def test_options_that_set_a_value_and_a_key_below_it_are_refused() -> None:
    with pytest.raises(TypeError, match=r"a\.b: 'a' is set to 1"):
        Config().merge_from_dict({"a": 1, "a.b": 2})


def test_an_option_without_equals_sign_is_a_usage_error(capsys: Any) -> None:
    import argparse

    from mm2pl.mmengine.config import DictAction

    parser = argparse.ArgumentParser()
    parser.add_argument("--opts", nargs="+", action=DictAction)
    with pytest.raises(SystemExit) as exited:
        parser.parse_args(["--opts", "novalue"])
    assert exited.value.code == 2
    assert "expected KEY=VALUE, got 'novalue'" in capsys.readouterr().err
