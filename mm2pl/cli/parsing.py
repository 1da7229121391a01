"""The parsers of the command line: short usage, help within 100 columns, and near spellings."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from mm2pl.cli.output import say
from mm2pl.errors import nearest

_WIDEST = 100
_CONFIGS = (".py", ".yml", ".yaml", ".json")
# What other command lines call it.
_OTHER_NAMES = {
    "train": "fit",
    "training": "fit",
    "val": "validate",
    "valid": "validate",
    "eval": "test",
    "evaluate": "validate",
    "predict": "test",
    "resume": "fit",
    "version": "env",
    "collect_env": "env",
    "analyze": "explain",
    "lint": "check",
}


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of descriptions as they are written, but breaks long ones."""

    def __init__(self, prog: str, **kwargs: Any) -> None:
        kwargs["width"] = min(_WIDEST, shutil.get_terminal_size((_WIDEST, 24)).columns)
        super().__init__(prog, max_help_position=28, **kwargs)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = (textwrap.wrap(line, width - len(indent)) or [""] for line in text.splitlines())
        return "".join(f"{indent}{line}\n" for of_one in lines for line in of_one)


class Parser(argparse.ArgumentParser):
    """A parser that says what was probably meant."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", HelpFormatter)
        super().__init__(*args, **kwargs)

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse the arguments; positional ones may stand between the options."""
        args, unknown = self.parse_known_intermixed_args(list(arguments))
        if unknown:
            self._refuse(unknown)
        return args

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message, and exit with status 2."""
        self.print_usage(sys.stderr)
        if "required: CONFIG" in message:
            message += "\nHint: CONFIG comes before the options; some of these take what follows"
        say(f"error: {message}\n  {self.prog} --help lists the options")
        raise SystemExit(2)

    def option_names(self) -> list[str]:
        """Return all options' names."""
        return [name for action in self._actions for name in action.option_strings]

    def _refuse(self, unknown: Sequence[str]) -> NoReturn:
        options = [one for one in unknown if one.startswith("-")]
        if not options:
            self.error(f"too many arguments: {' '.join(unknown)}")
        name = options[0].partition("=")[0]
        near = nearest(name, self.option_names())
        self.error(f"unknown option {name}" + (f"\nDid you mean: {near[0]}?" if near else ""))


def no_such_command(arguments: Sequence[str], commands: Sequence[str]) -> str:
    """Return what to say of arguments that do not begin with a command."""
    word = next((one for one in arguments if not one.startswith("-")), arguments[0])
    given = next((one for one in arguments if one in commands), None)
    if word in _OTHER_NAMES and _OTHER_NAMES[word] in commands:
        return f"there is no command {word!r}\nDid you mean: {_OTHER_NAMES[word]}?"
    if word == given:
        return f"the command comes first\nHint: mm2pl {word} CONFIG {arguments[0]} ..."
    if word.endswith(_CONFIGS):
        if Path(word).stem in ("train", "test"):
            return f"the command comes first\nHint: a script is run by mm2pl run {word}"
        return f"the command comes first\nHint: mm2pl {given or 'fit'} {word}"
    near = nearest(word, commands)
    said = f"\nDid you mean: {near[0]}?" if near else f"\nHint: there are {', '.join(commands)}"
    return f"there is no command {word!r}{said}"


def take_local_rank(arguments: list[str]) -> list[str]:
    """Return the arguments without the rank that torch.distributed.launch puts in front.

    As in OpenMMLab's scripts it is the process's, if the environment does not say another one.
    """
    first = arguments[0] if arguments else ""
    name, equals, value = first.partition("=")
    if name not in ("--local-rank", "--local_rank"):
        return arguments
    rest = arguments[1:]
    if not equals:
        value, rest = (rest or [""])[0], rest[1:]
    if value.isdecimal():
        os.environ.setdefault("LOCAL_RANK", value)
    return rest
