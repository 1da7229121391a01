"""Downloads of weights."""

from __future__ import annotations

import io
import os
import zipfile
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

import torch

from mm2pl.errors import CheckpointError

__all__ = ["DownloadError", "load_url"]


class DownloadError(CheckpointError, URLError):
    """A file cannot be downloaded (a ``URLError`` too, as MMEngine raises)."""


def load_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = True,
) -> Any:
    """Download a checkpoint, unless it was downloaded before, and read it.

    Differs: the file is read without running code from it, as ``weights_only=False`` would.

    Args:
        url: Where it lies.
        model_dir: Where it is kept, by default ``checkpoints`` in torch's folder (``TORCH_HOME``).
        map_location: As in :func:`torch.load`.
        progress: Whether to show a progress bar.
        check_hash: Whether the name's end (``-<sha256>.pth``) is to fit the downloaded content.
        file_name: Under which name it is kept, by default that in ``url``.
        weights_only: False trusts the file.

    Raises:
        DownloadError: There is no network, no such file, or another than the hash says.
        CheckpointError: It cannot be read.
    """
    # Imported late: reading checkpoints builds on these utilities.
    from mm2pl import checkpoint, published

    folder = model_dir or os.path.join(torch.hub.get_dir(), "checkpoints")
    path = os.path.join(folder, file_name or os.path.basename(urlsplit(url).path))
    if not os.path.exists(path):
        _download(url, path, progress, check_hash)
    source = _unpacked(path)
    if not weights_only and not published.is_one(source, url):
        return torch.load(source, map_location=map_location, weights_only=False)
    return checkpoint.read(source, map_location, url)


def _download(url: str, path: str, progress: bool, check_hash: bool) -> None:
    from mm2pl.mmengine.logging import print_log

    print_log(f'Downloading: "{url}" to {path}', logger="current")
    expected = torch.hub.HASH_REGEX.search(os.path.basename(path)) if check_hash else None
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        prefix = expected.group(1) if expected else None
        torch.hub.download_url_to_file(url, path, prefix, progress=progress)
    except (OSError, RuntimeError, ValueError) as error:  # URLError is an OSError
        failure = DownloadError(
            f"{url} cannot be downloaded: {error}",
            hint=f"without a network, put the file at {path}, or give the path where it lies",
        )
        if isinstance(error, HTTPError):
            error.close()  # it is the server's answer as well
        failure.reason = getattr(error, "reason", str(error))
        raise failure from error


def _unpacked(path: str) -> Any:
    """Return what to read of a file: of an archive with one file in it, as old ones are, that."""
    if not zipfile.is_zipfile(path):
        return path
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        # torch's own format is an archive as well, with a folder in it.
        if len(members) == 1 and not members[0].is_dir():
            return io.BytesIO(archive.read(members[0]))
    return path
