"""Runs the scenarios once for all tests."""

from __future__ import annotations

import fcntl
import os

import pytest

from tests.parity.reports import Reports, run_both


@pytest.fixture(scope="session")
def reports(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reports:
    """Run the scenarios that this session compares; the workers of pytest-xdist share one run."""
    wanted = sorted(set().union(*(_scenarios_of(item) for item in request.session.items)))
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "parity"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            run_both(folder, wanted)
            (folder / "done").touch()
    return Reports(folder)


def _scenarios_of(item: pytest.Item) -> list[str]:
    parameters = getattr(item, "callspec", None)
    if parameters is None or "scenario" not in parameters.params:
        return []
    return [parameters.params["scenario"], *parameters.params.get("twin", [])]
