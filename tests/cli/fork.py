"""Runs many command lines, each in a fork of one process that has imported torch and Lightning.

``python fork.py`` reads ``{name: [argument, ...]}`` as JSON and prints
``{name: [exit status, standard output, standard error]}``. mm2pl itself is imported by each fork.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
import warnings

import lightning.pytorch  # noqa: F401
import torch

from mm2pl.cli import main


def call(arguments: list[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        return 99


def fork(arguments: list[str]) -> tuple[int, str, str]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if child == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            status = call(arguments)
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        out.seek(0)
        err.seek(0)
        return status, out.read().decode(), err.read().decode()


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)
    torch.set_num_threads(1)
    print(json.dumps({name: fork(arguments) for name, arguments in json.load(sys.stdin).items()}))
