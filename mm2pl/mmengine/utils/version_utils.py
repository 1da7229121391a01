"""Versions as tuples of integers, and the hash of the git commit."""

from __future__ import annotations

import os
import subprocess

from packaging.version import parse

_PRERELEASES = {"a": -3, "b": -2, "rc": -1}
_DEVELOPMENT = -4


def digit_version(version_str: str, length: int = 4) -> tuple[int, ...]:
    """Turn a version into integers that compare as versions do.

    Args:
        version_str: E.g. ``"2.1.0rc1"``.
        length: How many numbers of the release to keep; filled up with zeros.

    Returns:
        The release, then -4 (development), -3 (a), -2 (b), -1 (rc), 0 or 1 (post), then the
        number of the pre- or post-release.
    """
    if "parrots" in version_str:
        raise AssertionError(f"failed to parse version {version_str}")
    version = parse(version_str)
    release = (*version.release, *[0] * length)[:length]
    if version.is_prerelease:
        if version.pre is None:
            return (*release, _DEVELOPMENT, 0)
        return (*release, _PRERELEASES[version.pre[0]], version.pre[1])
    return (*release, 1, version.post) if version.post is not None else (*release, 0, 0)


def get_git_hash(fallback: str = "unknown", digits: int | None = None) -> str:
    """Return the commit of the git repository in the working directory.

    Args:
        fallback: Returned if git cannot be run; outside a repository the hash is empty.
        digits: How many digits of the hash to keep; all if ``None``.
    """
    if digits is not None and not isinstance(digits, int):
        raise TypeError("digits must be None or an integer")
    # A bare environment, so that the user's locale and GIT_* variables do not change the answer.
    kept = {key: os.environ[key] for key in ("SYSTEMROOT", "PATH", "HOME") if key in os.environ}
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "LANGUAGE": "C", "LANG": "C", "LC_ALL": "C"},
        )
    except OSError:
        return fallback
    return done.stdout.strip().decode("ascii")[:digits]
