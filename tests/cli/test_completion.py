"""The script that ``mm2pl completion`` prints, in a real shell."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from mm2pl import cli

# What a shell does at Tab: the words so far are set, the function is called, its answer read.
_ASK = """
ask() {
  COMP_WORDS=("$@"); COMP_CWORD=$(( $# - 1 )); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
  _shtab_mm2pl 2>/dev/null
  echo "${COMPREPLY[@]}"
}
"""
LINES = {
    "": " ".join(cli.COMMANDS),
    "f": "fit",
    "pri": "print-config",
    "fit --work": "--work-dir",
    "fit conf": "config.py configs",
    "fit configs/": "configs/other.yaml",
    "fit config.py --launcher ": "none pytorch slurm mpi",
    "fit config.py --launcher sl": "slurm",
    "fit config.py --work-dir con": "configs",
    "fit config.py --amp --no-val": "--no-validate",
    "fit config.py --trainer.max_e": "--trainer.max_epochs",
    "test config.py w": "weights.pth",
    "test config.py weights.pth --out-item ": "metrics pred",
    "test config.py --show-d": "--show-dir",
    "run scr": "script.py",
    "convert wei": "weights.pth",
    "convert weights.pth --strip": "--strip-prefix",
    "completion ": "bash zsh tcsh",
    "env --j": "--json",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("completion")
    (folder / "configs").mkdir()
    for name in ("config.py", "configs/other.yaml", "weights.pth", "script.py"):
        (folder / name).touch()
    return folder


@pytest.fixture(scope="module")
def answers(folder: Path) -> dict[str, str]:
    """Return what bash completes for each line."""
    questions = "".join(
        f"ask {' '.join(map(json.dumps, ['mm2pl', *line.split(' ')]))}\n" for line in LINES
    )
    (folder / "ask.bash").write_text(script("bash") + _ASK + questions)
    done = subprocess.run(
        ["bash", "--norc", "ask.bash"], cwd=folder, capture_output=True, text=True, check=True
    )
    return dict(zip(LINES, done.stdout.splitlines(), strict=True))


def script(shell: str) -> str:
    done = subprocess.run(
        [*cli_command(), "completion", shell], capture_output=True, text=True, check=True
    )
    return done.stdout


def cli_command() -> list[str]:
    from tests.cli.calls import command

    return command()


@pytest.mark.parametrize("line", LINES)
def test_bash_completes(answers: dict[str, str], line: str) -> None:
    assert sorted(answers[line].split()) == sorted(LINES[line].split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_the_script_names_all_commands_and_is_that_shells(shell: str, tmp_path: Path) -> None:
    text = script(shell)
    assert [name for name in cli.COMMANDS if name not in text] == []
    (tmp_path / "script").write_text(text)
    if shutil.which(shell):  # a machine may lack zsh and tcsh
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)
