"""Print what ``examine`` finds in config files, as JSON: a program, run on its own.

The files come as lines on the standard input. Prints the findings by file, the modules of torch,
Lightning and the libraries that were imported, and the mean time of an ``examine``.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

from mm2pl.mmengine.config import Config
from mm2pl.translate import examine

HEAVY = {"torch", "lightning", "numpy", "mmdet", "mmpretrain", "mmseg", "mmcv"}

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    found: dict[str, list[tuple[str, str, str]]] = {}
    seconds = 0.0
    for file in sys.stdin.read().splitlines():
        try:
            cfg = Config.fromfile(file, import_custom_modules=False)
        except Exception:
            continue
        before = set(sys.modules)
        start = time.perf_counter()
        examination = examine(cfg)
        seconds += time.perf_counter() - start
        assert before >= {name for name in sys.modules if name.partition(".")[0] in HEAVY}
        notes = [note for note in examination.plan.notes if note.status.is_finding]
        found[file] = [
            *((note.status.value, note.key_path, note.text) for note in notes),
            *(("problem", error.key_path or "", error.message) for error in examination.problems),
        ]
    print(json.dumps({"found": found, "milliseconds": 1000 * seconds / len(found)}))
