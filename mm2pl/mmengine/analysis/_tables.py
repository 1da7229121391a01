"""Tables as text, of rich's."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table


def plain_table(*headers: str, title: str | None = None) -> Table:
    """Return a table that is drawn in ASCII."""
    table = Table(title=title, box=box.ASCII2)
    for header in headers:
        table.add_column(header)
    return table


def as_text(table: Table) -> str:
    """Return a table as it is printed on this terminal."""
    console = Console()
    with console.capture() as capture:
        console.print(table, end="")
    return capture.get()
