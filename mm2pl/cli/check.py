"""``mm2pl check CONFIG...``: what becomes of each key of a config, before it runs."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from mm2pl import version_gates
from mm2pl.cli.config_file import add_cfg_options
from mm2pl.cli.output import colours, print_last

if TYPE_CHECKING:
    from mm2pl.check.findings import FileReport

_MANY = 50  # files from which on it takes seconds
_COMMANDS = ("fit", "validate", "test")
_EPILOG = """examples:
  mm2pl check config.py
  mm2pl check configs --json > report.json
  mm2pl check config.py --all --cfg-options train_cfg.max_epochs=3
  mm2pl check config.py --command test
  mm2pl check config.py --no-exec
  mm2pl check config.py --build

exit status: 0 nothing found, 1 with findings, 2 if a file cannot be read
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``check``."""
    parser.description = (
        "Say what becomes of each key of a config: as is, translated, approximated, unsupported,\n"
        "without effect, or unknown. Neither torch nor a library is imported, but with --build.\n"
        "Of a folder every config below it is checked."
    )
    parser.epilog = _EPILOG
    add_cfg_options(parser, several=True)
    add = parser.add_argument
    add("--all", action="store_true", help="list every key that is read, not the findings alone")
    add("--json", action="store_true", help="print one JSON document (docs/check.md has its form)")
    add(
        "--command",
        dest="run_command",  # `command` is the subcommand's own
        choices=_COMMANDS,
        default="fit",
        help="the run to check for: its library's script adds its own to the config"
        " (default: %(default)s)",
    )
    add("--no-profile", action="store_true", help="leave out what the library's script adds")
    add(
        "--no-exec",
        action="store_true",
        help="read Python configs without running them; what would have to run is refused by line",
    )
    add(
        "--build",
        action="store_true",
        help="import the libraries and custom_imports, look up every class by its `type`, and build"
        " the model without memory for its weights; nothing is downloaded",
    )
    version_gates.add_option(parser)
    add(
        "--jobs",
        type=_positive,
        metavar="N",
        help="how many processes read configs (default: one per processor)",
    )
    add(
        "--timeout",
        type=float,
        metavar="SECONDS",
        help="how long one config may take (default: 60, with --build 600)",
    )


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text!r}")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Check what was named, print what was found, return the exit status."""
    if args.relax_version_gates and not args.build:
        args.parser.error("--relax-version-gates goes with --build: else no library is imported")
    from mm2pl.check import output
    from mm2pl.check.files import choose
    from mm2pl.check.findings import Settings, unreadable
    from mm2pl.check.workers import Request, Workers, default_jobs

    settings = Settings(
        command=None if args.no_profile else args.run_command,
        options=args.cfg_options or {},
        all_keys=args.all,
        no_exec=args.no_exec,
        build=args.build,
        relax_version_gates=args.relax_version_gates,
    )
    chosen = choose(args.configs)
    requests = [Request(file, file in chosen.in_folders) for file in chosen.files]
    jobs = args.jobs or default_jobs(len(requests))
    with Workers(settings, jobs, args.timeout or (600 if args.build else 60)) as workers:
        reports = list(_with_progress(workers.examine(requests), len(requests)))
    reports += [unreadable(error.file or "", error) for error in chosen.wrong]
    result = output.Result(settings, reports, chosen.skipped)
    if args.json:
        print_last(output.as_json(result))
    else:
        output.print_text(result)
    return result.exit_status


def _with_progress(reports: Iterator[FileReport], number: int) -> Iterable[FileReport]:
    """Show how far the check is, on a terminal and if there is much to do."""
    if number < _MANY or not colours(sys.stderr):
        return reports
    from rich.console import Console
    from rich.progress import track

    return track(reports, "checking", number, console=Console(stderr=True), transient=True)
