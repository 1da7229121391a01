"""Reads config files with one implementation and prints what they say and the CPU time it took.

``python measure.py PACKAGE`` (``mmengine`` or ``mm2pl.mmengine``) reads file names from standard
input and prints a JSON object a line. It imports nothing of mm2pl, so both sides run it.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import sys
import time
import types
import warnings
from typing import Any


def canonical(value: Any) -> Any:
    """Return ``value`` as JSON that keeps types, the order of keys, and names of lazy objects."""
    if isinstance(value, dict):
        return ["dict", [[canonical(key), canonical(item)] for key, item in dict.items(value)]]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [canonical(item) for item in value]]
    if isinstance(value, (set, frozenset)):
        return [type(value).__name__, sorted(map(repr, value))]
    if type(value).__name__ in ("LazyObject", "LazyAttr"):
        return ["lazy", f"{value.module}.{value}"]
    if isinstance(value, (type, types.FunctionType, types.ModuleType)):
        return ["named", value.__name__]
    return [type(value).__name__, repr(value)]


def digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(canonical(value)).encode()).hexdigest()


def measured(config: Any, file: str) -> dict[str, Any]:
    """Read one file; return its digests, or the error, and the seconds of CPU time."""
    start = time.thread_time()
    try:
        cfg = config.fromfile(file, import_custom_modules=False)
    except Exception as error:
        seconds = time.thread_time() - start
        return {"file": file, "seconds": seconds, "error": f"{type(error).__name__}: {error}"}
    seconds = time.thread_time() - start
    return {
        "file": file,
        "seconds": seconds,
        "to_dict": digest(cfg.to_dict()),
        "to_lazy_dict": digest(cfg._to_lazy_dict()),
        "text": digest(cfg.text),
        "filename": cfg.filename,
    }


def main() -> None:
    warnings.simplefilter("ignore")
    config = importlib.import_module(f"{sys.argv[1]}.config").Config
    for line in sys.stdin.read().splitlines():
        print(json.dumps(measured(config, line)))


if __name__ == "__main__":
    main()
