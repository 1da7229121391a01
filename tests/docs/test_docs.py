from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.markdown import anchors, blocks, links, prose
from tests.docs.workspace import DOCUMENTS, ROOT, SET_UP, STATUS, Ran

if sys.version_info >= (3, 11):
    import tomllib
else:
    tomllib = pytest.importorskip("tomli")

# The tests of one document share its run, and so a worker of pytest-xdist.
EACH = pytest.mark.parametrize(
    "document",
    [
        pytest.param(path, id=name, marks=pytest.mark.xdist_group(name))
        for path in DOCUMENTS
        for name in [str(path.relative_to(ROOT))]
    ],
)
README = ROOT / "README.md"
GETTING_STARTED = ROOT / "docs/getting-started.md"
# Blocks that are neither run nor compared with what is printed: document and first word.
NOT_RUN = {
    "README.md: pip": "installs from a registry; libraries.md has the rest step by step, and runs",
    "README.md: mm2pl": "a synopsis; another test compares commands and options",
    "check.md: mm2pl": "describes a format; tests/cli/test_check.py reads it",
    "design.md: config": "a drawing",
    "older-forms.md: NAME": "a form; tests/unit/test_runner_older.py compares what is written",
    "resume.md: The": "lines of a log; tests/unit/resume/test_changed_schedules.py compares them",
    "libraries.md: pip": "installs from a registry, as tools/reference.py does for tests",
    "libraries.md: mm2pl": "needs a compiled mmcv 2.2.0; tests/unit/test_version_gates.py",
}


@pytest.mark.slow
@EACH
def test_every_block_runs(document: Path, ran: Callable[[Path], Ran]) -> None:
    expected = [block.line for block in blocks(document) if block.language != "text"]
    assert list(ran(document).outputs) == expected


@pytest.mark.slow
@EACH
def test_what_is_shown_is_what_is_printed(document: Path, ran: Callable[[Path], Ran]) -> None:
    """The lines of a block tagged ``shown`` come in their order; spaces do not count."""
    printed = ""
    for block in blocks(document):
        if block.language != "text":
            printed = ran(document).outputs[block.line]
        elif "shown" in block.tags:
            lines = [" ".join(line.split()) for line in printed.splitlines()]
            rest = iter(lines)
            for line in map(str.split, block.code.splitlines()):
                assert " ".join(line) in rest, f"line {block.line}: {line} is not in {lines}"


@EACH
def test_every_block_says_whether_it_runs(document: Path) -> None:
    found = list(blocks(document))
    assert {block.language for block in found} <= {"sh", "python", "text"}
    tags = {tag for block in found for tag in block.tags}
    assert tags <= {"libraries", "mmengine", "shown", *STATUS}
    # A block without fences would escape the tests.
    assert not re.search(r"^\n(?: {4}|\t)(?! *[-*])", prose(document), re.MULTILINE)


def test_what_neither_runs_nor_is_shown_has_a_reason() -> None:
    found = {
        f"{document.name}: {block.code.split()[0]}"
        for document in DOCUMENTS
        for block in blocks(document)
        if block.language == "text" and "shown" not in block.tags
    }
    assert found == set(NOT_RUN)


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


def test_the_readme_names_all_commands_and_the_documents_all_options(
    capsys: pytest.CaptureFixture[str],
) -> None:
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
@pytest.mark.xdist_group("docs/getting-started.md")
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
