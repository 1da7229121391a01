"""What is found in one config: plain data that can be printed, counted and sent to a process."""

from __future__ import annotations

import os
import traceback
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from mm2pl.check.files import PART
from mm2pl.cli.config_file import read_config
from mm2pl.errors import ConfigError, Mm2plError, UnsupportedError, nearest
from mm2pl.mmengine.config import Config
from mm2pl.plan import Note, Status
from mm2pl.translate import examine

CLEAN, FINDINGS, UNREADABLE, SKIPPED = "clean", "findings", "unreadable", "skipped"
WRONG = "wrong"  # the status of a problem: the run would not start


@dataclass(frozen=True)
class Finding:
    """One key and what becomes of it, or one thing that is wrong.

    Attributes:
        key_path: Where it stands in the config; empty for the whole file.
        status: A value of :class:`~mm2pl.plan.Status`, or ``"wrong"``.
        text: What it becomes, or what is wrong.
        choices: What was probably meant, best first.
        hint: What to do.
        file: The file that sets it, the config itself or one of its bases.
        line: The line in that file.
    """

    key_path: str
    status: str
    text: str
    choices: tuple[str, ...] = ()
    hint: str | None = None
    file: str | None = None
    line: int | None = None

    @property
    def where(self) -> str:
        """``file:line``, as far as it is known."""
        return f"{self.file}:{self.line}" if self.file and self.line else self.file or ""


@dataclass
class FileReport:
    """What was found in one file.

    Attributes:
        file: The file, as it was named.
        status: ``clean``, ``findings``, ``unreadable`` or ``skipped``.
        notes: The findings; with ``all_keys`` a note for every key that is read.
        problems: What would stop the run before it starts.
        counts: The number of keys of each status.
        warnings: What the config itself warns of, such as that it is deprecated.
        error: Why the file cannot be read.
        skipped: Why the file is not checked by itself.
        build: What ``--build`` found out, as JSON has it.
    """

    file: str
    status: str = CLEAN
    notes: list[Finding] = field(default_factory=list)
    problems: list[Finding] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    error: Finding | None = None
    skipped: str | None = None
    build: dict[str, Any] | None = None

    @property
    def findings(self) -> list[Finding]:
        """The problems, and then the notes that are findings and say more than a problem does."""
        told = {(one.key_path, one.status) for one in self.problems}
        return self.problems + [
            one for one in self.notes if _is_finding(one) and (one.key_path, one.status) not in told
        ]


@dataclass(frozen=True)
class Settings:
    """What is asked of every file.

    Attributes:
        command: ``fit``, ``validate`` or ``test``: whose profile counts; None for no profile.
        options: The dotted keys and values of ``--cfg-options``.
        all_keys: Whether to keep the notes that are no findings.
    """

    command: str | None = "fit"
    options: Mapping[str, Any] = field(default_factory=dict)
    all_keys: bool = False


def unreadable(file: str, error: Mm2plError) -> FileReport:
    """Report a file that cannot be read."""
    return FileReport(file, UNREADABLE, error=_from_error(error, file))


def examine_file(file: str, settings: Settings, *, in_folder: bool = False) -> FileReport:
    """Read a config and say what was found; never raises for what the config does.

    Args:
        file: Its path.
        settings: What to look for.
        in_folder: It was found in a folder: without a model it is a part of other configs.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            cfg = read_config(file, settings.options)
        except Mm2plError as error:
            return unreadable(file, error)
        except BaseException as error:
            # What a config may raise besides errors, sys.exit() say, ends no check.
            return unreadable(file, _ended_by(error, file))
    said = [str(one.message) for one in caught]
    report = _examine(file, cfg, settings)
    report.warnings = list(dict.fromkeys(said))
    if in_folder and _is_part(cfg):
        return FileReport(file, SKIPPED, skipped=PART)
    return report


def _examine(file: str, cfg: Config, settings: Settings) -> FileReport:
    try:
        examination = examine(cast("Mapping[str, Any]", cfg), file, command=settings.command)
    except Exception as error:
        text = f"mm2pl fails on this config: {type(error).__name__}: {error}"
        return unreadable(file, ConfigError(text, file=file, hint="please report this as a bug"))
    notes = examination.plan.notes
    kept = [note for note in notes if settings.all_keys or note.status.is_finding]
    report = FileReport(
        file,
        notes=[_from_note(note) for note in _without_doubles(kept)],
        problems=[_from_error(error, file) for error in examination.problems],
        counts=dict(Counter(note.status.value for note in notes)),
    )
    report.status = FINDINGS if report.findings else CLEAN
    return report


def _is_part(cfg: Config) -> bool:
    """Whether a config has no model, nor a key that could be a misspelt one."""
    return cfg.get("model") is None and not nearest("model", map(str, cfg._cfg_dict), 1)


def _without_doubles(notes: Sequence[Note]) -> list[Note]:
    return list(dict.fromkeys(notes))


def _from_note(note: Note) -> Finding:
    return Finding(note.key_path, note.status.value, note.text, note.choices)


def _is_finding(one: Finding) -> bool:
    return one.status == WRONG or Status(one.status).is_finding


def _from_error(error: Mm2plError, file: str) -> Finding:
    """Return an error as a finding; its file may carry a line."""
    status = Status.UNSUPPORTED.value if isinstance(error, UnsupportedError) else WRONG
    path, line = _split(error.file)
    return Finding(
        error.key_path or "",
        status,
        error.message,
        error.choices,
        error.hint,
        shown(path or file),
        line,
    )


def _split(where: str | None) -> tuple[str | None, int | None]:
    path, _, line = (where or "").rpartition(":")
    return (path, int(line)) if path and line.isdecimal() else (where, None)


def shown(path: str) -> str:
    """Return a path as it is shown: from the working directory if it lies below it."""
    if not os.path.isabs(path):
        return path
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative


def _ended_by(error: BaseException, file: str) -> ConfigError:
    ours = os.path.abspath(file)
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if os.path.abspath(frame.filename) == ours
    ]
    call = f"{type(error).__name__}({error})"
    what = f"sys.exit({error})" if isinstance(error, SystemExit) else call
    where = f"{file}:{lines[-1]}" if lines else file
    return ConfigError(f"the config ends the program by {what}", file=where)
