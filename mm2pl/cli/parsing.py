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
    "publish": "convert",
    "publish_model": "convert",
    "export": "convert",
    "inspect": "convert",
    "lint": "check",
}


# Options of other command lines that have no near spelling here: what to write instead.
_OTHER_OPTIONS = {
    "-c": "CONFIG and CHECKPOINT stand without an option: mm2pl fit CONFIG",
    "--config": "CONFIG and CHECKPOINT stand without an option: mm2pl fit CONFIG",
    "--checkpoint": "CONFIG and CHECKPOINT stand without an option: mm2pl test CONFIG CHECKPOINT",
    "--trainer": "one option for each argument: --trainer.max_epochs=3",
    "--gpus": "--trainer.devices=N",
    "--devices": "--trainer.devices=N",
    "--num-gpus": "--trainer.devices=N",
    "--gpu-ids": "the environment variable CUDA_VISIBLE_DEVICES",
    "--gpu-id": "the environment variable CUDA_VISIBLE_DEVICES",
    "--eval": "the config's test_evaluator says what is computed",
    "--format-only": "--dump FILE.pkl, or format_only=True of the metric",
    "--fuse-conv-bn": "efficient_conv_bn_eval='backbone' in the config",
    "--badcase": "default_hooks=dict(badcase=dict(type='BadCaseAnalysisHook', enable=True,"
    " metric_type='accuracy', metric=dict(type=...))) in the config",
    "--deploy": "custom_hooks=[dict(type='SwitchToDeployHook')] in the config",
    "--json-prefix": "--cfg-options test_evaluator.format_only=True"
    " test_evaluator.outfile_prefix=PATH",
    "--save-preds": "--dump FILE.pkl",
    "--auto-resume": "--resume without FILE",
    "--seed_everything": "--seed N",
    "--data": "the config says it: --cfg-options train_dataloader.batch_size=8",
    "--model": "the config says it: --cfg-options model.KEY=VALUE",
    "--optimizer": "the config says it: --cfg-options optim_wrapper.optimizer.lr=0.01",
    "--lr_scheduler": "the config says it: --cfg-options param_scheduler.0.KEY=VALUE",
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
        self._arguments: list[str] = []

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse the arguments; positional ones may stand between the options."""
        self._arguments = list(arguments)
        args, unknown = self.parse_known_intermixed_args(list(arguments))
        if unknown:
            self._refuse(unknown)
        return args

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message, and exit with status 2."""
        self.print_usage(sys.stderr)
        other = next(filter(None, map(_other_option, self._arguments)), None)
        incomplete = "required: CONFIG" in message
        if other and (incomplete or message.startswith("ambiguous")):
            message += f"\nHint: {other}"
        elif incomplete:
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
        known = _other_option(name)
        if known:
            self.error(f"unknown option {name}\nHint: {known}")
        near = nearest(name, self.option_names())
        self.error(f"unknown option {name}" + (f"\nDid you mean: {near[0]}?" if near else ""))


def _other_option(argument: str) -> str | None:
    """Return what to write for another command line's option; ``--model.a.b`` is ``--model``."""
    name = argument.partition("=")[0]
    return _OTHER_OPTIONS.get(name) or _OTHER_OPTIONS.get(name.partition(".")[0])


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
