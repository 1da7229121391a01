"""What stands under ``mm2pl`` in a checkpoint is used if it is understood, and else left out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mm2pl import checkpoint
from mm2pl.resume.versions import VERSION
from tests.unit.resume.resume_runs import config, epochs, rest, run

pytestmark = pytest.mark.filterwarnings("ignore:scheduler.step")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Any], Any]:
    folder = tmp_path_factory.mktemp("whole")
    return folder, *run(config(folder, train_cfg=epochs(2)))


def resumed(folder: Path, saved: dict[str, Any]) -> tuple[list[Any], str]:
    """Go on from a checkpoint; return the trace and what the log says of the key."""
    checkpoint.write(saved, str(folder / "changed.pth"))
    start = str(folder / "changed.pth")
    settings = config(folder, train_cfg=epochs(2), load_from=start, resume=True)
    steps, _ = run({**settings, "log_level": "WARNING"})
    (log,) = folder.glob("*/*.log")
    return steps, "\n".join(line for line in log.read_text().splitlines() if "'mm2pl'" in line)


def test_a_file_without_the_newest_keys_goes_on_exactly(whole: Any, tmp_path: Path) -> None:
    folder, steps, _ = whole
    saved = checkpoint.read(folder / "iter_3.pth")
    own = saved["mm2pl"]["ranks"][0]
    del own["data"], own["seeds"]
    for key in ("samplers", "own", "loader", "last", "ended", "told"):
        del own["reading"][key]
    again, said = resumed(tmp_path, saved)
    assert again == list(rest(steps, 3))
    assert said == ""


def _newer(own: Any) -> Any:
    return {"version": VERSION + 1, "shape": "another"}


def _cut(own: Any) -> Any:
    own["ranks"][0]["random"]["numpy"] = own["ranks"][0]["random"]["numpy"][:7]
    return own


def _place_of_others(own: Any) -> Any:
    own["ranks"][0]["reading"]["somewhere"] = 1
    return own


def _without(own: Any) -> Any:
    del own["ranks"]
    return own


CHANGES: dict[str, tuple[Callable[[Any], Any], str]] = {
    "newer": (_newer, f"is of version {VERSION + 1}, and this mm2pl reads up to {VERSION}"),
    "foreign": (lambda own: torch.zeros(2), "is not one of mm2pl's"),
    "without version": (lambda own: {"epoch": 1}, "is not one of mm2pl's"),
    "cut": (_cut, "is damaged (ValueError"),
    "unknown place": (_place_of_others, "is damaged (TypeError"),
    "without a key": (_without, "is damaged (KeyError: 'ranks'"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_not_understood_is_left_out_and_told(name: str, whole: Any, tmp_path: Path) -> None:
    """The epoch begins again, as from a file of MMEngine's."""
    change, told = CHANGES[name]
    saved = checkpoint.read(whole[0] / "iter_8.pth")
    saved["mm2pl"] = change(copy.deepcopy(saved["mm2pl"]))
    steps, said = resumed(tmp_path, saved)
    assert told in said
    assert "as from a file of MMEngine's" in said
    assert [step[3] for step in steps if step[0] == "read"] == [0, 1, 2, 3, 4, 5]
