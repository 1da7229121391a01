"""The process of the command ``mm2pl``, and of ``python -m mm2pl``."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import NoReturn

from mm2pl.cli import main


def run() -> NoReturn:
    """Carry the command out and end the process with its exit status."""
    try:
        status: object = main()
    except SystemExit as end:
        status = end.code
    if isinstance(status, int) and _is_rank():
        _end_at_once(status)
    sys.exit(status)  # type: ignore[arg-type]


def _is_rank() -> bool:
    """Whether this process, if it has imported torch at all, is one of several."""
    distributed = sys.modules.get("torch.distributed")
    return bool(distributed and distributed.is_available() and distributed.is_initialized())


def _end_at_once(status: int) -> NoReturn:
    """Do what is due at the end but for tearing torch down, which aborts ranks now and then.

    Gloo's threads are still at work when the interpreter frees what they work on; torchrun would
    take the abort for the end of the whole run.
    """
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    run()
