from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.markdown import anchors, blocks, links, prose
from tests.docs.workspace import DOCUMENTS, ROOT, SET_UP, Ran

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

EACH = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
README = ROOT / "README.md"
GETTING_STARTED = ROOT / "docs/getting-started.md"


@pytest.mark.slow
@EACH
def test_every_block_runs(document: Path, ran: Callable[[Path], Ran]) -> None:
    expected = [block.line for block in blocks(document) if block.language != "text"]
    assert list(ran(document).outputs) == expected


@EACH
def test_every_block_says_whether_it_runs(document: Path) -> None:
    languages = {block.language for block in blocks(document)}
    assert languages <= {"sh", "python", "text"}
    # A block without fences would escape the tests.
    assert not re.search(r"^\n(?: {4}|\t)(?! *[-*])", prose(document), re.MULTILINE)


@EACH
def test_every_link_leads_somewhere(document: Path) -> None:
    for link in links(document):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@EACH
def test_set_up_commands_name_what_exists(document: Path) -> None:
    commands = [command for block in blocks(document) for command in block.commands]
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for command in commands:
        if command.startswith("make "):
            done = subprocess.run(
                [*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
        elif command.startswith("pip install "):
            assert set(re.findall(r"\[(\w+)\]", command)) <= set(extras)


def test_make_run_is_the_first_command_of_the_readme() -> None:
    """Its set-up aside, ``make run`` is a command that runs here by itself."""
    dry = subprocess.run(
        ["make", "--no-print-directory", "--dry-run", "run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    first = next(block for block in blocks(README) if block.language == "sh").commands[0]
    assert dry.stdout.splitlines()[-1].endswith(f"/{first}")


def test_nothing_escapes_as_set_up() -> None:
    run = [block for one in DOCUMENTS for block in blocks(one) if block.language != "text"]
    commands = [command for block in run for command in block.commands]
    set_up = {command.split("#")[0].strip() for command in commands if command.startswith(SET_UP)}
    assert set_up == {
        "make run",
        "make test",
        "make fast",
        "make matrix",
        "pip install -e '.[digits]'",
    }


def test_the_readme_names_all_commands_and_the_documents_all_options(capsys: pytest.CaptureFixture[str]) -> None:
    from mm2pl.cli import COMMANDS, main

    text = re.sub(r"^(pip|torchrun) .*$", "", README.read_text(), flags=re.MULTILINE)
    option = re.compile(r"--[a-z][\w-]+")
    known = set()
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        known |= set(option.findall(capsys.readouterr().out))
        assert f"mm2pl {command} " in text
    assert set(option.findall(text)) <= known
    described = option.findall("".join(one.read_text() for one in DOCUMENTS))
    # Of an example of another program, and another spelling.
    assert known - set(described) <= {"--help", "--epochs", "--nproc_per_node", "--local_rank"}


@pytest.mark.slow
def test_the_work_folder_holds_what_getting_started_lists(ran: Callable[[Path], Ran]) -> None:
    folder = ran(GETTING_STARTED).folder / "work_dirs/digits_cnn_20e"
    table = re.findall(r"^\| `([^`]+)` \|", GETTING_STARTED.read_text(), re.MULTILINE)
    assert table
    for name in table:
        assert list(folder.glob(name.replace("<timestamp>", "*"))), name
    described = {name.replace("<timestamp>", "*") for name in table}
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith("epoch_"):
            relative = path.relative_to(folder)
            # LoggerHook's copy of the lines of one run has a name of its own.
            assert any(relative.match(name) for name in described) or path.suffix == ".json"


@pytest.mark.slow
def test_the_error_in_getting_started_is_the_one_that_is_shown(ran: Callable[[Path], Ran]) -> None:
    shown = [block for block in blocks(GETTING_STARTED) if "error:" in block.code]
    assert len(shown) == 1
    for line in shown[0].code.splitlines():
        assert line in ran(GETTING_STARTED).outputs[_line_of_failing_block()]


def _line_of_failing_block() -> int:
    return next(block.line for block in blocks(GETTING_STARTED) if "fails" in block.tags)
