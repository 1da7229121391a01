"""The MMEngine version whose behaviour is reproduced."""

from mm2pl.mmengine import __version__, version_info

__all__ = ["__version__", "parse_version_info", "version_info"]


def parse_version_info(version_str: str) -> tuple[int | str, ...]:
    """Return a version's numbers, with ``rcN`` as a text: ``(1, 2, 3, "rc1")``."""
    parts: list[int | str] = []
    for part in version_str.split("."):
        number, rc, candidate = part.partition("rc")
        if number.isdigit():
            parts.append(int(number))
        if rc:
            parts.append(f"rc{candidate}")
    return tuple(parts)
