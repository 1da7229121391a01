"""The command line: ``mm2pl fit | validate | test CONFIG`` and ``mm2pl run SCRIPT``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from mm2pl import __version__, install_as_mmengine, version_gates
from mm2pl.cli import script_run
from mm2pl.cli.config_run import ConfigRun, report
from mm2pl.cli.output import say
from mm2pl.errors import Mm2plError

OK, INTERRUPTED = 0, 130
_MOST_SEED = 2**32 - 1
_COMMANDS = {
    "fit": "train, and validate as the config says",
    "validate": "compute the validation metrics",
    "test": "compute the test metrics",
}
_RUN = "run a Python script written against MMEngine, unchanged"
_EXAMPLES = """examples:
  mm2pl fit configs/digits/digits_cnn_20e.py
  mm2pl fit config.py --work-dir runs/a --cfg-options optim_wrapper.optimizer.lr=0.01
  mm2pl fit config.py --resume
  mm2pl test config.py work_dirs/config/epoch_20.pth
  mm2pl run tools/train.py config.py --amp

exit status: 0 done, 1 the run failed, 2 wrong call or config, 130 interrupted; that of `run` is
the script's
"""
_RUN_EXAMPLES = """SCRIPT runs as by `python SCRIPT`, with mm2pl's modules for `import mmengine`.
PACKAGE:NAME is a script among the tools of an installed library.

examples:
  mm2pl run tools/train.py config.py --work-dir runs/a
  mm2pl run mmpretrain:train config.py
  mm2pl run mmpretrain:analysis_tools/get_flops config.py
  mm2pl run -m my_package.train --epochs 3
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments without the program's name; by default those of the process.

    Returns:
        0 if all went well, 1 if the run failed, 2 for a wrong call or config, 130 after Ctrl-C.

    Raises:
        SystemExit: ``--help``, ``--version``, or arguments that cannot be understood.
        BaseException: What a script of ``mm2pl run`` raises, its own ``SystemExit`` too.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["run"]:
        return _run_script(arguments)
    args = _arguments(arguments)
    run = ConfigRun(args)
    try:
        run.go()
    except KeyboardInterrupt:
        say(run.where_interrupted())
        return INTERRUPTED
    except Exception as error:
        return report(error, run)
    return OK


def _run_script(arguments: list[str]) -> int:
    """Run a script; what it raises goes through, as from ``python SCRIPT``."""
    # By hand: argparse would take the script's own --help and options.
    own, command = script_run.split(arguments[1:])
    args = _parser().parse_args(["run", *own])
    try:
        install_as_mmengine()
        if args.relax_version_gates:
            version_gates.relax()
        script_run.show_tracebacks_as_python()
        script = script_run.find(command)
    except Mm2plError as error:
        say(f"error: {error}")
        return error.exit_status
    script.execute()
    return OK


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = _parser()
    try:
        args = parser.parse_args(arguments)
    except Mm2plError as error:  # from a value of --cfg-options
        parser.error(str(error))
    if args.checkpoint and args.load_from:
        parser.error("CHECKPOINT and --load-from mean the same: give one of them")
    if isinstance(args.resume, str) and (args.checkpoint or args.load_from):
        parser.error("--resume FILE says what to load: leave CHECKPOINT and --load-from out")
    return args


def _parser() -> argparse.ArgumentParser:
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="mm2pl",
        description="Run MMEngine configs and scripts on PyTorch Lightning.",
        epilog=_EXAMPLES,
        formatter_class=as_written,
    )
    parser.add_argument("--version", action="version", version=f"mm2pl {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _COMMANDS.items():
        _add_options(commands.add_parser(name, help=text, description=_sentence(text)))
    script = commands.add_parser(
        "run",
        help=_RUN,
        description=_sentence(_RUN),
        usage="mm2pl run [--relax-version-gates] (SCRIPT | -m MODULE) [ARGS ...]",
        epilog=_RUN_EXAMPLES,
        formatter_class=as_written,
    )
    _add_gate_option(script)
    return parser


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _add_options(command: argparse.ArgumentParser) -> None:
    from mm2pl.mmengine.config import DictAction

    add = command.add_argument
    add("config", metavar="CONFIG", help="the config file: .py, .yml, .yaml or .json")
    add("checkpoint", metavar="CHECKPOINT", nargs="?", help="weights to start from")
    add(
        "--work-dir",
        metavar="DIR",
        help="where checkpoints and logs go (default: the config's work_dir, else"
        " ./work_dirs/NAME_OF_CONFIG)",
    )
    add(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help="change the config: a.b=1 c='[1,2]' list.0.key=x",
    )
    add("--load-from", metavar="FILE", help="the same as CHECKPOINT")
    add(
        "--resume",
        nargs="?",
        const=True,
        metavar="FILE",
        help="go on from FILE, or from the newest checkpoint of the work dir; validate and test"
        " load its weights",
    )
    add("--seed", type=_seed, metavar="N", help="seed of all random numbers (default: a new one)")
    add(
        "--no-profile",
        action="store_true",
        help="leave out what the library's own train.py or test.py adds to a config",
    )
    _add_gate_option(command)
    add("--traceback", action="store_true", help="show the whole traceback of an error")


def _add_gate_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--relax-version-gates",
        action="store_true",
        help="warn, and go on, where a library does not take the version of another one",
    )


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) <= _MOST_SEED):
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 0 to {_MOST_SEED}, got {text!r}"
        )
    return int(text)
