"""One process goes on with what two have begun."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parity.test_distributed import OURS, torchrun
from tests.unit.resume.changed_runs import said
from tests.unit.resume.resume_runs import SGD, epochs
from tests.unit.resume.test_changed_batches import train
from tests.unit.resume.test_ranks import RUN

pytestmark = pytest.mark.filterwarnings("ignore:scheduler.step")


@pytest.mark.slow
def test_the_epoch_goes_on_at_the_first_sample_that_neither_has_seen(tmp_path: Path) -> None:
    status, printed = torchrun([RUN, str(tmp_path)], OURS, tmp_path)
    assert status == 0, printed[-4000:]
    both = {"train_cfg": epochs(2), "optim_wrapper": {**SGD, "accumulative_counts": 2}}
    order, _ = train(tmp_path / "alone", 4, **both)
    found, runner = train(tmp_path / "new", 4, tmp_path / "whole" / "iter_2.pth", **both)
    assert found == order[2 * 4 * 2 :]
    text = said(runner)
    assert "processes: 2 -> 1" in text
    assert "the place in the data: 2 batches are now 4" in text
    assert "iterations of an epoch: 3 -> 6 (they are counted on from 2, to 10)" in text
