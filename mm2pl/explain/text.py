"""The page for people: titles, and under each aligned lines."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from mm2pl.cli.output import print_last

Rows = list[tuple[str, ...]]


def render(page: Mapping[str, Any]) -> list[tuple[str, Rows]]:
    """Return the sections of a page: title and rows of cells."""
    sections = [
        (f"{page['config'] or 'config'}, {page['command'] or 'fit'}", _rows(_top(page))),
        ("data", _rows(_data(page["data"]))),
        ("model", _rows(_model(page["model"]))),
        ("optimizer", _rows(_optimizer(page["optimizer"]))),
        ("loop", _rows(_loop(page["loop"]))),
        ("schedules", _schedules(page["schedules"]) if page["optimizer"] else []),
        ("hooks, in the order in which they run", _hooks(page["hooks"])),
        ("points, and what runs there", _points(page)),
        ("in Lightning", _rows(_lightning(page["lightning"]))),
        ("findings", _findings(page["findings"])),
    ]
    return [(title, rows) for title, rows in sections if rows]


def print_sections(sections: Sequence[tuple[str, Rows]]) -> None:
    """Print sections: wrapped and with bold titles on a terminal, else aligned and uncut."""
    if sys.stdout.isatty():
        _print_wrapped(sections)
        return
    blocks = [
        "\n".join([title, *(f"  {line}" for line in columns(rows))]) for title, rows in sections
    ]
    print_last("\n\n".join(blocks))


def _print_wrapped(sections: Sequence[tuple[str, Rows]]) -> None:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for number, (title, rows) in enumerate(sections):
        grid = Table.grid(padding=(0, 2, 0, 0))
        for row in rows:
            # A path is not to be broken: the text beside it is.
            grid.add_row(*(Text(cell, no_wrap=True) for cell in row[:-1]), Text(row[-1]))
        console.print(Text(f"{chr(10) * bool(number)}{title}", style="bold"), soft_wrap=True)
        console.print(Padding(grid, (0, 0, 0, 2)))


def columns(rows: Rows) -> list[str]:
    """Return the rows as lines with aligned cells."""
    width = max(map(len, rows), default=0)
    filled = [(*row, *[""] * (width - len(row))) for row in rows]
    widths = [max(map(len, column)) for column in zip(*filled, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in filled]


def _rows(values: Mapping[str, Any]) -> Rows:
    """Return a row for each value, and for each further value of a list."""
    return [
        ("" if number else name, str(one))
        for name, value in values.items()
        if value not in (None, [], {})
        for number, one in enumerate(value if isinstance(value, list) else [value])
    ]


def _top(page: Mapping[str, Any]) -> dict[str, Any]:
    profile = page["profile"]
    added = ["the library's scripts add nothing to this config"]
    if profile and profile["added"]:
        added = [f"{profile['source']} add:"]
        added += [f"{path} = {text}" for path, text in profile["added"].items()]
    return {
        "scope": page["scope"],
        "work dir": page["work_dir"],
        "starts from": page["starts_from"],
        "profile": added if profile else None,
    }


def _data(data: Mapping[str, Any]) -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for stage, row in data.items():
        if "built" in row:
            rows[stage] = f"a built {row['built']}"
            continue
        rest = {key: row[key] for key in row if key not in ("dataset", "pipeline", "metrics")}
        text = [f"{row['dataset']}; {', '.join(f'{key} {value}' for key, value in rest.items())}"]
        if row.get("pipeline"):
            text.append(f"pipeline: {', '.join(row['pipeline'])}")
        if row.get("metrics"):
            text.append(f"metrics: {', '.join(row['metrics'])}")
        rows[stage] = text
    return rows


def _model(model: Mapping[str, Any]) -> dict[str, Any]:
    parts = {
        key: ", ".join(value) if isinstance(value, list) else value
        for key, value in model.get("parts", {}).items()
    }
    return {
        "type": model["type"],
        **{f"  {name}": part for name, part in parts.items()},
        "data_preprocessor": model.get("data_preprocessor"),
    }


def _optimizer(row: Mapping[str, Any]) -> dict[str, Any]:
    rows: dict[str, Any] = {key: value for key, value in row.items() if key != "optimizers"}
    for name, one in row.get("optimizers", {}).items():
        rows[name] = [f"{key}: {value}" for key, value in one.items()]
    return rows


def _loop(row: Mapping[str, Any]) -> dict[str, Any]:
    trained = {}
    if "length" in row:
        length = "?" if row["length"] is None else row["length"]
        trained = {
            "trains": f"{length} {row['unit']}{'s' * (length != 1)} ({row['type']})",
            "validates": row["validates"],
        }
    fp16 = [stage for stage in ("val", "test") if row.get(f"{stage}_fp16")]
    losses = [stage for stage in ("val", "test") if row.get(f"{stage}_loss")]
    return {
        **trained,
        "half precision": f"in {' and '.join(fp16)}" if fp16 else None,
        "losses": f"beside the metrics in {' and '.join(losses)}" if losses else None,
    }


def _schedules(rows: list[dict[str, Any]]) -> Rows:
    if not rows:
        return [("none: the rates stay as they are",)]
    return [(row["key_path"], f"{row['type']}: {row['words']}") for row in rows]


def _hooks(rows: list[dict[str, Any]]) -> Rows:
    shown: Rows = []
    for row in rows:
        remark = "" if row["points"] is not None else "its class decides where it runs"
        shown.append((row["shown_priority"], row["hook"], row["key_path"], remark))
    return shown


def _points(page: Mapping[str, Any]) -> Rows:
    rows: Rows = [(point, ", ".join(names)) for point, names in page["points"].items()]
    open_ended = [row["hook"] for row in page["hooks"] if row["points"] is None]
    if open_ended:
        rows.append(("(somewhere)", ", ".join(open_ended)))
    return rows


def _lightning(rows: Mapping[str, Any]) -> dict[str, Any]:
    arguments = ", ".join(f"{key}={value!r}" for key, value in rows["trainer"].items())
    return {**rows, "trainer": f"Trainer({arguments})"}


def _findings(rows: list[dict[str, Any]]) -> Rows:
    if not rows:
        return [("none",)]
    shown: Rows = []
    for row in rows:
        meant = f". Did you mean: {', '.join(row['choices'])}?" if row["choices"] else ""
        where = ":".join(str(row[key]) for key in ("file", "line") if row[key])
        shown.append((row["key_path"], where, row["status"], row["text"] + meant))
    return shown
