"""Fixtures for registries: packages made up for a test, clean scopes, and what was logged."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from mm2pl.mmengine.registry import MODELS, DefaultScope

Packages = Callable[[dict[str, str]], None]


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Packages]:
    """Return a function that writes modules given by file name; forgets them after the test."""
    monkeypatch.syspath_prepend(tmp_path)
    made: set[str] = set()

    def make(files: dict[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
            made.add(name.split("/")[0].removesuffix(".py"))

    yield make
    for module in [name for name in sys.modules if name.split(".")[0] in made]:
        del sys.modules[module]
    for scope in made:
        MODELS.children.pop(scope, None)


@pytest.fixture
def default_scope() -> Callable[[str], DefaultScope]:
    """Return a function that sets the default scope."""
    return lambda scope: DefaultScope.get_instance(f"test {scope}", scope_name=scope)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """Collect (level, message) of what is logged, instead of making a logger."""
    lines: list[tuple[int, str]] = []

    def print_log(message: Any, logger: Any = None, level: int = logging.INFO) -> None:
        lines.append((level, str(message)))

    monkeypatch.setattr("mm2pl.mmengine.logging.print_log", print_log)
    return lines
