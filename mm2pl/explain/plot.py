"""Curves as a picture, or as numbers."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mm2pl.errors import ConfigError, MissingPackageError
from mm2pl.explain.curves import Curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def save(curves: Curves, file: str, title: str) -> None:
    """Write the curves to a file; its suffix, one of :data:`WRITERS`, says how.

    Args:
        curves: The curves.
        file: The file.
        title: What to call them.

    Raises:
        ConfigError: The file cannot be written.
        MissingPackageError: A picture needs matplotlib, and it is not installed.
    """
    try:
        WRITERS[Path(file).suffix](curves, file, title)
    except OSError as error:
        raise ConfigError(
            f"--plot: {file} cannot be written: {error.strerror or error}", hint="check the path"
        ) from error


def _table(curves: Curves, file: str, title: str) -> None:
    with open(file, "w", newline="", encoding="utf-8") as opened:
        writer = csv.writer(opened, lineterminator="\n")
        writer.writerow([curves.unit, *curves.values])
        columns = [range(curves.steps), *curves.values.values()]
        writer.writerows(zip(*columns, strict=True))


def _picture(curves: Curves, file: str, title: str) -> None:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingPackageError(
            f"drawing needs matplotlib, which cannot be imported: {error}",
            hint="pip install 'mm2pl[drawing]', or write the values: --plot FILE.csv",
        ) from error
    panels: dict[str, list[str]] = {}
    for name in curves.values:
        panels.setdefault(name.rpartition(".")[2], []).append(name)
    # A figure of its own, without pyplot: no backend of the user's, no global state.
    figure = Figure(figsize=(8, 1 + 2.5 * len(panels)), layout="constrained")
    _draw(figure, curves, panels)
    figure.suptitle(title)
    figure.savefig(file, dpi=120)


def _draw(figure: Figure, curves: Curves, panels: dict[str, list[str]]) -> None:
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axis, (option, names) in zip(axes, panels.items(), strict=True):
        for name in names:
            values = curves.values[name]
            # A value holds for its whole step.
            ends = [*values, *values[-1:]]
            axis.step(range(len(ends)), ends, where="post", label=name)
        if len(names) > 1:
            axis.legend()
        axis.set_ylabel(option if len(names) > 1 else names[0])
        axis.grid(alpha=0.3)
        axis.margins(x=0.01)
    axes[-1].set_xlabel(curves.unit)
    length = curves.epoch_length
    if curves.unit == "iteration" and length:
        both = (lambda one: one / length, lambda one: one * length)
        axes[0].secondary_xaxis("top", functions=both).set_xlabel("epoch")


WRITERS: dict[str, Callable[[Curves, str, str], None]] = {
    ".png": _picture,
    ".svg": _picture,
    ".pdf": _picture,
    ".csv": _table,
}
