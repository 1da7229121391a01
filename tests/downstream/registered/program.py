"""Print, for each of MMEngine's registries, the names that libraries register in their own.

Usage: ``python program.py LIBRARY...``, under the alias.
"""

from __future__ import annotations

import importlib
import json
import sys
import warnings

PARTS = ("engine", "evaluation", "visualization", "datasets", "models")

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    import mm2pl

    mm2pl.install_as_mmengine()
    from mm2pl.mmengine import registry

    failed: dict[str, str] = {}
    for library in sys.argv[1:]:
        for part in PARTS:
            try:
                importlib.import_module(f"{library}.{part}")
            except ImportError as error:
                failed[f"{library}.{part}"] = str(error)
    names: dict[str, dict[str, list[str]]] = {}
    for name, root in vars(registry).items():
        if isinstance(root, registry.Registry):
            for library in sys.argv[1:]:
                own = root._search_child(library)
                names.setdefault(name, {})[library] = sorted(own.module_dict) if own else []
    print(json.dumps({"names": names, "failed": failed}))
