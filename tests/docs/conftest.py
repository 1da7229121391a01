"""Runs each document once, for all tests that look at what it left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs.workspace import Ran
from tools import reference


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Ran]:
    """Return a function that runs a document's blocks, or gives the run that was made before.

    It fails the test if a block fails.
    """
    runs: dict[Path, Ran] = {}

    def run(document: Path) -> Ran:
        if document not in runs:
            reference.install()
            runs[document] = Ran(document, tmp_path_factory.mktemp(document.stem))
        if runs[document].failure:
            pytest.fail(runs[document].failure, pytrace=False)
        return runs[document]

    return run
