"""A config while today's forms are put in the place of older ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mm2pl.plan import ABSENT, Change, Note, Status
from mm2pl.translate.report import Report, brief
from mm2pl.translate.trainer_draft import Draft


class Edit(Draft):
    """A config while today's forms are put in the place of older ones.

    Args:
        cfg: The config, which is not changed.
        report: Gets the problems.

    Attributes:
        notes: What became of each older key.
        became: The same, for the one line about the config: older key path, and today's.
        written: Key path of today's form -> where the config has it.
    """

    def __init__(self, cfg: Any, report: Report) -> None:
        super().__init__(cfg, report)
        self.report = report
        self.notes: list[Note] = []
        self.became: list[Change] = []
        self.written: dict[str, str] = {}

    def note(self, path: str, status: Status, text: str, choices: Sequence[str] = ()) -> None:
        self.notes.append(Note(path, status, text, tuple(choices)))

    def tell(self, old: str, new: str, value: Any = ABSENT, *, moved: bool = True) -> None:
        """Keep for the line about the config that an older key became one of today's.

        Args:
            old: The older key.
            new: Today's.
            value: Its value.
            moved: Whether the new one stands where the older one stood, and not there before.
        """
        self.became.append(Change(old, new, value, ABSENT))
        if moved and old != new:
            self.written[new] = old

    def becomes(self, old: str, new: str, value: Any) -> None:
        """Set a value of today's form, and say of the older key that it became that."""
        self.set(new, value)
        self.tell(old, new, value)
        self.note(old, Status.TRANSLATED, f"an older form of {new}={brief(value)}")

    def move(self, old: str, new: str, value: Any) -> None:
        """Put a value at its place of today, and leave out the older key."""
        self.becomes(old, new, value)
        self.set(old, ABSENT)

    def leave_out(self, old: str) -> bool:
        """Leave out an older key, if it is there."""
        there = self.get(old) is not ABSENT
        if there:
            self.set(old, ABSENT)
        return there
