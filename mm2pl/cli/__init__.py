"""The command line: ``mm2pl COMMAND ...``; each command is a module of this package."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from mm2pl import __version__
from mm2pl.cli.output import say
from mm2pl.errors import Mm2plError

INTERRUPTED = 130
_EXAMPLES = """examples:
  mm2pl fit configs/digits/digits_cnn_20e.py
  mm2pl fit config.py --work-dir runs/a --cfg-options optim_wrapper.optimizer.lr=0.01
  mm2pl fit config.py --resume
  mm2pl test config.py work_dirs/config/epoch_20.pth
  mm2pl run tools/train.py config.py --amp

exit status: 0 done, 1 the run failed, 2 wrong call or config, 130 interrupted; that of `run` is
the script's
"""


class CommandModule(Protocol):
    """What the module of a command has."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments, and its description and epilog; imports nothing heavy."""

    def run(self, args: argparse.Namespace) -> int:
        """Carry the command out and return the exit status.

        ``args.command`` is the command's name, ``args.parser`` its parser. A
        :class:`~mm2pl.errors.Mm2plError` that goes through is printed, and gives its exit status.
        """


class Command(NamedTuple):
    """A command, without its module being imported."""

    module: str
    help: str

    def load(self) -> CommandModule:
        module: CommandModule = importlib.import_module(f"{__name__}.{self.module}")
        return module


COMMANDS = {
    "fit": Command("config_run", "train, and validate as the config says"),
    "validate": Command("config_run", "compute the validation metrics"),
    "test": Command("config_run", "compute the test metrics"),
    "run": Command("script_run", "run a Python script written against MMEngine, unchanged"),
}


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
    parser = make_parser(*arguments[:1])
    try:
        args = parser.parse_args(arguments)
    except Mm2plError as error:  # from a value of --cfg-options
        parser.error(str(error))
    command = COMMANDS[args.command].load()
    try:
        return command.run(args)
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except Mm2plError as error:
        say(f"error: {error}")
        return error.exit_status


def make_parser(*commands: str) -> argparse.ArgumentParser:
    """Return the parser, with the arguments of these commands (the others are only listed)."""
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="mm2pl",
        description="Run MMEngine configs and scripts on PyTorch Lightning.",
        epilog=_EXAMPLES,
        formatter_class=as_written,
    )
    parser.add_argument("--version", action="version", version=f"mm2pl {__version__}")
    added = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        description = f"{command.help[0].upper()}{command.help[1:]}."
        own = added.add_parser(
            name, help=command.help, description=description, formatter_class=as_written
        )
        own.set_defaults(parser=own)
        if name in commands:
            command.load().add_arguments(own)
    return parser


def _run_script(arguments: list[str]) -> int:
    """Run a script; what it raises goes through, as from ``python SCRIPT``."""
    from mm2pl.cli import script_run

    # By hand: argparse would take the script's own --help and options.
    own, command = script_run.split(arguments[1:])
    args = make_parser("run").parse_args(["run", *own])
    return script_run.run_command(command, args)
