"""``--trainer.*``: arguments of Lightning's Trainer on the command line, read by jsonargparse.

The config stays outside jsonargparse: what is given here goes into its ``trainer`` section, which
:mod:`mm2pl.translate.trainer_args` reads.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from mm2pl.cli.output import is_first, say
from mm2pl.errors import ConfigError, Mm2plError, UnsupportedError, nearest
from mm2pl.plan import Status
from mm2pl.translate.trainer_args import TRAINER_RULES

if TYPE_CHECKING:
    import jsonargparse

    from mm2pl.mmengine.config import Config

PREFIX = "--trainer"
_HELP = "help"
# Arguments of the Trainer that have a switch of their own.
SWITCHES = {
    "detect_anomaly": "let autograd say which operation makes a NaN (slow)",
    "stop_on_nonfinite_loss": "end the run at the first loss that is NaN or infinite",
}
_RULES = {rule.key: rule for rule in TRAINER_RULES}


def add_arguments(parser: Any) -> None:
    """Add Lightning's options to a group, for the help; ``--trainer.*`` are taken out before.

    Args:
        parser: A parser or group of argparse.
    """
    add = parser.add_argument
    add(
        f"{PREFIX}.ARG",
        dest=argparse.SUPPRESS,
        metavar="VALUE",
        help="an argument of Lightning's Trainer, as in trainer=dict(ARG=VALUE): max_epochs,"
        " fast_dev_run, limit_train_batches, devices, precision, callbacks+=CLASS ...",
    )
    add(f"{PREFIX}.help", action="store_true", help="list them all, with their types")
    for name, text in SWITCHES.items():
        add(f"--{name.replace('_', '-')}", action="store_true", help=text)
    add("--print_config", action="store_true", help="print the config as it would run, and exit")
    add(
        "--ckpt_path",
        metavar="FILE",
        help="the same as --resume FILE; last: the newest checkpoint of the work dir",
    )


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the arguments without ``--trainer.*``, and those; a switch without a value is on.

    Raises:
        SystemExit: ``--trainer.help`` or ``--trainer.callbacks.help CLASS`` printed its help.
    """
    rest: list[str] = []
    taken: list[str] = []
    waiting = list(arguments)
    while waiting:
        one = waiting.pop(0)
        if not one.startswith(f"{PREFIX}."):
            rest.append(one)
            continue
        if "=" not in one and one != f"{PREFIX}.{_HELP}":
            has_value = bool(waiting) and not waiting[0].startswith("--")
            one = f"{one}={waiting.pop(0) if has_value else 'true'}"
        taken.append(one)
    if f"{PREFIX}.{_HELP}" in taken:
        make_parser().print_help()
        raise SystemExit(0)
    for one in taken:
        if one.partition("=")[0].endswith(f".{_HELP}"):
            parse([one])
    return rest, taken


def take_ckpt_path(args: argparse.Namespace) -> None:
    """Let ``--ckpt_path`` mean what ``--resume`` does."""
    if args.ckpt_path is None:
        return
    if args.resume is not None:
        args.parser.error("--ckpt_path and --resume mean the same: give one of them")
    if args.ckpt_path in ("best", "hpc", "registry"):
        args.parser.error(
            f"--ckpt_path {args.ckpt_path}: name the file, for example work_dirs/NAME/best_....pth"
        )
    args.resume = "auto" if args.ckpt_path == "last" else args.ckpt_path


def merge(cfg: Config, args: argparse.Namespace) -> None:
    """Put ``--trainer.*`` into the config's ``trainer`` section, where they win.

    Args:
        cfg: The config, which is changed.
        args: With ``trainer_options``, those that :func:`split` took out.

    Raises:
        ConfigError: An argument is unknown, or its value has the wrong type.
    """
    given = [name for name in SWITCHES if getattr(args, name, False)]
    options = [*args.trainer_options, *(f"{PREFIX}.{name}=true" for name in given)]
    if not options:
        return
    if not hasattr(args, "trainer_given"):
        args.trainer_given = parse(options)  # once: a config may be read twice
    section = dict(cfg.get("trainer") or {})
    for key, value in args.trainer_given.items():
        adds = any(one.startswith(f"{PREFIX}.{key}+") for one in options)
        before = section.get(key) if adds else None
        if before is not None and not isinstance(before, bool):
            before = list(before) if isinstance(before, (list, tuple)) else [before]
            value = [*before, *(value if isinstance(value, list) else [value])]
        section[key] = value
    cfg["trainer"] = section


def let_options_win(cfg: Config, args: argparse.Namespace) -> None:
    """Drop what the config's ``trainer`` section says of keys that the command line sets.

    Args:
        cfg: The config with the options merged, which is changed.
        args: The parsed arguments.
    """
    from mm2pl.cli.config_file import keys_set_by
    from mm2pl.translate.report import Report
    from mm2pl.translate.trainer_args import work_in

    section, keys = cfg.get("trainer"), keys_set_by(args)
    if not isinstance(section, dict) or not keys:
        return
    section = dict(section)
    for change in work_in(cfg, Report(file=args.config)).changes:
        key = next((one for one in keys if _is_within(one, change.key_path)), None)
        name = change.argument
        if key is None or name == "fast_dev_run":
            continue
        if name in (getattr(args, "trainer_given", None) or ()):
            _say_once(f"note: two options set {change.key_path}; {PREFIX}.{name} wins", args)
        elif section.pop(name, None) is not None:
            _say_once(f"note: the command line sets {key}, and wins over trainer.{name}", args)
    cfg["trainer"] = section


def _is_within(one: str, other: str) -> bool:
    """Whether one of two key paths is the other, or a part of it."""
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def _say_once(text: str, args: argparse.Namespace) -> None:
    """Say it on the first process, though the config may be read twice."""
    said = args.__dict__.setdefault("said", [])
    if text not in said and is_first():
        say(text)
    said.append(text)


def parse(options: Sequence[str]) -> dict[str, Any]:
    """Return the Trainer's arguments that the options give, by name.

    Raises:
        ConfigError: An argument is unknown, or its value has the wrong type.
        SystemExit: ``--trainer.callbacks.help=CLASS`` printed its help.
    """
    for one in options:
        name = re.split(r"[.=+]", one.removeprefix(f"{PREFIX}."), maxsplit=1)[0]
        if name not in _RULES:
            raise ConfigError(
                f"lightning.pytorch.Trainer has no argument {name!r}",
                key_path=f"trainer.{name}",
                choices=nearest(name, _RULES),
                hint=f"{PREFIX}.{_HELP} lists them",
            )
    try:
        parsed = make_parser().parse_args(_with_folders(options), defaults=False)
    except argparse.ArgumentError as error:
        raise _wrong(str(error)) from None
    given = parsed.as_dict().get("trainer", {})
    return {key: _read(value) for key, value in given.items()}


# Of these jsonargparse demands a folder; without one they write into the run's.
_NEED_FOLDER = ("CSVLogger", "TensorBoardLogger")
_RUNS_FOLDER = "THE_FOLDER_OF_THE_RUN"


def _with_folders(options: Sequence[str]) -> list[str]:
    """Return the options with a folder for each logger that is given none."""
    made: list[str] = []
    for index, one in enumerate(options):
        made.append(one)
        name, _, value = one.partition("=")
        if name.rstrip("+") != f"{PREFIX}.logger" or value.rpartition(".")[2] not in _NEED_FOLDER:
            continue
        its_own = itertools.takewhile(
            lambda other: other.partition("=")[0].rstrip("+") != f"{PREFIX}.logger",
            options[index + 1 :],
        )
        if not any(
            re.match(r"--trainer\.logger\.(init_args\.)?save_dir=", other) for other in its_own
        ):
            made.append(f"{PREFIX}.logger.save_dir={_RUNS_FOLDER}")
    return made


def _without_folder(value: Any) -> Any:
    """Return a logger's description without the folder that was put there."""
    arguments = value.get("init_args") if isinstance(value, dict) else None
    if not arguments or str(arguments.get("save_dir")) != _RUNS_FOLDER:
        return value
    rest = {key: one for key, one in arguments.items() if key != "save_dir"}
    kept = {key: one for key, one in value.items() if key != "init_args"}
    return {**kept, "init_args": rest} if rest else kept


def make_parser() -> jsonargparse.ArgumentParser:
    """Return jsonargparse's parser of the Trainer's arguments."""
    import lightning.pytorch as pl
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(
        prog="mm2pl fit",
        usage="mm2pl fit CONFIG [--trainer.ARG VALUE ...]",
        exit_on_error=False,
        add_help=False,
    )
    parser.add_class_arguments(pl.Trainer, "trainer", fail_untyped=False, instantiate=False)
    for own in (rule.key for rule in TRAINER_RULES if rule.own):  # switches, so far
        parser.add_argument(f"{PREFIX}.{own}", type=bool, help="Of mm2pl, not of Lightning.")
    for action in parser._actions:
        rule = _RULES.get(action.dest.removeprefix("trainer."))
        if action.dest == "trainer":
            action.help = argparse.SUPPRESS  # a file of its own: ours is the config
        if rule is not None and action.help:
            text = f"{action.help} Here: {rule.status.value}: {rule.text}."
            action.help = text.replace("%", "%%")
    return parser


def _read(value: Any) -> Any:
    """Return a value as a config holds it."""
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)  # of a type that allows both, such as devices
    if isinstance(value, list):
        return [_without_folder(one) for one in value]
    return _without_folder(value)


_NOISE = ("Does not validate", "Subtypes:", "Errors:", "Given value", "Subclass types", "- a ")
_OTHER_TYPES = ("Expected a ", "Not a valid subclass")  # noise beside what is wrong with a class


def _wrong(text: str) -> Mm2plError:
    """Return jsonargparse's error as one of ours: where, what was expected, and the value."""
    where = re.search(r'"(trainer\.[\w.]+)"', text)
    value = re.search(r"Given value: (.*)", text)
    lines = [line.strip().removeprefix("- ") for line in text.splitlines()[1:]]
    told: list[str] = []
    skip = False
    for raw, line in zip(text.splitlines()[1:], lines, strict=True):
        if "'lightning.Callback'" in line:  # the same once more for the base class
            skip = True
        elif raw.strip().startswith("- Problem"):
            skip = False
        noise = raw.strip().startswith(_NOISE) or "NoneType" in line or line.endswith("Callback")
        if not noise and not skip and line not in told:
            told.append(line)
    told = [re.sub(r"<class '([\w.]+)'>|typing\.", r"\1", line) for line in told]
    if any(line.startswith("Problem with given class_path") for line in told):
        told = [line for line in told if not line.startswith(_OTHER_TYPES)]
    no_class = re.search(r"Expected a dot import path string: (\w+)$", "\n".join(told), re.M)
    if no_class:
        told = [f"there is no class {no_class[1]}"]
    message = re.sub(r"\. Got value: True$", "", "; ".join(told).replace(":;", ":"))
    message = message.replace("Expected a int", "Expected an int")
    if (
        value
        and not no_class
        and "NestedArg" not in value.group(1)
        and "Namespace" not in value.group(1)
    ):
        message += f", got {value.group(1)!r}"
    key = where.group(1) if where else "trainer"
    name = key.removeprefix("trainer.").split(".")[0]
    rule = _RULES.get(name)
    if rule is not None and rule.status is Status.UNSUPPORTED:
        what = f"{key} is not supported: {rule.text}"
        return UnsupportedError(what, key_path=key, hint=rule.hint)
    hint = f"{PREFIX}.{_HELP} shows its type"
    if "class_path" in message:
        hint = f"{PREFIX}.{name}.{_HELP} CLASS lists the arguments of a class"
    choices = _classes_like(no_class[1], name) if no_class else ()
    return ConfigError(message or text, key_path=key, hint=hint, choices=choices)


def _classes_like(name: str, argument: str) -> Sequence[str]:
    """Return the nearest names of Lightning's callbacks, loggers or profilers."""
    module = f"lightning.pytorch.{argument.rstrip('s')}s"
    known = importlib.import_module(module).__all__ if importlib.util.find_spec(module) else []
    return nearest(name, known)


def effective(cfg: Config) -> Config:
    """Return the config with what the ``trainer`` section changes in it.

    Raises:
        ConfigError: Something in the section is wrong.
    """
    from mm2pl.translate import examine
    from mm2pl.translate.report import raise_problems

    found = examine(cast("Any", cfg))
    raise_problems([one for one in found.problems if _is_trainers(one)])
    changed: Config = found.plan.config
    return changed


def _is_trainers(error: Mm2plError) -> bool:
    return (error.key_path or "").split(".")[0] == "trainer"
