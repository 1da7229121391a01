"""The order in which hooks run at a point: lower numbers first."""

from __future__ import annotations

from enum import Enum

from mm2pl.errors import ConfigError, ConfigKeyError, ConfigTypeError, nearest


class Priority(Enum):
    """MMEngine's named priorities of hooks."""

    HIGHEST = 0
    VERY_HIGH = 10
    HIGH = 30
    ABOVE_NORMAL = 40
    NORMAL = 50
    BELOW_NORMAL = 60
    LOW = 70
    VERY_LOW = 90
    LOWEST = 100


def get_priority(priority: int | str | Priority) -> int:
    """Return the number of a priority.

    Args:
        priority: A number from 0 to 100, a name in any case, or a :class:`Priority`.

    Raises:
        ConfigError: The number is out of range.
        ConfigKeyError: No priority has that name.
        ConfigTypeError: It is none of the three.
    """
    if isinstance(priority, Priority):
        return priority.value
    if isinstance(priority, int):
        if not 0 <= priority <= 100:
            raise ConfigError(f"A priority lies between 0 and 100, but got {priority}")
        return priority
    if isinstance(priority, str):
        name = priority.upper()
        if name not in Priority.__members__:
            raise ConfigKeyError(
                f"{priority!r} is not a priority",
                choices=nearest(name, Priority.__members__) or list(Priority.__members__),
                hint="A number from 0 (first) to 100 (last) works as well.",
            )
        return Priority[name].value
    raise ConfigTypeError(f"A priority is a number or a name, but got {priority!r}")
