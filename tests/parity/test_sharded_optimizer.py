"""The sharded optimizer over two processes: the plain one's results, and its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.parity.test_distributed import HERE, OURS, torchrun

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sharded")
    status, printed = torchrun([str(HERE / "sharded.py"), str(folder)], OURS, folder)
    assert status == 0, printed[-4000:]
    found: dict[str, Any] = json.loads((Path(folder) / "left.json").read_text())
    return found


def _comparable(found: dict[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in ("weights", "saved", "groups")}


@pytest.mark.proves("OPTIMIZERS.ZeroRedundancyOptimizer")
def test_it_trains_and_saves_as_the_plain_optimizer(left: dict[str, Any]) -> None:
    assert left["whole"]["is_sharded"]
    assert not left["plain"]["is_sharded"]
    assert _comparable(left["whole"]) == _comparable(left["plain"])


def test_a_resumed_run_is_that_of_the_plain_optimizer(left: dict[str, Any]) -> None:
    assert left["parts"]["is_sharded"]
    assert _comparable(left["parts"]) == _comparable(left["plain_parts"])


def test_a_plain_optimizer_goes_on_from_its_file(left: dict[str, Any]) -> None:
    assert not left["mixed"]["is_sharded"]
    assert _comparable(left["mixed"]) == _comparable(left["plain_parts"])


def test_a_strategys_file_holds_the_states_of_all_ranks(left: dict[str, Any]) -> None:
    assert left["strategy"] == left["plain"]["states"][1] > 0
