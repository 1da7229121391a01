"""A ``_delete_`` that deletes nothing is told: the class around it gets it as an argument."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mm2pl.mmengine.config import Config
from mm2pl.plan import Note, Status
from mm2pl.translate import examine

BASE = """
model = dict(type='Net', head=dict(type='Head'))
train_dataloader = dict(dataset=dict(type='Numbers'), sampler=dict(type='DefaultSampler'))
train_cfg = dict(max_epochs=3)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
"""


def findings(folder: Path, source: str) -> dict[str, Note]:
    (folder / "base.py").write_text(BASE)
    (folder / "config.py").write_text(f"_base_ = 'base.py'\n{source}")
    cfg: Any = Config.fromfile(folder / "config.py")
    notes = [one for one in examine(cfg).plan.notes if one.status.is_finding]
    assert len({one.key_path for one in notes}) == len(notes)
    return {one.key_path: one for one in notes}


@pytest.mark.parametrize(
    ("source", "key_path"),
    [
        ("model = dict(head=dict(_delet_=True))", "model.head._delet_"),
        ("model = dict(head=dict(_delete=True))", "model.head._delete"),
        ("model = dict(necks=[dict(_Delete_=True)])", "model.necks[0]._Delete_"),
        ("optim_wrapper = dict(optimizer=dict(_delete=True))", "optim_wrapper.optimizer._delete"),
        ("optim_wrapper = dict(_delete=True)", "optim_wrapper._delete"),
        ("train_cfg = dict(delete_=True)", "train_cfg.delete_"),
    ],
)
def test_a_misspelt_mark_is_found_everywhere(tmp_path: Path, source: str, key_path: str) -> None:
    found = findings(tmp_path, source)
    assert (list(found), found[key_path].choices) == ([key_path], ("_delete_",))


@pytest.mark.parametrize(
    ("source", "key_path"),
    [
        ("model = dict(neck=dict(_delete_=True, type='Neck'))", "model.neck._delete_"),
        ("model = dict(necks=[dict(_delete_=True)])", "model.necks[0]._delete_"),
        ("default_hooks = dict(timer=dict(_delete_=True, type='IterTimerHook'))", None),
    ],
)
def test_a_mark_without_anything_to_delete_is_found(
    tmp_path: Path, source: str, key_path: str | None
) -> None:
    found = findings(tmp_path, source)
    path = key_path or "default_hooks.timer._delete_"
    assert list(found) == [path]
    assert found[path].status is Status.UNKNOWN
    assert "none does" in found[path].text


@pytest.mark.parametrize(
    "source",
    [
        "model = dict(head=dict(_delete_=True, type='Other'))",
        "mine = dict(_delete=True)",
        "model = dict(deleted=1, delete=2, _data_root='x')",
    ],
)
def test_a_mark_that_is_used_and_other_names_are_right(tmp_path: Path, source: str) -> None:
    assert findings(tmp_path, source) == {}
