"""Folders for child processes are put into ``PYTHONPATH`` and taken out of it."""

from __future__ import annotations

import os

import pytest

from mm2pl import child_path


@pytest.mark.parametrize("before", [None, "a", os.pathsep.join(["", "a", "b"])])
def test_what_was_there_stays(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    if before is None:
        monkeypatch.delenv("PYTHONPATH", raising=False)
    else:
        monkeypatch.setenv("PYTHONPATH", before)
    for _ in range(2):
        child_path.add("new")
    assert os.environ["PYTHONPATH"].split(os.pathsep)[0] == "new"
    assert os.environ["PYTHONPATH"].count("new") == 1
    child_path.remove("new")
    assert os.environ.get("PYTHONPATH") == before


def test_what_is_not_there_is_not_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "a")
    child_path.remove("new")
    assert os.environ["PYTHONPATH"] == "a"
