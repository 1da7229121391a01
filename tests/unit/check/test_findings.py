"""What is found in one config, read in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mm2pl.check.findings import FileReport, Finding, Settings, examine_file
from mm2pl.mmengine.config._positions import COMMAND_LINE
from mm2pl.plan import Status

CLEAN = """
model = dict(type="Net")
train_dataloader = dict(dataset=dict(type="A"), sampler=dict(type="DefaultSampler", shuffle=True))
train_cfg = dict(by_epoch=True, max_epochs=2)
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1))
"""


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("base.py").write_text(CLEAN)


def check(body: str = "", name: str = "config.py", in_folder: bool = False, **kwargs: Any) -> Any:
    Path(name).write_text(body if name != "config.py" else f"_base_ = 'base.py'\n{body}")
    return examine_file(name, Settings(**kwargs), in_folder=in_folder)


def only(report: FileReport) -> Finding:
    (one,) = report.findings
    return one


def test_a_clean_config_has_no_findings_and_counts_its_keys() -> None:
    report = check()
    assert (report.status, report.findings, report.error) == ("clean", [], None)
    assert sum(report.counts.values()) > 10


def test_an_unknown_key_is_found_with_its_line_and_the_right_spelling() -> None:
    one = only(check("\noptim_warpper = dict()\n"))
    assert (one.key_path, one.status, one.where) == ("optim_warpper", "unknown", "config.py:3")
    assert one.choices[0] == "optim_wrapper"


def test_a_finding_of_a_base_stands_in_the_base() -> None:
    Path("base.py").write_text(CLEAN + "optim_warpper = dict()\n")
    assert only(check("\n\n")).where == "base.py:6"


def test_what_the_command_line_sets_stands_there() -> None:
    one = only(check(options={"train_cfg.val_inteval": 2}))
    assert one.where == COMMAND_LINE
    assert "val_interval" in one.choices


def test_an_option_that_does_not_fit_makes_the_file_unreadable() -> None:
    report = check(options={"model.type.x": 2})
    assert report.status == "unreadable"
    assert "--cfg-options" in report.error.text


def test_a_problem_is_a_finding() -> None:
    report = check("train_cfg = dict(val_interval=0)\n")
    one = only(report)
    assert (one.key_path, one.status) == ("train_cfg.val_interval", "wrong")
    assert one.where == "config.py:2"
    assert report.problems == [one]


def test_what_is_unsupported_is_told_once() -> None:
    report = check("optim_wrapper = dict(type='OptimWrapper', use_fsdp=True)\n")
    found = [one for one in report.findings if one.status == Status.UNSUPPORTED.value]
    assert len(found) <= 1


def test_all_keys_are_kept_if_asked_for() -> None:
    assert check().notes == []
    notes = check(all_keys=True).notes
    assert {"train_cfg.max_epochs", "model"} <= {one.key_path for one in notes}
    assert {one.status for one in notes} <= {status.value for status in Status}


def test_the_profile_of_the_command_is_counted() -> None:
    scope = "default_scope = 'mmpretrain'\n"
    added = Status.ADDED.value
    assert check(scope).counts[added] == 2
    assert added not in check(scope, command=None).counts


@pytest.mark.parametrize(
    ("body", "where", "text"),
    [
        ("x = 1 / 0\n", "config.py:2", "ZeroDivisionError"),
        ("import sys\nsys.exit(3)\n", "config.py:3", "sys.exit(3)"),
        ("raise KeyboardInterrupt\n", "config.py:2", "KeyboardInterrupt"),
        ("x = (\n", "config.py:2", "was never closed"),
    ],
)
def test_what_code_does_is_reported(body: str, where: str, text: str) -> None:
    report = check(body)
    assert report.status == "unreadable"
    assert (report.error.where, text in report.error.text) == (where, True)


def test_a_base_of_a_library_that_is_not_installed_names_the_package() -> None:
    report = check("_base_ = 'mmdet3d::x/y.py'\n", name="other.py")
    assert "mmdet3d is not installed" in report.error.text
    assert "install mmdet3d" in report.error.hint


def test_a_config_without_end_is_unreadable() -> None:
    assert check("a = dict()\na['a'] = a\n").status == "unreadable"


def test_what_a_config_warns_of_is_kept() -> None:
    report = check("_deprecation_ = dict(expected='new.py')\n")
    assert len(report.warnings) == 1
    assert "new.py" in report.warnings[0]


def test_a_file_without_a_model_is_a_part_in_a_folder_alone() -> None:
    body = "train_cfg = dict(by_epoch=True, max_epochs=1)\n"
    assert check(body, name="part.py", in_folder=True).status == "skipped"
    assert check(body, name="part.py").status == "findings"


def test_a_misspelt_model_makes_no_part() -> None:
    assert check("modle = dict(type='Net')\n", name="part.py", in_folder=True).status == "findings"


def test_reading_without_running_refuses_by_line() -> None:
    report = check("import os\nx = os.getcwd()\n", no_exec=True)
    assert report.status == "unreadable"
    assert "config.py:3" in report.error.text
    assert check("x = [1, 2]\n", no_exec=True).status == "clean"


def test_a_name_that_a_new_style_config_imports_is_no_misspelt_key() -> None:
    body = "from mmengine.optim import OptimWrapper\n" + CLEAN.replace(
        "optim_wrapper = dict(", "optim_wrapper = dict(type=OptimWrapper, "
    )
    assert check(body, name="lazy.py").findings == []
