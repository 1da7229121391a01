"""A rich progress bar on a terminal; nothing elsewhere, where the log's lines do better."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import lightning.pytorch as pl

if TYPE_CHECKING:
    from mm2pl.runner import Runner


def progress_bars(runner: Runner) -> list[pl.Callback]:
    """Return the progress bar that suits where the output goes, if any.

    Args:
        runner: The run whose progress is shown.
    """
    if not (sys.stdout.isatty() and sys.stderr.isatty()):
        return []
    from lightning.pytorch.callbacks import RichProgressBar

    return [RichProgressBar(leave=True)]
