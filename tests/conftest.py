"""Shared fixtures: the reference MMEngine in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tools import reference as reference_tool


class Reference:
    """Runs Python source with the real MMEngine 0.10.7, in a process of its own."""

    site = reference_tool.SITE
    wheels = reference_tool.WHEELS

    def process(self, *args: str, cwd: str | Path | None = None) -> str:
        """Run ``python ARGS`` beside the real MMEngine and return its standard output."""
        done = subprocess.run(
            [sys.executable, *args],
            env=reference_tool.environment(),
            cwd=cwd or tempfile.gettempdir(),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"the reference failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def run(self, source: str) -> Any:
        """Run Python source; return the JSON that it prints as its last line."""
        return json.loads(self.process("-c", source).strip().splitlines()[-1])


@pytest.fixture(scope="session")
def reference() -> Reference:
    reference_tool.install()
    return Reference()
