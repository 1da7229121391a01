"""Rules as rows, and the report that reading a config by them gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mm2pl.errors import ConfigError, ConfigErrors, Mm2plError, UnsupportedError, nearest
from mm2pl.mmengine.config.lazy import LazyAttr, LazyObject
from mm2pl.plan import Note, Status

Check = Callable[[Any], str | None]


@dataclass(frozen=True)
class Rule:
    """What becomes of one key, and what is wrong with a value.

    Attributes:
        key: The key within its section.
        status: What becomes of it.
        text: What it becomes, or why not.
        check: Returns what is wrong with a value, or None.
        own: Whether it is mm2pl's own, and not one of MMEngine's or Lightning's.
    """

    key: str
    status: Status
    text: str
    check: Check | None = None
    own: bool = False


@dataclass
class Report:
    """Notes and problems, gathered over the whole config so that all are told at once.

    Attributes:
        file: Where the config was read from.
        scope: The registry scope in force: ``default_scope``.
        notes: What became of each key.
        problems: What is wrong.
        deferred: Those of the problems that MMEngine raises only when a run comes to build that
            part, as it does not for the optimizer of a config that is tested.
    """

    file: str | None = None
    scope: str | None = None
    notes: list[Note] = field(default_factory=list)
    problems: list[Mm2plError] = field(default_factory=list)
    deferred: list[Mm2plError] = field(default_factory=list)

    def note(self, key_path: str, status: Status, text: str, choices: Sequence[str] = ()) -> None:
        self.notes.append(Note(key_path, status, text, tuple(choices)))

    def instead(self, key_path: str, status: Status, text: str) -> None:
        """Note what became of a key in the place of what was noted of it before."""
        self.notes = [one for one in self.notes if one.key_path != key_path]
        self.note(key_path, status, text)

    def problem(
        self, message: str, key_path: str, hint: str | None = None, choices: Sequence[str] = ()
    ) -> None:
        self.problems.append(
            ConfigError(message, key_path=key_path, file=self.file, hint=hint, choices=choices)
        )

    def later(
        self, message: str, key_path: str, hint: str | None = None, choices: Sequence[str] = ()
    ) -> None:
        """Tell of a problem that is raised only when that part is built, by what builds it."""
        self.problem(message, key_path, hint, choices)
        self.deferred.append(self.problems[-1])

    def unsupported(self, what: str, key_path: str, reason: str, hint: str | None = None) -> None:
        self.note(key_path, Status.UNSUPPORTED, reason)
        self.problems.append(
            UnsupportedError(
                f"{what} is not supported: {reason}", key_path=key_path, file=self.file, hint=hint
            )
        )

    def read(self, section: Any, rules: Sequence[Rule], path: str, open_ended: str = "") -> None:
        """Read a section by its rules.

        Args:
            section: A mapping; anything else is a built object and is left alone.
            rules: The keys that are known.
            path: Key path of the section.
            open_ended: Where other keys go (the class that takes them); empty if none may stand.
        """
        if not isinstance(section, Mapping):
            return
        known = {rule.key: rule for rule in rules}
        for key, value in raw_items(section):
            where = f"{path}.{key}" if path else str(key)
            rule = known.get(key)
            if rule is None:
                self._unlisted(str(key), where, known, open_ended)
                continue
            self.apply(rule, where, value)

    def apply(self, rule: Rule, where: str, value: Any) -> None:
        """Note what becomes of the value at a key path by its rule."""
        self.note(where, rule.status, rule.text)
        wrong = rule.check(value) if rule.check else None
        if wrong:
            self.problem(f"{wrong}, got {brief(value)}", where)
        if rule.status is Status.UNSUPPORTED and value:
            self.unsupported(rule.key, where, rule.text)

    def _unlisted(self, key: str, where: str, known: Mapping[str, Rule], open_ended: str) -> None:
        if open_ended:
            self.note(where, Status.BY_CLASS, open_ended, nearest(key, known))
        else:
            self.note(where, Status.UNKNOWN, "nothing reads this key", nearest(key, known))


def brief(value: Any) -> str:
    """Return a value as a message shows it: not a page of it."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({type(value).__name__})"


def raise_problems(problems: Sequence[Mm2plError]) -> None:
    """Raise the only problem as it is, several as one list."""
    if len(problems) == 1:
        raise problems[0]
    if problems:
        raise ConfigErrors(problems)


def raw_items(section: Mapping[Any, Any]) -> list[tuple[Any, Any]]:
    """Return the items of a section without building a new-style config's lazy objects."""
    if isinstance(section, dict):
        return list(dict.items(section))
    return list(section.items())


def type_name(kind: Any) -> str:
    """Return the bare name of a ``type``: a string, with or without scope, a class, a lazy one."""
    if isinstance(kind, str):
        return kind.rsplit(".", 1)[-1]
    if isinstance(kind, (LazyObject, LazyAttr)):  # which has any attribute
        return str(kind)
    name = getattr(kind, "__name__", None) or getattr(kind, "name", None)
    return str(name if name is not None else kind).rsplit(".", 1)[-1]


def whole_number(minimum: int) -> Check:
    """Return a check for whole numbers from ``minimum`` on."""

    def check(value: Any) -> str | None:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        if fits and float(value).is_integer() and value >= minimum:
            return None
        return f"must be a whole number of at least {minimum}"

    return check


def one_of(*kinds: type) -> Check:
    """Return a check for values of the given types."""
    names = " or ".join(kind.__name__ for kind in kinds)

    def check(value: Any) -> str | None:
        return None if value is None or isinstance(value, kinds) else f"must be {names}"

    return check
