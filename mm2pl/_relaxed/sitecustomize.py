"""Relaxes version gates in a child process, from its first import on (mm2pl/version_gates.py).

A spawned worker imports a library when it unpickles a dataset, before anything of ours could run.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from pathlib import Path

_HERE = Path(__file__).parent
if find_spec("mm2pl") is None:
    sys.path.append(str(_HERE.parents[1]))

from mm2pl.version_gates import relax  # noqa: E402

relax()
# The environment's own sitecustomize, which this one hides.
_hidden = PathFinder.find_spec(__name__, [path for path in sys.path if Path(path) != _HERE])
if _hidden is not None and _hidden.loader is not None:
    sys.modules[__name__] = module_from_spec(_hidden)
    _hidden.loader.exec_module(sys.modules[__name__])
