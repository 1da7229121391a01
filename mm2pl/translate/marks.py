"""``_delete_`` where it deletes nothing, or misspelt: then it is an argument of a class."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mm2pl.plan import Status
from mm2pl.translate.report import Report, raw_items
from mm2pl.translate.spelling import distance

DELETE = "_delete_"
_LEFT_OVER = "it replaces what a base sets here, and none does: the class gets it as an argument"


def read_marks(cfg: Mapping[str, Any], sections: Iterable[str], report: Report) -> None:
    """Note what is left of the marks after the config was merged with its bases.

    Args:
        cfg: The merged config.
        sections: The keys of the top level that a run reads.
        report: Where the notes go.
    """
    read = set(sections)
    for key, value in raw_items(cfg):
        if key in read:
            _look_into(value, str(key), report)


def _look_into(value: Any, path: str, report: Report) -> None:
    if isinstance(value, (list, tuple)):
        for index, one in enumerate(value):
            _look_into(one, f"{path}[{index}]", report)
    elif isinstance(value, Mapping):
        for key, one in raw_items(value):
            if _is_mark(key):
                _tell(key, f"{path}.{key}", report)
            _look_into(one, f"{path}.{key}", report)


def _is_mark(key: Any) -> bool:
    marked = isinstance(key, str) and (key[:1] == "_" or key[-1:] == "_")
    return marked and distance(key.strip("_").lower(), "delete", 1) <= 1


def _tell(key: str, where: str, report: Report) -> None:
    text, choices = (_LEFT_OVER, ()) if key == DELETE else ("nothing reads this key", (DELETE,))
    told = [one for one in report.notes if one.key_path == where and one.status.is_finding]
    for one in told:
        if key != DELETE:  # what is said of it is right, but for what was meant
            report.notes[report.notes.index(one)] = replace(one, choices=choices)
    if not told or (key == DELETE and told[0].status is Status.UNKNOWN):
        report.instead(where, Status.UNKNOWN, text)
        report.notes[-1] = replace(report.notes[-1], choices=choices)
