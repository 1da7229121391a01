"""The command line: ``mm2pl COMMAND ...``; each command is a module of this package."""

from __future__ import annotations

import argparse
import atexit
import gc
import importlib
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from mm2pl.cli.output import say
from mm2pl.cli.parsing import Parser, no_such_command, take_local_rank
from mm2pl.errors import Mm2plError

USAGE, INTERRUPTED = 2, 130
_EXAMPLES = """examples:
  mm2pl fit configs/digits/digits_cnn_20e.py
  mm2pl fit config.py --work-dir runs/a --cfg-options optim_wrapper.optimizer.lr=0.01
  mm2pl fit config.py --amp --resume
  mm2pl test config.py work_dirs/config/epoch_20.pth --out metrics.json
  mm2pl run tools/train.py config.py --amp

mm2pl COMMAND --help says more of a command.

exit status: 0 done, 1 the run failed, 2 wrong call or config, 130 interrupted, 143 told to end
(SIGTERM) and saved; that of `run` is the script's
"""


class CommandModule(Protocol):
    """What the module of a command has."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the command's arguments, and its description and epilog; imports nothing heavy.

        ``parser.prog`` ends with the command's name.
        """

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
    "check": Command("check", "say what becomes of each key of a config, before it runs"),
    "explain": Command("explain", "say on one page what a config means here, and draw schedules"),
    "print-config": Command("print_config", "print a config with its bases merged in"),
    "convert": Command("convert", "say what a checkpoint holds, or write it in another format"),
    "run": Command("script_run", "run a Python script written against MMEngine, unchanged"),
    "env": Command("env", "print the versions that matter for a bug report"),
    "completion": Command("completion", "print a script that completes mm2pl in a shell"),
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
    arguments = take_local_rank(list(sys.argv[1:] if argv is None else argv))
    if not arguments:
        overview().print_help(sys.stderr)
        return USAGE
    name = arguments[0]
    if name not in COMMANDS:
        return _without_command(arguments)
    if name == "run":
        return _run_script(arguments[1:])
    # The last collection goes through all of torch for seconds, and the process ends anyway.
    atexit.register(gc.freeze)
    try:
        return COMMANDS[name].load().run(parse(name, arguments[1:]))
    except KeyboardInterrupt:
        say("interrupted")
        return INTERRUPTED
    except Mm2plError as error:
        say(f"error: {error}")
        return error.exit_status


def parse(name: str, arguments: Sequence[str]) -> argparse.Namespace:
    """Return the parsed arguments of a command.

    Raises:
        SystemExit: ``--help``, or arguments that cannot be understood.
    """
    parser = make_parser(name)
    split = getattr(COMMANDS[name].load(), "split", None)
    rest, trainer_options = split(arguments) if split else (arguments, [])
    try:
        args = parser.parse(rest)
    except Mm2plError as error:  # from a value of --cfg-options
        parser.error(str(error))
    args.trainer_options, args.command_line = trainer_options, [name, *arguments]
    return args


def make_parser(name: str) -> Parser:
    """Return the parser of one command."""
    return _fill(Parser(prog=f"mm2pl {name}", description=_description(name)), name)


def overview(*commands: str) -> Parser:
    """Return the parser that lists the commands, with the arguments of those that are named."""
    parser = Parser(
        prog="mm2pl",
        usage="mm2pl COMMAND ...",
        description="Run MMEngine configs and scripts on PyTorch Lightning.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="print mm2pl's version and those it runs on"
    )
    added = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    for name, command in COMMANDS.items():
        own = added.add_parser(name, help=command.help, description=_description(name))
        if name in commands:
            _fill(own, name)
    return parser


def _description(name: str) -> str:
    text = COMMANDS[name].help
    return f"{text[0].upper()}{text[1:]}."


def _fill(parser: Parser, name: str) -> Parser:
    parser.set_defaults(command=name, parser=parser)
    COMMANDS[name].load().add_arguments(parser)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> None:
        from mm2pl.cli.env import short

        print(short())
        parser.exit()


def _without_command(arguments: list[str]) -> int:
    parser = overview()
    if arguments[0] in parser.option_names():
        parser.parse_args(arguments[:1])  # exits
    parser.error(no_such_command(arguments, list(COMMANDS)))


def _run_script(arguments: list[str]) -> int:
    """Run a script; what it raises goes through, as from ``python SCRIPT``."""
    from mm2pl.cli import script_run

    # By hand: argparse would take the script's own --help and options.
    own, command = script_run.split(arguments)
    return script_run.run_command(command, make_parser("run").parse(own))
