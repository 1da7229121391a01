"""Lists and dicts in plain text files."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from itertools import islice
from typing import Any

from mm2pl.mmengine.fileio.backends.base import StrPath
from mm2pl.mmengine.fileio.file_client import FileClient, check_client_args
from mm2pl.mmengine.fileio.io import BackendArgs, get_text


def _read(filename: StrPath, encoding: str, client_args: Any, backend_args: BackendArgs) -> str:
    check_client_args(client_args, backend_args)
    if client_args is None:
        return get_text(filename, encoding, backend_args=backend_args)
    text: str = FileClient.infer_client(client_args, filename).get_text(filename, encoding)
    return text


def list_from_file(
    filename: StrPath,
    prefix: str = "",
    offset: int = 0,
    max_num: int = 0,
    encoding: str = "utf-8",
    file_client_args: dict[str, Any] | None = None,
    backend_args: BackendArgs = None,
) -> list[str]:
    """Return the lines of a text file.

    Args:
        filename: Path of the file.
        prefix: Put before each line.
        offset: How many lines to leave out at the start.
        max_num: How many lines to read at most; all if not positive.
        encoding: Of the file.
        file_client_args: Old form of ``backend_args``.
        backend_args: As for :func:`mmengine.fileio.get_file_backend`.
    """
    lines = StringIO(_read(filename, encoding, file_client_args, backend_args))
    stop = offset + max_num if max_num > 0 else None
    return [prefix + line.rstrip("\n\r") for line in islice(lines, offset, stop)]


def dict_from_file(
    filename: StrPath,
    key_type: Callable[[str], Any] = str,
    encoding: str = "utf-8",
    file_client_args: dict[str, Any] | None = None,
    backend_args: BackendArgs = None,
) -> dict[Any, str | list[str]]:
    """Return a dict from a text file of columns between whitespace.

    The first column is the key. The value is the second, or a list if there are more.

    Args:
        filename: Path of the file.
        key_type: Makes keys from the first column.
        encoding: Of the file.
        file_client_args: Old form of ``backend_args``.
        backend_args: As for :func:`mmengine.fileio.get_file_backend`.

    Raises:
        AssertionError: A line has less than two columns.
    """
    mapping: dict[Any, str | list[str]] = {}
    lines = StringIO(_read(filename, encoding, file_client_args, backend_args))
    for number, line in enumerate(lines, start=1):
        key, *values = line.split() or [""]
        if not values:
            raise AssertionError(f"{filename}:{number}: a key and a value are needed: {line!r}")
        mapping[key_type(key)] = values if len(values) > 1 else values[0]
    return mapping
