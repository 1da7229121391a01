"""``mm2pl explain``: the page, the drawing, and what is said of wrong calls."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mm2pl import uninstall_as_mmengine
from mm2pl.cli import main
from mm2pl.explain import curves
from tools import reference as tools_reference

ROOT = Path(__file__).parents[2]
EPOCHS = str(ROOT / "configs/digits/digits_cnn_20e.py")
LAZY = str(ROOT / "configs/digits/digits_cnn_20e_lazy.py")
ITERATIONS = str(ROOT / "configs/digits/digits_cnn_400i.py")

Out = pytest.CaptureFixture[str]
Explain = Callable[..., int]


@pytest.fixture
def explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Explain]:
    """Give a function that calls the command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield lambda *arguments: main(["explain", *arguments])
    uninstall_as_mmengine()


def _config(text: str) -> str:
    Path("config.py").write_text(text)
    return "config.py"


# --------------------------------------------------------------------------- the page


def test_the_page_has_all_sections(explain: Explain, capsys: Out) -> None:
    assert explain(EPOCHS) == 0
    printed = capsys.readouterr().out
    titles = [line for line in printed.splitlines() if line and not line.startswith(" ")]
    assert titles == [
        f"{EPOCHS}, fit",
        "data",
        "model",
        "optimizer",
        "loop",
        "schedules",
        "hooks, in the order in which they run",
        "points, and what runs there",
        "in Lightning",
        "findings",
    ]
    assert "LinearLR: lr rises from 0.1x to 1x over iterations 0-50" in printed
    assert "\033" not in printed


def test_a_new_style_config_has_the_same_page(explain: Explain, capsys: Out) -> None:
    pages = []
    for config in (EPOCHS, LAZY):
        explain(config, "--json")
        pages.append(json.loads(capsys.readouterr().out))
    for page in pages:
        for key in ("config", "work_dir", "findings"):
            del page[key]
    assert pages[0] == pages[1]


@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_each_command_has_its_page(explain: Explain, command: str, capsys: Out) -> None:
    assert explain(EPOCHS, "--command", command, "--json") == 0
    page = json.loads(capsys.readouterr().out)
    assert page["command"] == command
    assert ("before_train" in page["points"]) == (command == "fit")
    assert bool(page["optimizer"]) == bool(page["schedules"]) == (command == "fit")
    used = {"fit": ["train", "val", "test"], "validate": ["val"], "test": ["test"]}
    assert list(page["data"]) == used[command]


def test_options_count(explain: Explain, capsys: Out) -> None:
    explain(EPOCHS, "--cfg-options", "train_cfg.max_epochs=7")
    assert "trains     7 epochs" in capsys.readouterr().out


def test_a_terminal_gets_bold_titles(
    explain: Explain, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    explain(EPOCHS)
    printed = capsys.readouterr().out
    assert "\033[1mdata\033[0m" in printed
    assert max(len(line) for line in printed.splitlines() if "\033" not in line) <= 80


def test_the_problems_of_a_config_are_printed(explain: Explain, capsys: Out) -> None:
    config = _config(f"_base_ = {EPOCHS!r}\ntrain_cfg = dict(max_epochs='3')\nval_cfg = None\n")
    assert explain(config) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "train_cfg.max_epochs" in printed.err
    assert "val_cfg is missing" in printed.err


# --------------------------------------------------------------------------- the drawing


@pytest.mark.parametrize(
    ("suffix", "start"),
    [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF"), (".csv", b"iteration,lr")],
)
def test_a_plot_is_written(explain: Explain, suffix: str, start: bytes, capsys: Out) -> None:
    assert explain(ITERATIONS, "--plot", f"schedule{suffix}") == 0
    assert Path(f"schedule{suffix}").read_bytes().startswith(start)
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == f"schedule{suffix}: 400 iterations"
    assert printed[1].startswith("  lr: 0.01 at the start, 0.00050")


def test_the_table_holds_the_very_values(explain: Explain) -> None:
    explain(EPOCHS, "--plot", "schedule.csv", "--epoch-length", "23")
    rows = list(csv.DictReader(Path("schedule.csv").read_text().splitlines()))
    assert [row["iteration"] for row in rows] == [str(number) for number in range(20 * 23)]
    assert float(rows[0]["lr"]) == 0.003 * 0.1
    assert {row["momentum"] for row in rows} == {"0.9"}


def test_a_new_style_config_is_drawn(explain: Explain) -> None:
    for config in (EPOCHS, LAZY):
        assert explain(config, "--plot", f"{Path(config).stem}.csv", "--epoch-length", "9") == 0
    one, two = sorted(Path().glob("*.csv"))
    assert one.read_text() == two.read_text()


def test_without_schedules_it_is_said(explain: Explain, capsys: Out) -> None:
    options = ["--cfg-options", "param_scheduler=None"]
    assert explain(EPOCHS, "--plot", "schedule.csv", *options) == 0
    printed = capsys.readouterr()
    assert "note: there is no param_scheduler: all values stay as they are" in printed.err
    assert "lr: 0.003 at the start, 0.003 at the end" in printed.out
    assert len(Path("schedule.csv").read_text().splitlines()) == 21


def test_an_epoch_length_that_is_needed_is_asked_for(explain: Explain, capsys: Out) -> None:
    assert explain(EPOCHS, "--plot", "schedule.png") == 2
    told = capsys.readouterr().err
    assert "param_scheduler[0]: LinearLR counts iterations" in told
    assert "Hint: give --epoch-length N" in told
    assert not Path("schedule.png").exists()


def test_a_foreign_schedule_is_refused_or_left_out(explain: Explain, capsys: Out) -> None:
    schedule = "dict(type='mmnothing.WarmUp', by_epoch=False)"
    config = _config(
        f"_base_ = {ITERATIONS!r}\ncustom_imports = dict(_delete_=True, imports=[])\n"
        f"param_scheduler = [{schedule}]\n"
    )
    assert explain(config, "--plot", "schedule.csv") == 1
    assert "mmnothing, which may have it, is not installed" in capsys.readouterr().err
    assert explain(config, "--plot", "schedule.csv", "--skip-unknown") == 0
    assert "WarmUp is left out, and the curve is wrong for it" in capsys.readouterr().err


def test_without_matplotlib_the_extra_is_named(
    explain: Explain, capsys: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert explain(ITERATIONS, "--plot", "schedule.png") == 1
    assert "pip install 'mm2pl[drawing]'" in capsys.readouterr().err
    assert explain(ITERATIONS, "--plot", "schedule.csv") == 0


def test_a_plot_that_cannot_be_written_is_an_error(explain: Explain, capsys: Out) -> None:
    for name in ("schedule.png", "schedule.csv"):
        assert explain(ITERATIONS, "--plot", f"nowhere/{name}") == 2
        told = capsys.readouterr().err
        assert f"--plot: nowhere/{name} cannot be written: No such file or directory" in told


def test_a_training_of_no_steps_is_drawn_empty(explain: Explain) -> None:
    options = ["--cfg-options", "train_cfg.max_epochs=0", "param_scheduler=None"]
    assert explain(EPOCHS, "--plot", "schedule.csv", *options) == 0
    assert Path("schedule.csv").read_text() == "epoch,lr,momentum\n"
    assert explain(EPOCHS, "--plot", "schedule.png", *options) == 0


def test_each_optimizer_has_its_line(explain: Explain, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    from mm2pl.explain import plot

    real = plot._draw

    def record(figure: Any, made: curves.Curves, panels: dict[str, list[str]]) -> None:
        real(figure, made, panels)
        lines = [[line.get_label() for line in axis.lines] for axis in figure.axes]
        drawn.append((panels, lines))

    monkeypatch.setattr(plot, "_draw", record)
    one = "dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9))"
    config = _config(
        f"_base_ = {ITERATIONS!r}\noptim_wrapper = dict(_delete_=True, constructor='X',"
        f" gen={one}, disc={one})\n"
    )
    assert explain(config, "--plot", "schedule.png") == 0
    names = {"lr": ["gen.lr", "disc.lr"], "momentum": ["gen.momentum", "disc.momentum"]}
    assert drawn == [(names, list(names.values()))]


# mmdet's own scheduler, as ParamSchedulerHook steps it in MMEngine.
_STEPPED = """
import json, torch
from mmdet.engine.schedulers import QuadraticWarmupLR
from mmengine.optim import CosineAnnealingLR
one = torch.optim.SGD([torch.zeros(1)], lr=0.01, momentum=0.9)
first = QuadraticWarmupLR.build_iter_from_epoch(one, begin=0, end=5, epoch_length=3)
second = CosineAnnealingLR.build_iter_from_epoch(
    one, begin=5, end=8, T_max=3, eta_min=0.0005, epoch_length=3)
values = []
for _ in range(24):
    values.append(one.param_groups[0]["lr"])
    one.step(); first.step(); second.step()
print(json.dumps(values))
"""


@pytest.mark.slow
def test_a_librarys_schedule_is_drawn_with_its_library(tmp_path: Path, reference: Any) -> None:
    stubs = [str(ROOT / "tests/downstream/stubs"), str(tools_reference.LIBRARIES)]
    ours = {**os.environ, "PYTHONPATH": os.pathsep.join([*stubs, str(ROOT)])}
    ours["MM2PL_STUB_MMCV_OPS"] = "1"
    theirs = {**tools_reference.environment(), "MM2PL_STUB_MMCV_OPS": "1"}
    theirs["PYTHONPATH"] = os.pathsep.join([*stubs, theirs["PYTHONPATH"]])
    config = tmp_path / "config.py"
    config.write_text(
        f"_base_ = {EPOCHS!r}\ncustom_imports = dict(_delete_=True, imports=[])\n"
        "default_scope = 'mmdet'\ntrain_cfg = dict(max_epochs=8)\n"
        "optim_wrapper = dict(_delete_=True, optimizer=dict(type='SGD', lr=0.01, momentum=0.9))\n"
        "param_scheduler = [\n"
        "    dict(type='mmdet.QuadraticWarmupLR', end=5, convert_to_iter_based=True),\n"
        "    dict(type='CosineAnnealingLR', begin=5, end=8, T_max=3, eta_min=0.0005,\n"
        "         convert_to_iter_based=True)]\n"
    )
    call = ["-m", "mm2pl", "explain", "config.py", "--plot", "a.csv", "--epoch-length", "3"]
    options: Any = {"cwd": tmp_path, "check": True, "capture_output": True, "text": True}
    subprocess.run([sys.executable, *call], env=ours, **options)
    done = subprocess.run([sys.executable, "-c", _STEPPED], env=theirs, **options)
    rows = csv.DictReader((tmp_path / "a.csv").read_text().splitlines())
    assert [float(row["lr"]) for row in rows] == json.loads(done.stdout.splitlines()[-1])


# --------------------------------------------------------------------------- wrong calls


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--plot", "x.gif"], "x.gif must end in .png, .svg, .pdf, .csv"),
        (["--plot", "x.png", "--json"], "--plot draws alone"),
        (["--plot", "x.png", "--epoch-length", "0"], "must be a whole number from 1, got '0'"),
        (["--epoch-length", "3"], "belong to --plot FILE"),
        (["--skip-unknown"], "belong to --plot FILE"),
        (["--all"], "--all belongs to --model"),
        (["--command", "predict"], "invalid choice"),
    ],
)
def test_wrong_calls_are_refused(
    explain: Explain, options: list[str], message: str, capsys: Out
) -> None:
    with pytest.raises(SystemExit) as caught:
        explain(EPOCHS, *options)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_help_has_examples(explain: Explain, capsys: Out) -> None:
    with pytest.raises(SystemExit):
        explain("--help")
    printed = capsys.readouterr().out
    assert "mm2pl explain config.py --plot schedule.png --epoch-length" in printed
    assert max(map(len, printed.splitlines())) <= 100
