"""Finds the code blocks and links of a Markdown file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Block:
    """A fenced code block.

    Attributes:
        line: The line of its opening fence.
        language: The first word after the fence.
        tags: The further words; readers do not see them.
        code: What stands between the fences.
    """

    line: int
    language: str
    tags: tuple[str, ...]
    code: str

    @property
    def commands(self) -> list[str]:
        """The lines of a shell block, without comments."""
        lines = [re.sub(r"(^|\s)# .*$", "", line).strip() for line in self.code.splitlines()]
        return [line for line in lines if line]

    @property
    def file_name(self) -> str | None:
        """The file that the block is, if its first line is a comment with a file's name."""
        named = re.match(r"# ([\w/]+\.\w+)\n", self.code)
        return named[1] if named else None


_FENCED = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path: Path) -> Iterator[Block]:
    """Yield the fenced blocks of a file."""
    text = path.read_text()
    for found in _FENCED.finditer(text):
        language, *tags = found["info"].split() or [""]
        yield Block(text[: found.start()].count("\n") + 1, language, tuple(tags), found["code"])


def prose(path: Path) -> str:
    """Return a file without its fenced blocks."""
    return _FENCED.sub("", path.read_text())


def links(path: Path) -> list[str]:
    """Return where the links of a file lead."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(path))


def anchors(path: Path) -> set[str]:
    """Return the anchors of a file's headings, by GitHub's rule."""
    titles = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title).strip().lower().replace(" ", "-") for title in titles}
