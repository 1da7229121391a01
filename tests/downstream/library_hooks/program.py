"""Runs ``scenarios/hooks.py`` with an engine; prints what each run left as JSON.

Usage: python program.py (mmengine | mm2pl)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests/parity/harness"))

import drive  # noqa: E402


def main(engine: str) -> None:
    drive.SCENARIOS = Path(__file__).with_name("scenarios")
    folder = Path.cwd() / "reports"
    drive.main(engine, str(folder))
    reports = {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}
    print(json.dumps(reports))


if __name__ == "__main__":
    main(*sys.argv[1:])
