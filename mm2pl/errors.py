"""The errors that users of mm2pl see.

Each says where the trouble is (key path and file), what was found, what would be right, and then a
hint. The command line prints ``str(error)`` alone; a traceback is shown only on request.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence


def nearest(word: str, choices: Iterable[str], count: int = 3) -> list[str]:
    """Return the choices that look most like ``word``, best first."""
    by_folded: dict[str, list[str]] = {}
    for choice in dict.fromkeys(choices):
        by_folded.setdefault(choice.lower(), []).append(choice)
    close = difflib.get_close_matches(word.lower(), by_folded, n=count, cutoff=0.6)
    return [choice for folded in close for choice in by_folded[folded]][:count]


def with_causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what led to it, latest first; ``raise error from error`` is no end."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


class Mm2plError(Exception):
    """Base of all errors that mm2pl raises on purpose.

    Args:
        message: What is wrong, in one sentence.
        key_path: Where in the config, e.g. ``train_dataloader.sampler.type``.
        file: The config or checkpoint file, optionally with ``:line``.
        choices: Right values, nearest first.
        hint: What to do about it.
    """

    exit_status = 1

    def __init__(
        self,
        message: str,
        *,
        key_path: str | None = None,
        file: str | None = None,
        choices: Sequence[str] = (),
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.key_path = key_path
        self.file = file
        self.choices = tuple(choices)
        self.hint = hint

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.file, self.key_path) if part)
        text = f"{where}: {self.message}" if where else self.message
        if self.choices:
            text += f"\nDid you mean: {', '.join(self.choices)}?"
        if self.hint:
            text += f"\nHint: {self.hint}"
        return text

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (data workers, spawn), where only positional args survive.
        return (_rebuild, (type(self), self.args, self.__dict__))


def _rebuild(kind: type[Mm2plError], args: tuple[str, ...], state: dict[str, object]) -> Mm2plError:
    # Of the builtin errors these alone have a __new__ of their own, which Python insists on.
    new = OSError.__new__ if issubclass(kind, OSError) else kind.__new__
    error = new(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigError(Mm2plError, ValueError):
    """A config file or a value in it is wrong."""

    exit_status = 2


class ConfigFileNotFoundError(ConfigError, FileNotFoundError):
    """A config file or one of its bases does not exist."""


class ConfigTypeError(ConfigError, TypeError):
    """A config value has the wrong type."""


class ConfigSyntaxError(ConfigError, SyntaxError):
    """A config file cannot be parsed."""


class ConfigKeyError(ConfigError, KeyError):
    """A key or a registered name is missing (a ``KeyError`` too, as in MMEngine)."""


class ConfigAssertionError(ConfigError, AssertionError):
    """A value in a config is wrong, where MMEngine has an ``assert`` that user code may catch."""


class ConfigTypeAssertionError(ConfigTypeError, AssertionError):
    """A wrong type; MMEngine raises ``TypeError`` for some arguments and asserts others."""


class ConfigRuntimeError(ConfigError, RuntimeError):
    """The config lacks what a call needs (a ``RuntimeError`` too, as in MMEngine)."""


class ConfigErrors(ConfigError):
    """Several problems of one config.

    Args:
        problems: The problems.
    """

    def __init__(self, problems: Sequence[Mm2plError]) -> None:
        lines = [f"  {number}. {problem}" for number, problem in enumerate(problems, 1)]
        super().__init__(f"{len(problems)} problems in the config:\n" + "\n".join(lines))
        self.problems = tuple(problems)


class UnsupportedError(Mm2plError, NotImplementedError):
    """MMEngine has this, mm2pl does not (yet); the message says why."""

    exit_status = 2


class UnsupportedModuleError(UnsupportedError, ModuleNotFoundError):
    """A module of MMEngine's that mm2pl does not have; the message says why."""


class MissingPackageError(Mm2plError, ImportError):
    """An optional package is needed; the hint names the extra that brings it."""


class DataError(Mm2plError, ValueError):
    """A dataset or a batch cannot be used."""


class DataAssertionError(DataError, AssertionError):
    """A dataset or a batch cannot be used, where MMEngine asserts that it can."""


class DataKeyError(DataError, KeyError):
    """A batch lacks a key (a ``KeyError`` too, as in MMEngine)."""


class ModelError(Mm2plError, TypeError):
    """A model does not follow the contract of its interface."""


class ModelAssertionError(ModelError, AssertionError):
    """A model, or another part of the run, breaks a contract, where MMEngine asserts it."""


class NonFiniteLossError(Mm2plError, FloatingPointError):
    """A loss is NaN or infinite, and the run was to stop then."""


class CheckpointError(Mm2plError, RuntimeError):
    """A checkpoint cannot be read or written."""


class BrokenCheckpointError(CheckpointError):
    """A file is cut off or damaged, or no checkpoint at all."""


class CheckpointNotFoundError(CheckpointError, FileNotFoundError):
    """There is no checkpoint where one was looked for."""
