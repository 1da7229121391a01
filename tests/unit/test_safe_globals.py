"""Objects under another name in a file are read in the way of torch before 2.6 as well."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch

from mm2pl import _safe_globals, checkpoint
from mm2pl._safe_globals import _registered, _StandIn
from mm2pl.errors import CheckpointError
from mm2pl.mmengine.logging import HistoryBuffer, _pickling

Allowing = Callable[[Any], AbstractContextManager[Any]]


@pytest.fixture(params=["as installed", "before 2.6"], autouse=True)
def _torch_version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with the installed torch, and as if that were older."""
    if request.param == "before 2.6":
        monkeypatch.setattr(_safe_globals, "_TORCH_TAKES_PAIRS", False)


@pytest.fixture
def history(tmp_path: Path) -> Iterator[Path]:
    buffer = HistoryBuffer([1.0, 2.0], [1, 3])
    torch.save({"loss": buffer}, tmp_path / "a.pth", pickle_module=_pickling)
    return tmp_path / "a.pth"


def test_a_history_under_mmengines_name_is_read(history: Path) -> None:
    read = checkpoint.read(history)["loss"]
    assert type(read) is HistoryBuffer
    assert [array.tolist() for array in read.data] == [[1.0, 2.0], [1, 3]]
    assert read.mean() == 0.75


def test_what_is_not_named_is_refused(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_allowed_globals", list)
    with pytest.raises(CheckpointError, match=r"could run code: mmengine.*HistoryBuffer"):
        checkpoint.read(history)


def test_nothing_stays_allowed(history: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    checkpoint.read(history)
    assert set(torch.serialization.get_safe_globals()) == before


def test_a_stand_in_is_called_with_what_others_stand_for() -> None:
    kind = _StandIn(HistoryBuffer, "elsewhere.History")
    found = _StandIn(getattr, "builtins.getattr")(kind, "mean")
    assert found is HistoryBuffer.mean


def test_what_was_allowed_before_is_allowed_after() -> None:
    before = set(torch.serialization.get_safe_globals())
    with _registered([Path]):
        with _registered([_StandIn(HistoryBuffer, "elsewhere.History")]):
            assert Path in torch.serialization.get_safe_globals()
        assert set(torch.serialization.get_safe_globals()) == before | {Path}
    assert set(torch.serialization.get_safe_globals()) == before
