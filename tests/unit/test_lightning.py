"""What surrounds a call of Lightning's."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import lightning.pytorch  # noqa: F401  # sets its logger's level when it is first imported
import pytest

from mm2pl import _lightning


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("lightning.pytorch")
    before = logger.level
    yield logger
    logger.setLevel(before)


def test_lightnings_own_remarks_are_silenced_during_a_run(logger: logging.Logger) -> None:
    logger.setLevel(logging.INFO)
    with _lightning.quiet():
        assert not logger.isEnabledFor(logging.INFO)
        assert logger.isEnabledFor(logging.WARNING)
    assert logger.level == logging.INFO


@pytest.mark.parametrize("level", [logging.DEBUG, logging.ERROR])
def test_a_level_that_the_user_has_set_stays(level: int, logger: logging.Logger) -> None:
    logger.setLevel(level)
    with _lightning.quiet():
        assert logger.level == level
    assert logger.level == level
