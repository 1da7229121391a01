"""A resumed run leaves the files that the run would have left without a break."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.unit.resume.resume_runs import config, disturb, iterations, run


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*.pth"))


def settings(folder: Path, **changes: Any) -> dict[str, Any]:
    hook = {"type": "CheckpointHook", "by_epoch": False, "interval": 4, "save_last": False}
    hook |= {"save_best": "score", "rule": "greater"}
    own = {"train_cfg": iterations(6, val_interval=5), "default_hooks": {"checkpoint": hook}}
    return config(folder, **own, **changes)


def test_the_last_one_is_saved_again_with_the_best(tmp_path: Path) -> None:
    run(settings(tmp_path / "whole"))
    disturb()
    start = {"load_from": str(tmp_path / "whole" / "iter_4.pth"), "resume": True}
    run(settings(tmp_path / "again", **start))
    left = names(tmp_path / "whole")
    assert {"iter_4.pth", "iter_5.pth"} < set(left)
    assert names(tmp_path / "again") == [name for name in left if name != "iter_4.pth"]


def test_mmengines_way_saves_the_best_alone(tmp_path: Path) -> None:
    run(settings(tmp_path / "whole"))
    path = str(tmp_path / "whole" / "iter_4.pth")
    run(settings(tmp_path / "again", load_from=path, resume={"exact": False}))
    (name,) = names(tmp_path / "again")
    assert name.startswith("best_score_iter_")
