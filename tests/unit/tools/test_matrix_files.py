"""Files are counted by the worst that is found in them, with every reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.matrix import files

FINE = "model = dict(type='Net')\nwork_dir = 'x'\n"


@pytest.fixture
def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files.reference, "WHEELS", tmp_path)

    def look_at(text: str) -> files.Found:
        path = tmp_path / "mmdet" / "config.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return files.look_at(str(path))

    return look_at


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        (FINE, files.FULLY, None),
        ("dataset_type = 'A'\n", "part", None),
        (f"{FINE}1 / 0\n", "unreadable", "ZeroDivisionError"),
        (f"{FINE}optim_warpper = dict()\n", "no effect or unknown", "`optim_warpper`: unknown"),
        (f"{FINE}trainer = dict(min_steps=3)\n", "unsupported", "`trainer.min_steps`: unsupported"),
        (f"{FINE}param_scheduler = []\n", "refused", "`param_scheduler`: "),
    ],
)
def test_a_file_counts_by_the_worst_in_it(look, text, kind, reason) -> None:
    found = look(text)
    assert (found.library, found.kind) == ("mmdet", kind)
    assert any(reason in one for one in found.reasons) if reason else found.reasons == ()


def test_all_reasons_of_a_file_are_kept_once(look) -> None:
    hooks = "custom_hooks = [dict(type='EMAHook', momentun=1), dict(type='EMAHook', momentun=2)]\n"
    reasons = look(f"{FINE}{hooks}optim_warpper = dict()\n").reasons
    assert len(reasons) == 2
    assert any("`custom_hooks[N].momentun`" in one for one in reasons)


def test_a_cause_names_no_folder_of_this_machine(look, tmp_path: Path) -> None:
    found = look("_base_ = 'gone.py'\n")
    assert found.kind == "unreadable"
    assert str(tmp_path) not in found.reasons[0]


def test_the_tables_add_up() -> None:
    found = [
        files.Found("mmdet", files.FULLY),
        files.Found("mmdet", "unsupported", ("`a`: unsupported, b",)),
        files.Found("mmseg", "unsupported", ("`a`: unsupported, b",)),
    ]
    text = files.tables(found)
    assert "| all | 3 | 1 | 0 | 0 | 2 | 0 | 0 | 0 |" in text
    assert "| `a`: unsupported, b | 0 | 1 | 1 |" in text
