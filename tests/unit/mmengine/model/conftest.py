"""Runs ``cases`` once with the real MMEngine and once with mm2pl, for all tests of this folder."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mm2pl.mmengine.logging import MMLogger

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[3]
Results = dict[str, Any]


class Both:
    """The results of all cases, MMEngine's and ours."""

    def __init__(self, theirs: Results, ours: Results) -> None:
        self.theirs, self.ours = theirs, ours

    def assert_same(self, case: str, differs: tuple[str, ...] = ()) -> None:
        """Fail unless the results of ``case`` are equal, those at the paths ``differs`` excepted.

        An error of ours counts as equal if code that expects MMEngine's would catch it. A path in
        ``differs`` that is equal fails too.
        """
        found = dict(_differences(self.theirs[case], self.ours[case], ""))
        assert {path: found[path] for path in found if path not in differs} == {}
        assert set(differs) <= set(found)


def _differences(theirs: Any, ours: Any, path: str) -> Any:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if "raises" in theirs and "raises" in ours:
            expected, raised = theirs["raises"][0], ours["raises"]
            if expected not in raised:
                yield path, (expected, raised)
            return
        for key in {**theirs, **ours}:
            yield from _differences(theirs.get(key), ours.get(key), f"{path}/{key}")
    elif isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        for i, pair in enumerate(zip(theirs, ours, strict=True)):
            yield from _differences(*pair, f"{path}/{i}")
    elif theirs != ours:
        yield path, (theirs, ours)


@pytest.fixture(scope="session")
def both(reference: Any) -> Both:
    cases = str(HERE / "cases")
    own = subprocess.Popen(
        [sys.executable, cases, "mm2pl.mmengine"],
        env={"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    theirs = reference.process(cases, "mmengine")
    ours, _ = own.communicate()
    assert own.returncode == 0
    return Both(*(json.loads(output.strip().splitlines()[-1]) for output in (theirs, ours)))


@pytest.fixture
def logged() -> list[str]:
    """Return the list of what goes to the logger in this test."""
    messages: list[str] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            messages.append(record.getMessage())

    MMLogger.get_instance("mmengine").addHandler(Keeps())
    return messages
