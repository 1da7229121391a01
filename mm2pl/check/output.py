"""What ``mm2pl check`` prints: a page for one config, a list for many, one document of JSON."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from mm2pl import __version__
from mm2pl.check.files import Skipped
from mm2pl.check.findings import (
    CLEAN,
    FINDINGS,
    MISSING,
    SKIPPED,
    UNREADABLE,
    WRONG,
    FileReport,
    Finding,
    Settings,
)
from mm2pl.cli.output import print_last
from mm2pl.plan import Status

if TYPE_CHECKING:
    from rich.text import Text

SCHEMA = 1
_STYLES = {
    WRONG: "bold red",
    MISSING: "bold red",
    UNREADABLE: "bold red",
    Status.UNSUPPORTED.value: "red",
    Status.UNKNOWN.value: "red",
    Status.NO_EFFECT.value: "yellow",
    Status.APPROXIMATED.value: "yellow",
    Status.ADDED.value: "cyan",
}
_NARROWEST = 40  # columns of a terminal that a text needs beside the other cells
_ORDER = [WRONG, MISSING, *(status.value for status in Status)]


@dataclass
class Result:
    """All that was found.

    Attributes:
        settings: What was looked for.
        reports: A report for each file that was read, or should have been.
        skipped: The files that are not checked by themselves.
    """

    settings: Settings
    reports: list[FileReport]
    skipped: list[Skipped]

    def __post_init__(self) -> None:
        parts = [one for one in self.reports if one.status == SKIPPED]
        self.skipped = [*self.skipped, *(Skipped(one.file, one.skipped or "") for one in parts)]
        self.reports = [one for one in self.reports if one.status != SKIPPED]

    @property
    def exit_status(self) -> int:
        statuses = {one.status for one in self.reports}
        return 2 if UNREADABLE in statuses else 1 if FINDINGS in statuses else 0

    def count(self, status: str) -> int:
        return sum(one.status == status for one in self.reports)

    @property
    def statuses(self) -> dict[str, int]:
        """The number of keys of each status, and of problems, over all files."""
        total: Counter[str] = Counter()
        for one in self.reports:
            total.update(one.counts)
            total.update(p.status for p in one.problems if p.status in (WRONG, MISSING))
        return {status: total[status] for status in _ORDER if total[status]}


# --------------------------------------------------------------------------- JSON


def as_json(result: Result) -> str:
    """Return the document that docs/check.md describes."""
    reports = result.reports
    document = {
        "mm2pl": __version__,
        "schema": SCHEMA,
        "command": result.settings.command,
        "files": [_file(one) for one in reports],
        "skipped": [asdict(one) for one in result.skipped],
        "summary": {
            "files": len(reports),
            CLEAN: result.count(CLEAN),
            FINDINGS: result.count(FINDINGS),
            UNREADABLE: result.count(UNREADABLE),
            SKIPPED: len(result.skipped),
            "problems": sum(len(one.problems) for one in reports),
            "keys": {key: n for key, n in result.statuses.items() if key not in (WRONG, MISSING)},
            "exit_status": result.exit_status,
        },
    }
    return json.dumps(document, indent=2)


def _file(report: FileReport) -> dict[str, Any]:
    fields = asdict(report)
    del fields["skipped"]
    return fields


# --------------------------------------------------------------------------- for people


@dataclass(frozen=True)
class Table:
    """Rows of cells; the last cell may have several sentences, a line each. One is a status."""

    rows: Sequence[tuple[str, ...]]
    status_column: int


Block = str | Table


def print_text(result: Result) -> None:
    """Print a page for one config, a list for many; coloured on a terminal."""
    blocks = _blocks(result)
    if sys.stdout.isatty():
        _print_coloured(blocks)
    else:
        print_last("\n\n".join(map(_plain, blocks)))


def _blocks(result: Result) -> list[Block]:
    pages = result.settings.all_keys or (len(result.reports) == 1 and not result.skipped)
    found: list[Block] = []
    if pages:
        for report in result.reports:
            found += _page(report, all_keys=result.settings.all_keys)
    else:
        found += _list(result.reports)
    return [*found, _summary(result)]


def _page(report: FileReport, *, all_keys: bool) -> list[Block]:
    """Return what is said of one file."""
    if report.error is not None:
        return [f"{report.file}: unreadable", _with_hints(report.error)]
    notes = report.problems + report.notes if all_keys else report.findings
    blocks: list[Block] = [f"{report.file}: {_how_many(report)}"]
    if notes:
        blocks.append(_table((one, "") for one in notes))
    lines = [f"warning: {one}" for one in report.warnings] + _of_build(report)
    return [*blocks, "\n".join(lines)] if lines else blocks


def _list(reports: Sequence[FileReport]) -> list[Block]:
    """Return a line for each file with findings, and then each finding once."""
    told = [one for one in reports if one.status != CLEAN]
    blocks: list[Block] = []
    if told:
        rows = [(one.file, one.status, _kinds(one)) for one in told]
        blocks.append(Table(rows, status_column=1))
    for one in told:
        if one.error is not None:
            blocks.append(_with_hints(one.error, one.file))
    files: Counter[Finding] = Counter(found for one in told for found in one.findings)
    if files:
        in_order = sorted(files, key=lambda one: (one.file or "", one.line or 0, one.key_path))
        blocks.append(
            _table((one, f"in {files[one]} files" * (files[one] > 1)) for one in in_order)
        )
    remarks = Counter(text for one in reports for text in one.warnings)
    lines = [f"warning: {text}{f' ({n} files)' * (n > 1)}" for text, n in remarks.items()]
    lines += [f"{one.file}: {'; '.join(_of_build(one))}" for one in reports if one.build]
    return [*blocks, "\n".join(lines)] if lines else blocks


def _how_many(report: FileReport) -> str:
    number = len(report.findings)
    return "nothing found" if not number else f"{number} finding{'s' * (number > 1)}"


def _kinds(report: FileReport) -> str:
    """Return ``2 unknown, 1 no effect``."""
    if report.error is not None:
        return ""
    return _listed(Counter(one.status for one in report.findings))


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{counts[status]} {status}" for status in _ORDER if counts.get(status))


def _table(findings: Iterable[tuple[Finding, str]]) -> Table:
    rows = [(one.key_path, one.where, one.status, _text(one, more)) for one, more in findings]
    return Table(rows, status_column=2)


def _text(one: Finding, more: str = "") -> str:
    text = f"{one.text} ({more})" if more else one.text
    if one.choices or one.hint:
        text += "." * (text[-1:] not in ".?!")
    if one.choices:
        text += f"\nDid you mean: {', '.join(one.choices)}?"
    return text + (f"\nHint: {one.hint}" if one.hint else "")


def _with_hints(error: Finding, file: str | None = None) -> str:
    """Return why a file cannot be read, as errors are printed everywhere."""
    where = error.where or file or ""
    place = f"{where}, {error.key_path}" if error.key_path else where
    return f"{place}: {_text(error)}"


def _of_build(report: FileReport) -> list[str]:
    """Return what --build has to say besides its findings."""
    build = report.build
    if build is None:
        return []
    lines = [f"classes: {build['types']} looked up, {build['missing']} not found"]
    model = build["model"]
    if model is not None and model["not_built_because"] is None:
        lines.append(f"model: {model['name']}, {model['parameters']:,} parameters")
    elif model is not None:
        lines.append(f"model: not built because {model['not_built_because']}")
    return lines


def _summary(result: Result) -> str:
    number = len(result.reports)
    kinds = [
        f"{result.count(CLEAN)} clean",
        f"{result.count(FINDINGS)} with findings",
        f"{result.count(UNREADABLE)} unreadable",
    ]
    lines = [f"{number} file{'s' * (number != 1)}: {', '.join(kinds)}"]
    if result.skipped:
        reasons = Counter(one.reason for one in result.skipped)
        left_out = ", ".join(f"{n} {reason}" for reason, n in reasons.items())
        lines.append(f"not checked by themselves: {left_out}")
    if result.statuses:
        lines.append(f"keys: {_listed(result.statuses)}")
    return "\n".join(lines)


# --------------------------------------------------------------------------- plain and coloured


def _plain(block: Block) -> str:
    """Return a block for a pipe or a log: aligned, and nothing is cut off."""
    if isinstance(block, str):
        return block
    rows = [[" ".join(map(str.strip, cell.split("\n"))) for cell in row] for row in block.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (map(str.ljust, row, widths) for row in rows)
    return "\n".join("  ".join(row).rstrip() for row in padded)


def _print_coloured(blocks: Sequence[Block]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table as Grid
    from rich.text import Text

    console = Console()
    for number, block in enumerate(blocks):
        if number:
            console.print()
        if isinstance(block, str):
            console.print(Text(block), soft_wrap=True)
            continue
        rows = [_styled(row, block.status_column) for row in block.rows]
        columns = list(zip(*block.rows, strict=True))[:-1]
        if console.width - sum(max(map(len, one)) + 2 for one in columns) >= _NARROWEST:
            grid = Grid.grid(padding=(0, 2, 0, 0))
            for row in rows:
                grid.add_row(*row)
            console.print(grid)
            continue
        for *cells, last in rows:  # a path is not to be broken: the text goes below it
            console.print(Text("  ").join(filter(None, cells)), soft_wrap=True)
            if last:
                console.print(Padding(last, (0, 0, 0, 4)))


def _styled(row: Sequence[str], status_column: int) -> list[Text]:
    from rich.text import Text

    cells = [Text(cell) for cell in row]
    cells[status_column].stylize(_STYLES.get(row[status_column], ""))
    return cells
