"""The MMEngine version whose behaviour is reproduced."""

__version__ = "0.10.7"

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


version_info = parse_version_info(__version__)
