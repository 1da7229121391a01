"""``mm2pl print-config``: three formats, each of which reads back as an equal config."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from mm2pl.cli import main
from mm2pl.cli.print_config import as_json, as_python, as_yaml
from mm2pl.mmengine.config import Config
from tools import bench_config

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs/digits").glob("digits_*.py"))
VALUES = {
    "size": (3, (4, 5)),
    "empty": [(), [], {}, None],
    "texts": ["{{ fileDirname }}/x", "{{$HOME:y}}", "a: b", "yes", "1e-5", "", "é\n", "'\"\\"],
    "numbers": [1e-5, float("inf"), -1, True, 10**12, 0.1 + 0.2],
    "deep": {"type": "X", "steps": [{"type": "Y", "scale": (1333, 800)}]},
    "<<": "merge",
}
SUFFIXES = {"py": ".py", "yaml": ".yaml", "json": ".json"}
WRITERS = {"py": as_python, "yaml": as_yaml, "json": as_json}

Out = pytest.CaptureFixture[str]


def _same(one: Any, two: Any) -> bool:
    """Whether two values are equal and of the same types all the way down."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_same(one[key], two[key]) for key in one)
    if isinstance(one, (list, tuple)) and type(one) is type(two):
        return len(one) == len(two) and all(map(_same, one, two))
    return type(one) is type(two) and bool(one == two)


def _lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lists(inner) for key, inner in value.items()}
    return [_lists(one) for one in value] if isinstance(value, (list, tuple)) else value


def _read_back(text: str, kind: str, folder: Path) -> Any:
    file = folder / f"config{SUFFIXES[kind]}"
    file.write_text(text)
    return Config.fromfile(file, import_custom_modules=False).to_dict()


# --------------------------------------------------------------------------- reading back


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_what_is_printed_reads_back_equal(
    kind: str, config: Path, tmp_path: Path, capsys: Out
) -> None:
    assert main(["print-config", str(config), "--format", kind]) == 0
    values = Config.fromfile(config, import_custom_modules=False).to_dict()
    expected = _lists(values) if kind == "json" else values
    assert _same(_read_back(capsys.readouterr().out, kind, tmp_path), expected)


@pytest.mark.parametrize("kind", WRITERS)
def test_odd_values_read_back_equal(kind: str, tmp_path: Path) -> None:
    text, _ = WRITERS[kind](VALUES)
    expected = _lists(VALUES) if kind == "json" else VALUES
    assert _same(_read_back(text, kind, tmp_path), expected)


@pytest.mark.parametrize("kind", ["py", "yaml"])
def test_sets_read_back_equal(kind: str, tmp_path: Path) -> None:
    text, notes = WRITERS[kind]({"ids": {3, 1}})
    assert (notes, _read_back(text, kind, tmp_path)) == ([], {"ids": {1, 3}})


@pytest.mark.parametrize("kind", WRITERS)
def test_mmengine_reads_it_equal_too(kind: str, tmp_path: Path, reference: Any) -> None:
    """YAML needs MMEngine's own loader for ``!!python/tuple``, which is its default."""
    file = tmp_path / f"config{SUFFIXES[kind]}"
    file.write_text(WRITERS[kind](VALUES)[0])
    told = reference.run(
        f"import json\nfrom mmengine.config import Config\n"
        f"print(json.dumps(repr(Config.fromfile({str(file)!r}).to_dict())))"
    )
    expected = _lists(VALUES) if kind == "json" else VALUES
    assert _same(eval(told, {"inf": float("inf")}), expected)


def test_python_is_the_code_that_mmengines_dump_gives(capsys: Out, reference: Any) -> None:
    config = ROOT / "configs/digits/digits_cnn_20e.py"
    main(["print-config", str(config)])
    theirs = reference.run(
        "import json\nfrom mmengine.config import Config\n"
        f"cfg = Config.fromfile({str(config)!r}, import_custom_modules=False)\n"
        "print(json.dumps(cfg.pretty_text))"
    )
    # As code: where lines are broken is our own matter.
    assert ast.dump(ast.parse(capsys.readouterr().out)) == ast.dump(ast.parse(theirs))


def _all_read_back_equal(kind: str, files: list[str], folder: Path) -> int:
    compared = 0
    for file in files:
        try:
            values = Config.fromfile(file, import_custom_modules=False).to_dict()
        except Exception:
            continue  # tests/parity/test_config_files.py says which and why
        values = {key: value for key, value in values.items() if not callable(value)}
        expected = _lists(values) if kind == "json" else values
        assert _same(_read_back(WRITERS[kind](values)[0], kind, folder), expected), file
        compared += 1
    return compared


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize(
    ("step", "least"), [(250, 8), pytest.param(1, 2460, marks=pytest.mark.slow)]
)
def test_the_configs_of_three_libraries_read_back_equal(
    kind: str, step: int, least: int, tmp_path: Path, reference: Any
) -> None:
    assert reference.wheels.is_dir()
    files = bench_config.config_files()[::step]
    assert _all_read_back_equal(kind, files, tmp_path) >= least


# --------------------------------------------------------------------------- what is said


def test_json_says_what_it_cannot_hold(tmp_path: Path, capsys: Out) -> None:
    file = tmp_path / "config.py"
    file.write_text("a = dict(size=(1, 2))\nb = {3: {4}}\n")
    assert main(["print-config", str(file), "--format", "json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == {"a": {"size": [1, 2]}, "b": {"3": [4]}}
    assert "JSON has no tuples: written as a list (py and yaml keep it): a.size" in printed.err
    assert "no sets: written as a list (py and yaml keep it): b.3" in printed.err
    assert "no other keys: written as text (py and yaml keep it): b" in printed.err


def test_nothing_is_said_of_what_is_kept(capsys: Out) -> None:
    main(["print-config", str(CONFIGS[0]), "--format", "yaml"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_a_value_without_a_form_is_refused(kind: str, tmp_path: Path, capsys: Out) -> None:
    file = tmp_path / "config.py"
    file.write_text("a = dict(b=slice(1))\n")
    assert main(["print-config", str(file), "--format", kind]) == 2
    assert "has no form in YAML and JSON" in capsys.readouterr().err


def test_classes_and_functions_within_are_written_by_name(tmp_path: Path, capsys: Out) -> None:
    file = tmp_path / "config.py"
    file.write_text("import json\nfrom os.path import join\na = dict(type=json.JSONDecoder)\n")
    assert main(["print-config", str(file), "--format", "yaml"]) == 0
    assert capsys.readouterr().out == "a:\n  type: json.decoder.JSONDecoder\n"


# --------------------------------------------------------------------------- options


def test_options_are_merged_in(capsys: Out) -> None:
    call = ["print-config", str(CONFIGS[0]), "--cfg-options", "model.channels=(1,2)", "new=3"]
    assert main([*call, "--format", "json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert (values["model"]["channels"], values["new"]) == ([1, 2], 3)


@pytest.mark.parametrize(
    ("key", "printed"),
    [
        ("optim_wrapper.optimizer", "lr = 0.003\ntype = 'AdamW'\nweight_decay = 0.05\n"),
        ("optim_wrapper.optimizer.lr", "0.003\n"),
        ("model.channels", "(16, 32, 64)\n"),
        ("model.channels.1", "32\n"),
        ("param_scheduler.0.end", "50\n"),
    ],
)
def test_a_key_prints_what_stands_there(key: str, printed: str, capsys: Out) -> None:
    config = str(ROOT / "configs/digits/digits_cnn_20e.py")
    assert main(["print-config", config, "--key", key]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("optim_wraper", "Did you mean: optim_wrapper?"),
        ("model.chanels", "model has no 'chanels'\nDid you mean: channels?"),
        ("model.channels.3", "model.channels has no '3'\nHint: there is 0, 1, 2"),
        ("log_level.x", "log_level is 'INFO', which holds no 'x'"),
        ("model..type", "model has no ''"),
    ],
)
def test_a_key_that_is_not_there_is_an_error(key: str, message: str, capsys: Out) -> None:
    config = str(ROOT / "configs/digits/digits_cnn_20e.py")
    assert main(["print-config", config, "--key", key]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".py", ".yaml", ".yml", ".json"])
def test_the_suffix_of_the_output_is_its_format(suffix: str, tmp_path: Path, capsys: Out) -> None:
    file = tmp_path / f"out{suffix}"
    assert main(["print-config", str(CONFIGS[0]), "--output", str(file)]) == 0
    assert capsys.readouterr().out == ""
    read = Config.fromfile(file, import_custom_modules=False)
    assert read.work_dir if "work_dir" in read else read.model.num_classes == 10


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--output", "x.txt"], "x.txt must end in .py, .yaml, .yml, .json"),
        (["--output", "x.py", "--format", "json"], "do not fit each other"),
        (["--format", "xml"], "invalid choice"),
    ],
)
def test_wrong_calls_are_refused(options: list[str], message: str, capsys: Out) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["print-config", str(CONFIGS[0]), *options])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_an_error(tmp_path: Path, capsys: Out) -> None:
    file = tmp_path / "nowhere" / "x.py"
    assert main(["print-config", str(CONFIGS[0]), "--output", str(file)]) == 2
    assert f"--output: {file} cannot be written: No such file" in capsys.readouterr().err


def test_custom_imports_are_not_run(tmp_path: Path, capsys: Out) -> None:
    file = tmp_path / "config.py"
    file.write_text("custom_imports = dict(imports=['no_such_module'])\n")
    assert main(["print-config", str(file)]) == 0
    assert "no_such_module" in capsys.readouterr().out


def test_a_terminal_gets_the_same_code_in_colours(
    capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = ["print-config", str(ROOT / "configs/digits/digits_cnn_20e.py"), "--key", "train_cfg"]
    main(call)
    plain = capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    main(call)
    coloured = capsys.readouterr().out
    assert "\033[" in coloured
    without = re.sub(r"\033\[[\d;]*m", "", coloured)
    assert [line.rstrip() for line in without.splitlines()] == plain.splitlines()
