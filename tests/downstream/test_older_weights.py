"""Weights of OpenMMLab 1.x go into today's models as with MMEngine, renamed by the libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.downstream.engines import run_both

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "older_weights/program.py"
MODELS = ("swin", "vit, of another size", "fcos", "segmentor", "pose")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_both(tmp_path_factory, PROGRAM, lambda folder: [str(folder)])


@pytest.mark.parametrize("name", MODELS)
def test_an_older_file_loads_as_with_mmengine(loaded: dict[str, Any], name: str) -> None:
    ours, theirs = (loaded[engine][name] for engine in ("mm2pl", "mmengine"))
    assert theirs["changed"] > 10
    assert ours == theirs
