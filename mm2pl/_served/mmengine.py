"""What ``import mmengine`` finds in a process that has this folder on ``sys.path``.

It installs the alias, which puts ``mm2pl.mmengine`` in this module's place. docs/alias.md says
which processes come this way.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

# An environment variable brings this folder along, but not the one that mm2pl was imported from.
if find_spec("mm2pl") is None:
    sys.path.append(str(Path(__file__).parents[2]))

from mm2pl.alias import install_as_mmengine

# importlib hands out what it finds under this name in the end.
del sys.modules[__name__]
install_as_mmengine()
