"""What is printed: a page, a list, JSON; plain in a pipe, coloured on a terminal."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from mm2pl.check.files import AS_BASE, Skipped
from mm2pl.check.findings import FileReport, Finding, Settings
from mm2pl.check.output import Result, as_json, print_text

TYPO = Finding("a.inteval", "unknown", "nothing reads it", ("interval",), None, "base.py", 3)
WRONG = Finding("b", "wrong", "must be a number, got 'x'", (), "give a number", "one.py", 12)
PLAIN = Finding("c", "as is", "taken")
GONE = Finding("", "wrong", 'base config "x.py" does not exist', ("y.py",), "check", "two.py", 1)


def one_file(**kwargs: Any) -> FileReport:
    return FileReport("one.py", "findings", notes=[TYPO], problems=[WRONG], **kwargs)


def result(*reports: FileReport, skipped: tuple[Skipped, ...] = (), **settings: Any) -> Result:
    return Result(Settings(**settings), list(reports), list(skipped))


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    def show(of: Result) -> str:
        print_text(of)
        return capsys.readouterr().out

    return show


def test_one_file_is_a_page_with_aligned_columns(printed: Any) -> None:
    text = printed(result(one_file(counts={"as is": 4, "unknown": 1})))
    assert text.splitlines() == [
        "one.py: 2 findings",
        "",
        "b          one.py:12  wrong    must be a number, got 'x'. Hint: give a number",
        "a.inteval  base.py:3  unknown  nothing reads it. Did you mean: interval?",
        "",
        "1 file: 0 clean, 1 with findings, 0 unreadable",
        "keys: 1 wrong, 4 as is, 1 unknown",
    ]


def test_all_keys_are_listed_if_they_are_there(printed: Any) -> None:
    report = FileReport("one.py", "clean", notes=[PLAIN])
    assert "c    as is  taken" in printed(result(report, all_keys=True))
    assert "one.py: nothing found" in printed(result(report))


def test_many_files_are_a_line_each_and_each_finding_once(printed: Any) -> None:
    other = FileReport("other.py", "findings", notes=[TYPO])
    text = printed(result(one_file(), other, FileReport("clean.py")))
    lines = text.splitlines()
    assert lines[0] == "one.py    findings  1 wrong, 1 unknown"
    assert lines[1] == "other.py  findings  1 unknown"
    assert text.count("a.inteval") == 1
    assert "nothing reads it (in 2 files). Did you mean: interval?" in text
    assert "clean.py" not in text
    assert "3 files: 1 clean, 2 with findings, 0 unreadable" in text


def test_an_unreadable_file_is_told_with_place_choices_and_hint(printed: Any) -> None:
    text = printed(result(FileReport("two.py", "unreadable", error=GONE)))
    assert "two.py: unreadable" in text
    assert 'two.py:1: base config "x.py" does not exist.\nDid you mean: y.py?\nHint: check' in text


def test_what_is_left_out_is_counted_by_reason(printed: Any) -> None:
    part = FileReport("part.py", "skipped", skipped="without a model")
    bases = tuple(Skipped(f"_base_/{name}.py", AS_BASE) for name in "ab")
    text = printed(result(one_file(), part, skipped=bases))
    assert f"not checked by themselves: 2 {AS_BASE}, 1 without a model" in text
    assert "1 file: " in text


def test_warnings_of_configs_are_shown(printed: Any) -> None:
    assert "warning: old" in printed(result(FileReport("one.py", warnings=["old"])))


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (
            {"name": "Net", "parameters": 1234, "not_built_because": None},
            "model: Net, 1,234 parameters",
        ),
        (
            {"name": None, "parameters": None, "not_built_because": "it downloads"},
            "model: not built because it downloads",
        ),
    ],
)
def test_what_was_built_is_shown(printed: Any, model: dict[str, Any], line: str) -> None:
    text = printed(result(FileReport("one.py", build={"types": 3, "missing": 1, "model": model})))
    assert "classes: 3 looked up, 1 not found\n" + line in text


def test_what_was_built_of_many_files_is_a_line_each(printed: Any) -> None:
    model = {"name": "Net", "parameters": 5, "not_built_because": None}
    build = {"types": 3, "missing": 0, "model": model}
    text = printed(result(*(FileReport(f"{name}.py", build=build) for name in "ab")))
    assert "b.py: classes: 3 looked up, 0 not found; model: Net, 5 parameters" in text


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [(["clean"], 0), (["clean", "findings"], 1), (["findings", "unreadable"], 2), ([], 0)],
)
def test_the_exit_status_is_that_of_the_worst_file(statuses: list[str], expected: int) -> None:
    assert result(*(FileReport("x.py", status) for status in statuses)).exit_status == expected


def test_json_holds_everything() -> None:
    report = one_file(counts={"unknown": 1})
    gone = FileReport("two.py", "unreadable", error=GONE)
    left_out = Skipped("_base_/a.py", AS_BASE)
    document = json.loads(as_json(result(report, gone, skipped=(left_out,), command="test")))
    assert document["command"] == "test"
    assert document["skipped"] == [{"file": "_base_/a.py", "reason": AS_BASE}]
    first, second = document["files"]
    assert first["notes"] == [
        {
            "key_path": "a.inteval",
            "status": "unknown",
            "text": "nothing reads it",
            "choices": ["interval"],
            "hint": None,
            "file": "base.py",
            "line": 3,
        }
    ]
    assert [one["key_path"] for one in first["problems"]] == ["b"]
    assert (first["file"], first["status"], first["build"]) == ("one.py", "findings", None)
    assert second["error"]["line"] == 1
    assert document["summary"] == {
        "files": 2,
        "clean": 0,
        "findings": 1,
        "unreadable": 1,
        "skipped": 1,
        "problems": 1,
        "keys": {"unknown": 1},
        "exit_status": 2,
    }


class TestOnATerminal:
    @pytest.fixture(autouse=True)
    def _terminal(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.delenv("NO_COLOR", raising=False)

    @pytest.fixture
    def shown(self, printed: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
        def show(of: Result) -> str:
            monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
            text: str = printed(of)
            return text

        return show

    def test_statuses_have_colours(self, shown: Any) -> None:
        assert "\x1b[31munknown" in shown(result(one_file()))

    def test_no_color_is_obeyed(self, shown: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NO_COLOR", "1")
        text = shown(result(one_file()))
        assert "unknown" in text
        assert "\x1b[31m" not in text

    def test_paths_are_not_broken_where_there_is_no_room(
        self, shown: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "60")
        long = "configs/" + 4 * "some_folder/" + "config.py"
        finding = Finding("a.b", "unknown", "nothing reads it", (), None, long, 3)
        text = shown(result(FileReport("one.py", "findings", notes=[finding])))
        assert f"{long}:3" in text
        assert "    nothing reads it" in text
