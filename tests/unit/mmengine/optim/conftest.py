"""Runs a module's ``SCRIPT`` with either engine, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="session")
def run_ours() -> Any:
    """What ``python ARGS`` beside mm2pl printed: JSON in its last line, and all of it."""

    def run(*args: str) -> tuple[Any, str]:
        done = subprocess.run(
            [sys.executable, *args],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.strip().splitlines()[-1]), done.stdout + done.stderr

    return run


@pytest.fixture(scope="module")
def ours(request: pytest.FixtureRequest, run_ours: Any) -> Any:
    return run_ours(str(request.module.SCRIPT), "mm2pl")[0]


@pytest.fixture(scope="module")
def theirs(request: pytest.FixtureRequest, reference: Any) -> Any:
    return json.loads(reference.process(str(request.module.SCRIPT)).strip().splitlines()[-1])
