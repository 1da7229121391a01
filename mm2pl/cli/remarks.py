"""What the command line says about a run before it begins."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from mm2pl.cli.output import is_first, say
from mm2pl.errors import nearest
from mm2pl.libraries import LIBRARIES, how_to_get
from mm2pl.plan import Note, Plan

_MOST_FINDINGS = 7  # one line more says that there are others
_LONGEST = 160


def say_before(cfg: Any) -> None:
    """Say what may be wrong with the surroundings, on the first of several processes."""
    if not is_first():
        return
    _say_of_scope(cfg.get("default_scope"))
    processes = os.environ.get("WORLD_SIZE", "1")
    launched = "LOCAL_RANK" in os.environ and processes not in ("", "1")
    if launched and (cfg.get("launcher") or "none") == "none":
        say(
            f"note: {processes} processes were launched, and each trains alone; --launcher pytorch"
            " makes them one run"
        )


def say_of_plan(plan: Plan, args: argparse.Namespace) -> None:
    """Say what in the config does something else than it says, and that weights are missing."""
    said = findings(notes_of(plan), args.config)
    if said:
        say("\n".join(said))
    section = {"fit": None, "validate": plan.val, "test": plan.test}[args.command]
    if section is not None and not (plan.runtime.load_from or plan.runtime.resume):
        say("note: no CHECKPOINT is given, so the model is used as it is built")


def notes_of(plan: Plan) -> list[Note]:
    """Return the plan's notes; a trial cuts its schedules short on purpose."""
    trial = "fast_dev_run" in plan.runtime.trainer
    return [one for one in plan.notes if not (trial and one.key_path.startswith("param_scheduler"))]


def findings(notes: Sequence[Note], config: str) -> list[str]:
    """Return one short block about the notes that are findings; no lines if there are none."""
    found = [note for note in notes if note.status.is_finding]
    if not found:
        return []
    what = "one key does" if len(found) == 1 else f"{len(found)} keys do"
    shown = [f"  {_line(note)}" for note in found[:_MOST_FINDINGS]]
    lines = [f"note: {what} not do what the config says:", *shown]
    if len(found) > len(shown):
        lines.append(f"  and {len(found) - len(shown)} more; mm2pl check {config} shows all")
    return lines


def _line(note: Note) -> str:
    meant = f"; did you mean {note.choices[0]!r}?" if note.choices else ""
    line = f"{note.key_path}: {note.status.value}: {' '.join(note.text.split())}"
    room = _LONGEST - len(meant)
    return (line if len(line) <= room else f"{line[: room - 3]}...") + meant


def _say_of_scope(scope: Any) -> None:
    """Say that nothing registers under the default scope; MMEngine goes on without it."""
    from mm2pl.mmengine.registry import Registry, root

    registries = [one for one in vars(root).values() if isinstance(one, Registry)]
    if not isinstance(scope, str):
        return
    if any(one._search_child(scope) is not None for one in registries):
        return
    if scope.isidentifier() and find_spec(scope) is not None:
        return
    near = nearest(scope, LIBRARIES)
    advice = how_to_get(scope) or (f"did you mean {near[0]!r}?" if near else "is it spelt right?")
    say(f"note: no library of default_scope={scope!r} is installed; {advice}")
