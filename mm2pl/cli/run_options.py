"""The options of ``mm2pl fit``, ``validate`` and ``test``, in groups, and their examples."""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

from mm2pl import version_gates
from mm2pl.cli import trainer_options
from mm2pl.cli.config_file import add_cfg_options

LAUNCHERS = ("none", "pytorch", "slurm", "mpi")
_MOST_SEED = 2**32 - 1
_FIT, _EVAL = ("fit",), ("validate", "test")
_ALL = (*_FIT, *_EVAL)
_EXAMPLES = {
    "fit": """examples:
  mm2pl fit config.py
  mm2pl fit config.py --work-dir runs/a --seed 1 --cfg-options train_cfg.max_epochs=10
  mm2pl fit config.py --amp --auto-scale-lr
  mm2pl fit config.py --load-from pretrained.pth
  mm2pl fit config.py --resume
  mm2pl fit config.py --trainer.fast_dev_run true
  mm2pl fit config.py --trainer.devices 2 --trainer.max_epochs 3
  torchrun --nproc_per_node=2 -m mm2pl fit config.py --launcher pytorch
""",
    "validate": """examples:
  mm2pl validate config.py work_dirs/config/epoch_20.pth
  mm2pl validate config.py --resume
""",
    "test": """examples:
  mm2pl test config.py work_dirs/config/epoch_20.pth
  mm2pl test config.py epoch_20.pth --out metrics.json --out-item metrics
  mm2pl test config.py epoch_20.pth --dump predictions.pkl
  mm2pl test config.py epoch_20.pth --show-dir painted --interval 50
""",
}


class Option(NamedTuple):
    """A row: an option, the commands that have it, and what argparse is told."""

    names: str
    commands: tuple[str, ...]
    help: str
    more: dict[str, Any] = {}


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) <= _MOST_SEED):
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 0 to {_MOST_SEED}, got {text!r}"
        )
    return int(text)


def _file(text: str) -> str:
    if not text:  # such as a shell's variable that is not set: training would start anew
        raise argparse.ArgumentTypeError("names no file, its value is empty")
    return text


_SWITCH: dict[str, Any] = {"action": "store_true"}
_FILE: dict[str, Any] = {"metavar": "FILE", "type": _file}
_FOLDER: dict[str, Any] = {"metavar": "DIR"}
_RUN = (
    Option(
        "--work-dir",
        _ALL,
        "where checkpoints and logs go (default: the config's work_dir, else"
        " ./work_dirs/NAME_OF_CONFIG)",
        _FOLDER,
    ),
    Option("--load-from", _ALL, "the same as CHECKPOINT", _FILE),
    Option(
        "--resume",
        _ALL,
        "go on from FILE, or (without FILE, or auto) from the newest checkpoint of the work dir;"
        " validate and test load its weights",
        {"nargs": "?", "const": "auto", **_FILE},
    ),
    Option(
        "--unsafe-load",
        _ALL,
        "trust FILE: loading it may run code from it. Only this one, if it is refused",
        _FILE,
    ),
    Option(
        "--seed",
        _ALL,
        "seed of all random numbers (default: the config's, else a new one)",
        {"type": _seed, "metavar": "N"},
    ),
    Option(
        "--no-profile",
        _ALL,
        "leave out what the library's own train.py or test.py adds to a config",
        _SWITCH,
    ),
    Option("--traceback", _ALL, "show the whole traceback of an error", _SWITCH),
)
_OPENMMLAB = (
    Option("--amp", _ALL, "compute with mixed precision", _SWITCH),
    Option(
        "--auto-scale-lr",
        _FIT,
        "scale the learning rate to the batch size, by the config's auto_scale_lr",
        _SWITCH,
    ),
    Option("--no-exact-resume", _FIT, "resume as MMEngine does, who reads all again", _SWITCH),
    Option("--no-validate", _FIT, "train without validation", _SWITCH),
    Option("--deterministic", _ALL, "let cuDNN and torch choose deterministic algorithms", _SWITCH),
    Option("--diff-rank-seed", _ALL, "give each process a seed of its own", _SWITCH),
    Option("--no-pin-memory", _ALL, "set pin_memory=False in the loaders", _SWITCH),
    Option("--no-persistent-workers", _FIT, "set persistent_workers=False in the loaders", _SWITCH),
    Option(
        "--launcher",
        _ALL,
        "what started this process and others: %(choices)s (default: the config's, else none)",
        {"choices": LAUNCHERS, "metavar": "NAME"},
    ),
    Option(
        "--local-rank --local_rank",
        _ALL,
        "this process's number on its machine, if LOCAL_RANK is not set",
        {"type": int, "metavar": "N"},
    ),
    Option(
        "--out",
        ("test",),
        "what test.py of the config's library writes there: predictions (mmpretrain, mmdet),"
        " formatted results (mmseg: a folder), else the metrics as JSON, YAML or pickle",
        {"metavar": "PATH"},
    ),
    Option(
        "--out-item",
        ("test",),
        "what --out writes, for any library: metrics or pred (predictions)",
        {"choices": ("metrics", "pred"), "metavar": "ITEM"},
    ),
    Option("--dump", ("test",), "write the predictions to a pickle file", {"metavar": "FILE.pkl"}),
    Option("--show", ("test",), "show the predictions in a window", _SWITCH),
    Option("--show-dir", ("test",), "draw the predictions into a folder", _FOLDER),
    Option(
        "--wait-time",
        ("test",),
        "seconds that --show shows each (default: the library's)",
        {"type": float, "metavar": "S"},
    ),
    Option("--interval", ("test",), "show or draw every Nth sample", {"type": int, "metavar": "N"}),
    Option(
        "--tta",
        ("test",),
        "average over augmented inputs, by the config's tta_model and tta_pipeline",
        _SWITCH,
    ),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command that ``parser.prog`` ends with."""
    command = parser.prog.rpartition(" ")[2]
    parser.usage = f"mm2pl {command} CONFIG [CHECKPOINT] [OPTIONS]"
    parser.epilog = _EXAMPLES[command]
    add_cfg_options(parser)
    weights = "weights to start from" if command == "fit" else "the weights (default: none)"
    parser.add_argument("checkpoint", metavar="CHECKPOINT", nargs="?", type=_file, help=weights)
    run = parser.add_argument_group("run")
    _add(run, _RUN, command)
    version_gates.add_option(run)
    habits = parser.add_argument_group("OpenMMLab", "as in the tools/train.py and test.py")
    _add(habits, _OPENMMLAB, command)
    lightning = parser.add_argument_group("Lightning", "as in LightningCLI; docs/trainer.md")
    trainer_options.add_arguments(lightning)


def _add(group: argparse._ArgumentGroup, rows: tuple[Option, ...], command: str) -> None:
    for row in rows:
        if command in row.commands:
            group.add_argument(*row.names.split(), help=row.help, **row.more)
