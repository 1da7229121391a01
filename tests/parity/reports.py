"""Runs the scenarios with each engine in a process of its own, and keeps what they left."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools import reference as reference_tool

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

# Scenarios that leave a checkpoint for the other engine.
EXCHANGED = (
    "accumulation.resumed_inside_a_window_from_the_other_engine",
    "ema.resumed_from_the_other_engine",
    "players.resumed_from_the_other_engine",
    "runtime.resumed_from_the_other_engine",
    "runtime.resumed_one_cycle_from_the_other_engine",
)


def scenario_names() -> list[str]:
    """Return ``file.function`` of every scenario, without importing them."""
    return [
        f"{path.stem}.{node.name}"
        for path in sorted((HERE / "scenarios").glob("*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    ]


class Reports:
    """What both engines left of each scenario."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache: dict[tuple[str, str], dict[str, Any]] = {}

    def __call__(self, engine: str, scenario: str) -> dict[str, Any]:
        key = (engine, scenario)
        if key not in self.cache:
            path = self.folder / engine / f"{scenario}.json"
            if not path.exists():
                pytest.fail(f"{engine} left no report of {scenario}:\n{self.output(*key)}")
            self.cache[key] = json.loads(path.read_text())
        return self.cache[key]

    def output(self, engine: str, scenario: str) -> str:
        """Return the end of what a scenario printed."""
        path = self.folder / engine / f"{scenario}.out"
        lines = path.read_text().splitlines() if path.exists() else ["no output"]
        return "\n".join(lines[-40:])


def run_both(folder: Path, scenarios: list[str]) -> None:
    """Run scenarios with MMEngine, with mm2pl, and those of EXCHANGED with MMEngine once more."""
    reference_tool.install()
    (folder / "exchange").mkdir(exist_ok=True)
    # One after the other: each uses all cores, and the later one reads what the earlier one left.
    _run("mmengine", folder / "mmengine", scenarios)
    _run("mm2pl", folder / "mm2pl", scenarios)
    again = [name for name in scenarios if name in EXCHANGED]
    if again:
        _run("mmengine", folder / "mmengine_after_mm2pl", again)


def _run(engine: str, output: Path, scenarios: list[str]) -> None:
    ours = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment = {
        **(reference_tool.environment() if engine == "mmengine" else ours),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "PARITY_EXCHANGE": str(output.parent / "exchange"),
    }
    command = [sys.executable, HERE / "harness/drive.py", engine, output, *scenarios]
    done = subprocess.run(
        [str(part) for part in command],
        cwd=output.parent,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        pytest.fail(f"the scenarios do not run with {engine}:\n{done.stdout}")
