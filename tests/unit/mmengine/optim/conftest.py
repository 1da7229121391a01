"""Gives each test its own message hub and logger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mm2pl.mmengine.logging import MessageHub, MMLogger


@pytest.fixture(autouse=True)
def own_singletons(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for kind in (MessageHub, MMLogger):
        monkeypatch.setattr(kind, "_instance_dict", type(kind._instance_dict)())
    yield
    for logger in MMLogger._instance_dict.values():
        for handler in logger.handlers:
            handler.close()
