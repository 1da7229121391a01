"""mmdet's cached mosaic and batch sampler: what resumed runs are, and are said to be.

mmcv-lite stands for mmcv.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.downstream.other_libraries import data
from tools import reference as reference_tool

HERE = Path(__file__).parent
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("mosaic")]
WORKERS = [0, 2]
KEEPS = "is approximated: CachedMosaic keeps results_cache of its own"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    reference_tool.install()
    folder = tmp_path_factory.mktemp("mosaic")
    data.main(str(folder / "data"))
    paths = [HERE / "stubs", reference_tool.LIBRARIES, HERE.parents[1]]
    variables = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "OMP_NUM_THREADS": "1",
    }
    program = str(HERE / "mosaic_runs" / "program.py")
    done = subprocess.run(
        [sys.executable, program, str(folder / "data" / "coco"), str(folder)],
        env=variables, capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("workers", WORKERS)
@pytest.mark.parametrize("mosaic", ["None", "TellingMosaic"])
def test_what_follows_is_equal(found: dict[str, Any], mosaic: str, workers: int) -> None:
    """Without a cache, and with one that has ``state_dict`` and ``load_state_dict``."""
    runs = found[f"{mosaic} {workers}"]
    whole = runs["whole"]
    assert whole["said"] == []
    for point, again in runs["again"].items():
        assert again["steps"] == whole["steps"][int(point) :]
        assert again["said"] == []


@pytest.mark.parametrize("workers", WORKERS)
def test_a_cache_that_does_not_tell_is_told_of(found: dict[str, Any], workers: int) -> None:
    runs = found[f"CachedMosaic {workers}"]
    assert [KEEPS in line for line in runs["whole"]["said"]] == [True]
    again = runs["again"]["10"]
    assert "The resumed run " + KEEPS in again["said"][0]
    assert [step[1] for step in again["steps"]] == [step[1] for step in runs["whole"]["steps"]][10:]
    assert again["steps"] != runs["whole"]["steps"][10:]


def test_the_batch_sampler_is_asked_and_no_sample_is_read(found: dict[str, Any]) -> None:
    runs = found["None 0"]
    samples = [len(step[1]) for step in runs["whole"]["steps"]]
    assert runs["whole"]["read"] == sum(samples)
    for point, again in runs["again"].items():
        assert again["read"] == sum(samples[int(point) :])
