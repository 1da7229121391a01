"""``python -m mm2pl``."""

import sys

from mm2pl.cli import main

sys.exit(main())
