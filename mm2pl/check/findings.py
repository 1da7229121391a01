"""What is found in one config: plain data that can be printed, counted and sent to a process."""

from __future__ import annotations

import os
import traceback
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from mm2pl.check.files import PART
from mm2pl.cli.config_file import read_config
from mm2pl.errors import ConfigError, Mm2plError, UnsupportedError, nearest
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.config._positions import Positions, shown
from mm2pl.plan import Note, Status
from mm2pl.translate import examine
from mm2pl.translate.older import Older, describe

if TYPE_CHECKING:
    from mm2pl.check.build import Builder

CLEAN, FINDINGS, UNREADABLE, SKIPPED = "clean", "findings", "unreadable", "skipped"
# The statuses of what is no key's: the run would not start, or what it needs is not there.
WRONG, MISSING = "wrong", "missing"


class FreshProcessNeeded(Exception):
    """``--build`` has imported the modules of another config in this process."""


@dataclass(frozen=True)
class Finding:
    """One key and what becomes of it, or one thing that is wrong.

    Attributes:
        key_path: Where it stands in the config; empty for the whole file.
        status: A value of :class:`~mm2pl.plan.Status`, ``"wrong"`` or ``"missing"``.
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
        """The problems, and then the notes that are findings."""
        return self.problems + [one for one in self.notes if _is_finding(one)]


@dataclass(frozen=True)
class Settings:
    """What is asked of every file.

    Attributes:
        command: ``fit``, ``validate`` or ``test``: whose profile counts; None for no profile.
        options: The dotted keys and values of ``--cfg-options``.
        all_keys: Whether to keep the notes that are no findings.
        no_exec: Whether to read the files without running them.
        build: Whether to import what the config names, and to build the model.
        relax_version_gates: Whether a library's check of a version becomes a warning.
    """

    command: str | None = "fit"
    options: Mapping[str, Any] = field(default_factory=dict)
    all_keys: bool = False
    no_exec: bool = False
    build: bool = False
    relax_version_gates: bool = False


def unreadable(file: str, error: Mm2plError) -> FileReport:
    """Report a file that cannot be read."""
    return FileReport(file, UNREADABLE, error=_from_error(error, file))


def examine_file(
    file: str, settings: Settings, *, in_folder: bool = False, builder: Builder | None = None
) -> FileReport:
    """Read a config and say what was found; raises nothing that the config does.

    Args:
        file: Its path.
        settings: What to look for.
        in_folder: It was found in a folder: without a model it is a part of other configs.
        builder: Imports what the config names; None for no ``--build``.

    Raises:
        FreshProcessNeeded: ``builder`` holds another config's modules.
    """
    here = os.getcwd()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)  # Python's own remark on its code
        try:
            cfg = read_config(file, settings.options, execute=not settings.no_exec)
        except Mm2plError as error:
            return unreadable(file, error)
        except BaseException as error:
            # What a config may raise besides errors, sys.exit() say, ends no check.
            return unreadable(file, _not_read(error, file))
        finally:
            os.chdir(here)
    if in_folder and _is_part(cfg):
        return FileReport(file, SKIPPED, skipped=PART)
    report, older = _examine(file, cfg, settings)
    report.warnings += dict.fromkeys(str(one.message) for one in caught)
    if builder is not None and report.error is None:
        _build(report, cfg, builder, older)
    if report.error is None:
        report.status = FINDINGS if report.findings else CLEAN
        _locate(report, settings)
    return report


def _examine(file: str, cfg: Config, settings: Settings) -> tuple[FileReport, Older | None]:
    try:
        examination = examine(cast("Mapping[str, Any]", cfg), file, command=settings.command)
    except Exception as error:
        text = f"mm2pl fails on this config: {type(error).__name__}: {error}"
        bug = ConfigError(text, file=file, hint="please report this as a bug")
        return unreadable(file, bug), None
    notes = examination.plan.notes
    kept = [note for note in notes if settings.all_keys or note.status.is_finding]
    kept_notes, problems = _told_once(
        [_from_note(note) for note in dict.fromkeys(kept)],
        [_from_error(error, file) for error in examination.problems],
    )
    counts = dict(Counter(note.status.value for note in notes))
    older = examination.older if examination.plan.older else None
    told = [describe(older.changes)] if older else []
    report = FileReport(file, notes=kept_notes, problems=problems, counts=counts, warnings=told)
    return report, older


def _told_once(
    notes: list[Finding], problems: list[Finding]
) -> tuple[list[Finding], list[Finding]]:
    """Leave out a note that says less than a problem with the same key; its choices go there."""
    choices = {one.key_path: one.choices for one in notes if _is_finding(one)}
    told = {one.key_path for one in problems}
    return (
        [one for one in notes if one.key_path not in told or not _is_finding(one)],
        [
            one if one.choices or one.hint else replace(one, choices=choices.get(one.key_path, ()))
            for one in problems
        ],
    )


def _build(report: FileReport, cfg: Config, builder: Builder, older: Older | None) -> None:
    try:
        report.build, found = builder.look_at(older.cfg if older else cfg)
    except FreshProcessNeeded:
        raise
    except BaseException as error:  # sys.exit() of a module that is imported, too
        report.status = UNREADABLE
        report.error = Finding(
            "", WRONG, f"looking at its classes ended by {type(error).__name__}: {error}"
        )
        return
    if older:
        found = [replace(one, key_path=older.written(one.key_path)) for one in found]
    known = {one.key_path for one in report.findings}
    report.problems += [one for one in found if one.key_path not in known]


def _locate(report: FileReport, settings: Settings) -> None:
    """Say of each finding which file sets its key, and in which line."""
    positions = Positions(report.file, settings.options)

    def located(one: Finding) -> Finding:
        at = positions.find(one.key_path) if one.key_path and not one.line else None
        return one if at is None else replace(one, file=shown(at.file), line=at.line)

    report.notes = [located(one) for one in report.notes]
    report.problems = [located(one) for one in report.problems]


def _is_part(cfg: Config) -> bool:
    """Whether a config has no model, nor a key that could be a misspelt one."""
    return cfg.get("model") is None and not nearest("model", map(str, cfg._cfg_dict), 1)


def _from_note(note: Note) -> Finding:
    return Finding(note.key_path, note.status.value, note.text, note.choices)


def _is_finding(one: Finding) -> bool:
    return one.status in (WRONG, MISSING) or Status(one.status).is_finding


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


def _not_read(error: BaseException, file: str) -> ConfigError:
    """Return what to say of what no config should raise."""
    ours = os.path.abspath(file)
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if os.path.abspath(frame.filename) == ours
    ]
    where = f"{file}:{lines[-1]}" if lines else file
    if isinstance(error, SystemExit):
        return ConfigError(f"the config ends the program by sys.exit({error})", file=where)
    what = ": ".join(filter(None, (type(error).__name__, str(error))))
    return ConfigError(f"it cannot be read: {what}", file=where)
