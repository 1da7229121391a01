"""Real libraries' visualizers draw and write the same on mm2pl as on MMEngine, pixel by pixel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import Reference
from tools import reference as reference_tool

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
Results = dict[str, Any]


@pytest.fixture(scope="module")
def drawn(
    reference: Reference, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Results, Results]:
    """Return what MMEngine and what mm2pl drew and wrote."""
    folder = tmp_path_factory.mktemp("visualizers")
    return _draw("mmengine", folder), _draw("mm2pl", folder)


def _draw(engine: str, folder: Path) -> Results:
    last = reference_tool.SITE if engine == "mmengine" else HERE.parents[1]
    folders = [HERE / "stubs", reference_tool.LIBRARIES, last]
    done = subprocess.run(
        [sys.executable, str(HERE / "visualizers.py"), engine, str(folder / engine)],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, folders)),
            "MM2PL_STUB_MMCV_OPS": "1",
        },
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return dict(np.load(folder / engine / "results.npz"))


@pytest.mark.parametrize(
    ("library", "images", "files"),
    [
        ("mmpretrain", 12, 15),
        ("mmseg", 4, 4),
        ("mmdet", 8, 8),
        ("mmpose", 5, 5),
        ("mmaction", 4, 12),
    ],
)
def test_a_librarys_visualizer_draws_and_writes_the_same(
    library: str, images: int, files: int, drawn: tuple[Results, Results]
) -> None:
    theirs, ours = (
        {name: one for name, one in results.items() if name.startswith(f"{library} ")}
        for results in drawn
    )
    assert list(ours) == list(theirs)
    written = [name for name in theirs if name.startswith(f"{library} file ")]
    assert (len(theirs) - len(written), len(written)) == (images, files)
    assert [name for name in theirs if not np.array_equal(theirs[name], ours[name])] == []


def test_mmpretrains_hook_draws_in_a_run_what_it_draws_on_mmengine(
    drawn: tuple[Results, Results],
) -> None:
    theirs, ours = (
        {name: one for name, one in results.items() if name.startswith("run file ")}
        for results in drawn
    )
    assert list(ours) == list(theirs)
    names = {name.split("file ")[1] for name in theirs}
    assert {f"own/bird.png_{step}.png" for step in (1, 2)} < names
    assert {f"drawn/vis_data/vis_image/bird.png_{step}.png" for step in (1, 2)} < names
    assert [name for name in theirs if not np.array_equal(theirs[name], ours[name])] == []
