"""Print the CPU time that reading the wheels' config files takes, as a ratio to MMEngine's.

``python tools/bench_config.py [N]`` reads every Nth file (default: all 2,484) with both
implementations, each in a process of its own that starts cold.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tools import reference

ROOT = Path(__file__).parents[1]
MEASURE = ROOT / "tests" / "parity" / "config_files" / "measure.py"


def config_files() -> list[str]:
    """Return all config files of the wheels."""
    # MMEngine resolves links in the paths of packages.
    return sorted(map(str, reference.WHEELS.resolve().glob("*/.mim/configs/**/*.py")))


def measure(package: str, files: list[str]) -> dict[str, dict[str, Any]]:
    """Read files with ``mmengine`` or ``mm2pl.mmengine``; return what ``measure.py`` prints."""
    first = reference.SITE if package == "mmengine" else ROOT
    # The wheels are on the path too: configs name each other across packages.
    env = {
        **reference.environment(),
        "PYTHONPATH": os.pathsep.join(map(str, (first, reference.WHEELS.resolve()))),
    }
    done = subprocess.run(
        [sys.executable, str(MEASURE), package],
        input="\n".join(files),
        env=env,
        cwd=reference.ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"reading with {package} failed:\n{done.stderr}")
    rows = map(json.loads, done.stdout.splitlines())
    return {row["file"]: row for row in rows}


def cpu_seconds(rows: dict[str, dict[str, Any]]) -> float:
    return sum(row["seconds"] for row in rows.values())


def main() -> None:
    reference.install()
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    files = config_files()[::step]
    ours, theirs = (cpu_seconds(measure(p, files)) for p in ("mm2pl.mmengine", "mmengine"))
    print(f"{len(files)} config files, CPU seconds: MMEngine {theirs:.2f}, mm2pl {ours:.2f}")
    print(f"ratio {ours / theirs:.3f}")


if __name__ == "__main__":
    main()
