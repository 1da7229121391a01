"""``mm2pl check`` as a user calls it: exit statuses, what it imports, pipes, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mm2pl import cli
from tests.cli.calls import ROOT, command, environment

CONFIG = str(ROOT / "configs/digits/digits_cnn_20e.py")
Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> Check:
    """Give a function that checks in an empty folder, and returns status, output and errors."""
    monkeypatch.chdir(tmp_path)
    Path("clean.py").write_text(f"_base_ = {CONFIG!r}\n")
    Path("typo.py").write_text(f"_base_ = {CONFIG!r}\n\ntrain_cfg = dict(val_inteval=2)\n")
    Path("broken.py").write_text("_base_ = 'nowhere.py'\n")

    def call(*arguments: str) -> tuple[int, str, str]:
        status = cli.main(["check", *arguments])
        return status, *capfd.readouterr()

    return call


def test_nothing_found_is_0(check: Check) -> None:
    status, out, err = check("clean.py")
    assert (status, err) == (0, "")
    assert "clean.py: nothing found" in out


def test_a_finding_is_1_with_place_and_spelling(check: Check) -> None:
    status, out, _ = check("typo.py")
    assert status == 1
    (line,) = (line for line in out.splitlines() if "val_inteval" in line)
    for expected in ("typo.py:3", "unknown", "Did you mean: val_interval"):
        assert expected in line


def test_an_unreadable_file_is_2_and_the_others_are_checked(check: Check) -> None:
    status, out, _ = check("broken.py", "typo.py", "clean.py")
    assert status == 2
    assert "nowhere.py" in out
    assert "3 files: 1 clean, 1 with findings, 1 unreadable" in out


def test_a_folder_is_searched(check: Check) -> None:
    _, out, _ = check(".")
    assert "3 files: 1 clean, 1 with findings, 1 unreadable" in out


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nowhere.py", "there is no such file"),
        ("empty", "the folder holds no config file"),
        ("epoch_1.pth", "this is a checkpoint, not a config"),
        ("train.py", "this is Python code, not a config"),
        ("notes.txt", "py/yml/yaml/json"),
    ],
)
def test_what_is_no_config_is_2_and_says_so(check: Check, name: str, text: str) -> None:
    Path("empty").mkdir()
    Path("epoch_1.pth").touch()
    Path("notes.txt").touch()
    Path("train.py").write_text("def main(): ...\nif __name__ == '__main__':\n    main()\n")
    status, out, _ = check(name)
    assert (status, text in out) == (2, True)


def test_json_is_all_that_is_printed(check: Check) -> None:
    Path("prints.py").write_text(f"_base_ = {CONFIG!r}\nprint('hello')\n")
    status, out, err = check("prints.py", "typo.py", "--json")
    document = json.loads(out)
    assert (status, document["summary"]["exit_status"], "hello" in err) == (1, 1, True)
    (note,) = document["files"][1]["notes"]
    assert (note["key_path"], note["file"], note["line"]) == ("train_cfg.val_inteval", "typo.py", 3)


def test_options_and_the_run_count(check: Check) -> None:
    status, out, _ = check("clean.py", "--cfg-options", "train_cfg.val_inteval=3")
    assert (status, "val_inteval" in out) == (1, True)
    Path("clean.py").write_text(f"_base_ = {CONFIG!r}\ndefault_scope = 'mmpretrain'\n")
    counts = {}
    for run in ("fit", "test"):
        document = json.loads(check("clean.py", "--json", "--command", run)[1])
        counts[run] = document["summary"]["keys"]["added by the library's profile"]
    assert counts["fit"] > counts["test"] > 0
    assert "added by" not in check("clean.py", "--no-profile")[1]


def test_all_lists_every_key(check: Check) -> None:
    _, out, _ = check("clean.py", "--all")
    assert "optim_wrapper.optimizer" in out
    assert "default_hooks.checkpoint" in out


def test_a_config_is_not_run_if_it_must_not(check: Check) -> None:
    Path("runs.py").write_text(f"_base_ = {CONFIG!r}\nopen('trace', 'w').close()\n")
    status, out, _ = check("runs.py", "--no-exec")
    assert (status, "runs.py:2" in out, Path("trace").exists()) == (2, True, False)
    assert check("clean.py", "--no-exec")[0] == 0


def test_version_gates_belong_to_build(check: Check, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        check("clean.py", "--relax-version-gates")
    assert "goes with --build" in capfd.readouterr().err


def test_the_help_has_examples_and_the_exit_statuses(
    check: Check, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        check("--help")
    out = capfd.readouterr().out
    expected = ("mm2pl check config.py --build", "exit status: 0 nothing found, 1 with findings, 2")
    assert [text for text in expected if text not in out] == []


# --------------------------------------------------------------------------- processes


def test_neither_torch_nor_a_library_nor_user_code_is_imported(tmp_path: Path) -> None:
    """Modules of their names end the process that imports them, in the check and its workers."""
    for name in ("torch", "lightning", "mmpretrain", "mmcv", "mmengine", "numpy", "cv2", "own"):
        (tmp_path / f"{name}.py").write_text("import os\nos._exit(77)\n")
    body = "custom_imports = dict(imports=['own'])\ndefault_scope = 'mmpretrain'\n"
    (tmp_path / "config.py").write_text(f"_base_ = {CONFIG!r}\n{body}")
    env = environment()
    env["PYTHONPATH"] = os.pathsep.join([str(tmp_path), env["PYTHONPATH"]])
    done = subprocess.run(
        command("check", "config.py"), cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_one_config_takes_less_than_a_second_of_the_processor(tmp_path: Path) -> None:
    timed = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True,"
        " stdout=subprocess.DEVNULL); used = resource.getrusage(resource.RUSAGE_CHILDREN);"
        " print(used.ru_utime + used.ru_stime)"
    )
    done = subprocess.run(
        [sys.executable, "-c", timed, *command("check", CONFIG)],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(done.stdout) < 1


def test_ctrl_c_ends_it_with_130_and_leaves_no_process(tmp_path: Path) -> None:
    body = "import os\nopen('pid', 'w').write(str(os.getpid()))\nwhile True:\n    pass\n"
    (tmp_path / "loops.py").write_text(f"model = dict(type='Net')\n{body}")
    process = subprocess.Popen(
        command("check", "loops.py"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert process.poll() is None
        time.sleep(0.02)
    worker = int((tmp_path / "pid").read_text())
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert err == "mm2pl: interrupted\n"
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    line = f"{' '.join(command('check', '--all', CONFIG))} | head -1"
    done = subprocess.run(
        ["bash", "-c", line], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.stderr == ""
    assert "digits_cnn_20e.py" in done.stdout
