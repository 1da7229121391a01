"""``mm2pl explain``: what a config means here, on one page; its schedules; its parameter groups."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mm2pl.cli.config_file import add_cfg_options, positions_of, read_config
from mm2pl.cli.output import print_last, say

if TYPE_CHECKING:
    from mm2pl.plan import Plan

_COMMANDS = ("fit", "validate", "test")
_PICTURES = (".png", ".svg", ".pdf", ".csv")
_EXAMPLES = """examples:
  mm2pl explain config.py
  mm2pl explain config.py --command test --json
  mm2pl explain config.py --model --all
  mm2pl explain config.py --plot schedule.png --epoch-length 7330
  mm2pl explain config.py --plot schedule.csv --cfg-options train_cfg.max_epochs=24
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``explain``."""
    parser.description = (
        "Say on one page what a config means here: data, model, optimizer, loop, schedules and\n"
        "hooks, and what each becomes in Lightning. Neither torch nor a library is imported, but\n"
        "with --model and --plot."
    )
    parser.epilog = _EXAMPLES
    add_cfg_options(parser)
    add = parser.add_argument
    add(
        "--command",
        dest="run_command",  # `command` is explain itself
        choices=_COMMANDS,
        default="fit",
        help="for which run: its library's script adds to the config (default: fit)",
    )
    add("--json", action="store_true", help="print one JSON object")
    add(
        "--model",
        action="store_true",
        help="build the model and the optimizer, and print each parameter group's options",
    )
    add("--all", action="store_true", help="with --model: list every parameter")
    add(
        "--plot",
        metavar="FILE",
        help="draw learning rate, momentum and what else is scheduled over the whole training;"
        f" {', '.join(_PICTURES[:-1])}, or the values as .csv",
    )
    add(
        "--epoch-length",
        type=_positive,
        metavar="N",
        help="with --plot: iterations in an epoch, where schedules count iterations",
    )
    add(
        "--skip-unknown",
        action="store_true",
        help="with --plot: leave out schedulers whose library cannot be imported",
    )


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, got {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Explain the config."""
    _check(args)
    cfg: Any = read_config(args.config, args.cfg_options)
    try:
        _explain(cfg, args)
    except Exception as error:
        from mm2pl.failures import describe, exit_status

        say(f"error: {describe(error, args.config, positions_of(args))}")
        return exit_status(error)
    return 0


def _explain(cfg: Any, args: argparse.Namespace) -> None:
    from mm2pl.translate import examine
    from mm2pl.translate.report import raise_problems

    examination = examine(cfg, command=args.run_command)
    raise_problems(examination.problems)
    if args.plot:
        _plot(examination.plan, args)
    elif args.model:
        _parameters(args)
    else:
        from mm2pl.explain.page import page
        from mm2pl.explain.text import render

        found = page(examination.plan, args.run_command, positions_of(args))
        _print(found, render, args.json)


def _check(args: argparse.Namespace) -> None:
    refuse = args.parser.error
    if args.plot and (args.model or args.json):
        refuse("--plot draws alone: leave --model and --json out")
    if args.plot and Path(args.plot).suffix not in _PICTURES:
        refuse(f"--plot: {args.plot} must end in {', '.join(_PICTURES)}")
    if not args.plot and (args.epoch_length or args.skip_unknown):
        refuse("--epoch-length and --skip-unknown belong to --plot FILE")
    if args.all and not args.model:
        refuse("--all belongs to --model")


def _print(page: dict[str, Any], render: Any, as_json: bool) -> None:
    from mm2pl.explain.text import print_sections

    if as_json:
        print_last(json.dumps(page, indent=2, ensure_ascii=False))
    else:
        print_sections(render(page))


def _plot(plan: Plan, args: argparse.Namespace) -> None:
    from mm2pl.explain import plot
    from mm2pl.explain.curves import compute

    curves = compute(plan, args.epoch_length, skip_unknown=args.skip_unknown)
    plot.save(curves, args.plot, Path(args.config).name)
    for note in curves.notes:
        say(f"note: {note}")
    lines = [f"{args.plot}: {curves.steps} {curves.unit}{'s' * (curves.steps != 1)}"]
    for name, values in curves.values.items():
        if values:
            lines.append(
                f"  {name}: {values[0]:g} at the start, {values[-1]:g} at the end, lowest"
                f" {min(values):g}, highest {max(values):g}"
            )
    print_last("\n".join(lines))


def _parameters(args: argparse.Namespace) -> None:
    from mm2pl.explain.parameters import build_and_describe, render

    _print(build_and_describe(args), lambda page: render(page, args.all), args.json)
