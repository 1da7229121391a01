"""``mm2pl convert``: checkpoint files into one another, and what a file holds."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

from mm2pl.cli.output import print_last, say, table
from mm2pl.errors import BrokenCheckpointError, CheckpointError, CheckpointNotFoundError

_EXAMPLES = """examples:
  mm2pl convert epoch_20.pth                            say what the file holds
  mm2pl convert epoch_20.pth weights.safetensors        publish the weights
  mm2pl convert epoch_20.pth epoch_20.ckpt              for Lightning's Trainer, to go on with
  mm2pl convert epoch_20.pth plain.ckpt --plain --add-prefix model.
  mm2pl convert lightning.ckpt weights.pth --strip-prefix model.
  mm2pl convert epoch_20.pth backbone.pth --strip-prefix backbone.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``convert``."""
    parser.description = (
        "Say what a checkpoint holds, or write it as OUT's suffix says: .pth (MMEngine's and\n"
        "mm2pl's), .ckpt (Lightning's) or .safetensors (weights and meta). What OUT cannot hold\n"
        "is said. No code in IN is run."
    )
    parser.usage = "mm2pl convert IN [OUT] [OPTIONS]"
    parser.epilog = _EXAMPLES
    add = parser.add_argument
    add("source", metavar="IN", help="a path, a URI, or a model zoo's name")
    add("target", metavar="OUT", nargs="?", help="where to; without it, say what IN holds")
    add("--strip-prefix", default="", metavar="P", help="only weights that begin with P, without P")
    add("--add-prefix", default="", metavar="P", help="put P before the weights' names")
    add("--raw", action="store_true", help="of averaged weights (EMA), take those in training")
    add("--weights-only", action="store_true", help="leave out what a run needs to go on")
    add("--plain", action="store_true", help="a .ckpt that needs neither mm2pl nor MMEngine")
    add("--force", action="store_true", help="replace OUT if it is there")
    add("--json", action="store_true", help="say what IN holds as one JSON object")
    add(
        "--unsafe-load",
        metavar="FILE",
        help="trust FILE: loading it may run code from it. Only IN, if it is refused",
    )


def run(args: argparse.Namespace) -> int:
    """Convert a file, or say what it holds."""
    from mm2pl import convert

    choices = convert.Choices(
        args.strip_prefix, args.add_prefix, args.raw, args.weights_only, args.plain
    )
    if args.target is None and (any(choices) or args.force):
        args.parser.error("OUT is missing: these options say how to write it")
    if args.target is not None and args.json:
        args.parser.error("--json says what IN holds: leave out OUT")
    try:
        # Standard output is for results; reading may warn, or tell of a download.
        with contextlib.redirect_stdout(sys.stderr), _trusting(args.unsafe_load):
            if args.target is not None:
                notes = convert.convert(args.source, args.target, choices, args.force)
                written = _read_back(args.target, notes)
            else:
                written, notes = convert.load(args.source), []
    except CheckpointNotFoundError as error:
        error.exit_status = 2  # a wrong call
        raise
    for note in notes:
        say(f"note: {note}")
    if written is not None:
        _show(args.target or args.source, written, args.json)
    return 0


def _read_back(path: str, notes: list[str]) -> Any:
    """Return what was written; None if only one who trusts it can read it, as was so of IN."""
    from mm2pl import convert

    try:
        return convert.load(path)
    except BrokenCheckpointError:
        raise
    except CheckpointError as error:
        notes.append(f"{error.message}, as IN does; a .safetensors file cannot hold them")
        return None


@contextlib.contextmanager
def _trusting(path: str | None) -> Iterator[None]:
    from mm2pl import checkpoint

    with checkpoint.trusting(path) if path else contextlib.nullcontext():
        yield


def _show(path: str, loaded: Any, as_json: bool) -> None:
    from mm2pl import contents, damage, published

    with damage.taking_up(path, "content", "described"):
        facts = contents.describe(loaded, path)
    if os.path.isfile(path):
        kind = "safetensors" if published.is_one(path, path) else "torch"
        facts = {"file size": os.path.getsize(path), "format": kind, **facts}
    if as_json:
        print_last(json.dumps({"file": path, **facts}, indent=2, ensure_ascii=False))
        return
    print_last(table(path, contents.lines(facts)))
