"""``mm2pl completion``: what makes a shell complete commands, options and files."""

from __future__ import annotations

import argparse
from typing import Any

from mm2pl.cli.output import print_last

_SHELLS = ("bash", "zsh", "tcsh")
_EXAMPLES = """examples:
  mm2pl completion bash > ~/.local/share/bash-completion/completions/mm2pl
  mm2pl completion zsh > ~/.zfunc/_mm2pl       # with fpath+=~/.zfunc before compinit
  mm2pl completion tcsh | source /dev/stdin
"""
_FOLDERS = ("DIR",)
_PATHS = ("CONFIG", "CHECKPOINT", "SCRIPT", "PATH", "IN", "OUT")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the shell's name."""
    parser.epilog = _EXAMPLES
    parser.add_argument("shell", metavar="SHELL", choices=_SHELLS, help=" or ".join(_SHELLS))


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    import shtab

    print_last(shtab.complete(_parser(), args.shell))
    return 0


def _parser() -> argparse.ArgumentParser:
    """Return the parser of all commands, whose arguments say which of them are files."""
    from mm2pl.cli import COMMANDS, overview

    parser = overview(*COMMANDS)
    for action in parser._actions:
        for name, command in _commands(action).items():
            if name == "run":  # it finds its script by hand
                command.add_argument("script", metavar="SCRIPT", nargs="*")
            _name_trainer_options(command)
            for argument in command._actions:
                _complete(argument)
    return parser


def _name_trainer_options(command: argparse.ArgumentParser) -> None:
    """Put every argument of the Trainer in the place of ``--trainer.ARG``."""
    from mm2pl.translate.trainer_args import TRAINER_RULES

    for action in command._actions:
        if action.option_strings == ["--trainer.ARG"]:
            action.option_strings = [f"--trainer.{rule.key}" for rule in TRAINER_RULES]


def _commands(action: argparse.Action) -> dict[str, argparse.ArgumentParser]:
    chosen = action.choices if isinstance(action, argparse._SubParsersAction) else {}
    return dict(chosen or {})


def _complete(argument: Any) -> None:
    import shtab

    metavar = argument.metavar if isinstance(argument.metavar, str) else ""
    name = metavar.partition(".")[0]
    if name in _FOLDERS:
        argument.complete = shtab.DIRECTORY
    elif name in _PATHS or name.endswith("FILE"):
        argument.complete = shtab.FILE
