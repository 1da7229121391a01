"""What the command line's options do, in real short runs; what it prints, and Ctrl-C."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from mm2pl import checkpoint
from tests.cli.calls import Done, command, environment, run, run_all, write_config

pytestmark = pytest.mark.slow
# What Lightning would say on its own account.
NOISE = ("GPU available", "Tip", "litlogger", "LeafSpec", "eval mode", "`Trainer", "Seed set to")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    write_config(folder)
    write_config(folder, "work_dir = 'from_config'\nload_from = 'a/epoch_1.pth'\n", "own.py")
    write_config(folder, "optim_wraper = dict()\n", "typo.py")
    (folder / "registers.py").write_text(
        "from mmengine.registry import OPTIMIZERS\n"
        "from cli_toys import *\n\n\n"
        "@OPTIMIZERS.register_module(force=True)\n"
        "class SGD(torch.optim.SGD):\n"
        "    def __init__(self, params, lr):\n"
        "        print('my own SGD')\n"
        "        super().__init__(params, lr)\n"
    )
    write_config(folder, "custom_imports = dict(imports=['registers'])\n", "replaces.py")
    return folder


@pytest.fixture(scope="module")
def done(folder: Path) -> dict[str, Done]:
    """Run all command lines, in this order."""
    calls = {
        "fit": "fit config.py",
        "fit elsewhere": "fit config.py --work-dir a --seed 5",
        "fit elsewhere again": "fit config.py --work-dir b --seed 5",
        "options": "fit config.py --work-dir c --cfg-options train_cfg.max_epochs=1"
        " val_dataloader.dataset.length=4 param_scheduler.0.end=2 model.width=2",
        "validate": "validate config.py a/epoch_2.pth --work-dir d",
        "validate untrained": "validate config.py --work-dir d",
        "test": "test config.py --load-from a/epoch_2.pth --work-dir d",
        "test newest": "test config.py --resume --work-dir a",
        "load": "fit config.py --work-dir e --load-from a/epoch_2.pth",
        "resume": "fit config.py --work-dir a --resume --cfg-options train_cfg.max_epochs=3",
        "resume file": "fit config.py --work-dir f --seed 5 --resume a/epoch_1.pth",
        "resume nothing": "fit config.py --work-dir g --resume",
        "own": "fit own.py",
        "typo": "fit typo.py --work-dir h",
        "replaces": "fit replaces.py --work-dir i",
    }
    return run_all({name: arguments.split() for name, arguments in calls.items()}, folder)


def weights(path: Path) -> torch.Tensor:
    value: torch.Tensor = checkpoint.read(path)["state_dict"]["linear.weight"]
    return value


def scalars(folder: Path) -> list[dict[str, float]]:
    lines = min(folder.glob("*/vis_data/scalars.json")).read_text().splitlines()  # the first run
    return [json.loads(line) for line in lines]


def test_all_runs_end_well(done: dict[str, Done]) -> None:
    assert {name: one.err for name, one in done.items() if one.status} == {}


def test_without_a_work_dir_the_configs_name_decides(done: dict[str, Done], folder: Path) -> None:
    assert (folder / "work_dirs/config/epoch_2.pth").is_file()


def test_a_run_ends_with_its_metrics_and_where_its_files_lie(
    done: dict[str, Done], folder: Path
) -> None:
    end = done["fit"].out.rpartition("metrics:\n")[2].splitlines()
    assert re.fullmatch(r"  toy/mean: -?\d\.\d+", end[0])
    work_dir = (folder / "work_dirs/config").resolve()
    assert end[1] == f"checkpoints: {work_dir} (newest: epoch_2.pth)"
    assert Path(end[2].removeprefix("logs: ")).parent == work_dir


def test_the_same_seed_gives_the_same_weights(done: dict[str, Done], folder: Path) -> None:
    first, second, other = (weights(folder / d / "epoch_2.pth") for d in ("a", "b", "e"))
    assert first.equal(second)
    assert not first.equal(other)


def test_cfg_options_change_the_run(done: dict[str, Done], folder: Path) -> None:
    lines = scalars(folder / "c")
    assert not (folder / "c/epoch_2.pth").exists()
    # A warm-up of two iterations in place of four.
    assert [line["lr"] for line in lines if "lr" in line] == pytest.approx([0.01, 0.1, 0.1, 0.1])
    assert "Epoch(val) [1][2/2]" in done["options"].out


@pytest.mark.parametrize("name", ["validate", "test", "test newest"])
def test_metrics_of_a_checkpoint_are_those_of_the_run_that_saved_it(
    done: dict[str, Done], name: str
) -> None:
    metrics = [
        done[run].out.rpartition("metrics:\n")[2].splitlines()[0] for run in ("fit elsewhere", name)
    ]
    assert metrics[0] == metrics[1]
    assert "epoch_2.pth" in done[name].out


def test_evaluating_without_weights_is_remarked(done: dict[str, Done]) -> None:
    assert "no CHECKPOINT is given" in done["validate untrained"].err
    assert done["validate"].err == ""


def test_loaded_weights_start_a_new_run(done: dict[str, Done], folder: Path) -> None:
    assert "Load checkpoint from a/epoch_2.pth" in done["load"].out
    assert "Epoch(train) [1][1/4]" in done["load"].out
    assert scalars(folder / "e")[0]["loss"] < scalars(folder / "a")[0]["loss"]


def test_resume_goes_on_with_the_newest_checkpoint(done: dict[str, Done], folder: Path) -> None:
    out = done["resume"].out
    assert "resumed epoch: 2, iter: 8" in out
    assert "Epoch(train) [2]" not in out
    assert (folder / "a/epoch_3.pth").is_file()


def test_resume_goes_on_with_the_file_it_names(done: dict[str, Done], folder: Path) -> None:
    assert "resumed epoch: 1, iter: 4" in done["resume file"].out
    assert weights(folder / "f/epoch_2.pth").equal(weights(folder / "b/epoch_2.pth"))


def test_resume_with_nothing_there_starts_anew_and_says_so(done: dict[str, Done]) -> None:
    assert "g has no checkpoint to resume" in done["resume nothing"].err
    assert "Epoch(train) [1][1/4]" in done["resume nothing"].out


def test_the_configs_own_settings_hold_where_no_option_is_given(
    done: dict[str, Done], folder: Path
) -> None:
    assert (folder / "from_config/epoch_2.pth").is_file()
    assert "Load checkpoint from a/epoch_1.pth" in done["own"].out


def test_a_key_that_is_nearly_one_of_mmengines_is_remarked(done: dict[str, Done]) -> None:
    assert "optim_wraper: unknown: " in done["typo"].err
    assert "did you mean 'optim_wrapper'?" in done["typo"].err


def test_users_modules_are_imported_after_all_that_is_built_in(done: dict[str, Done]) -> None:
    assert "my own SGD" in done["replaces"].out


@pytest.mark.parametrize("name", ["fit", "validate", "test", "resume"])
def test_lightning_says_nothing_of_its_own(done: dict[str, Done], name: str) -> None:
    said = done[name].out + done[name].err
    assert [noise for noise in NOISE if noise in said] == []
    assert "Warning" not in said


def test_python_m_mm2pl_is_the_same_command(folder: Path) -> None:
    ended = run("validate", "config.py", "--work-dir", "j", folder=folder)
    assert ended.status == 0, ended.err
    assert "  toy/mean: " in ended.out


def test_ctrl_c_says_how_far_the_run_had_come_and_it_can_go_on(folder: Path) -> None:
    config = write_config(folder, "custom_hooks = [dict(type='Slow')]\n", "slow.py")
    options = ["--work-dir", "k", "--cfg-options", "train_cfg.max_epochs=1000"]
    process = subprocess.Popen(
        command("fit", config, *options),
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not (folder / "k/last_checkpoint").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert err.startswith("mm2pl: interrupted after epoch ")
    newest = Path(re.findall(r"newest checkpoint: (.*)", err)[0])
    assert newest.is_file()
    assert "Traceback" not in err
    epochs = int(newest.stem.removeprefix("epoch_"))
    options[-1] = f"train_cfg.max_epochs={epochs + 1}"
    ended = run("fit", config, *options, "--resume", folder=folder)
    assert f"resumed epoch: {epochs}" in ended.out
    assert ended.status == 0


def test_a_reader_that_goes_away_does_not_end_the_run(folder: Path) -> None:
    process = subprocess.Popen(
        command("fit", "config.py", "--work-dir", "l"),
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    err = process.stderr.read().decode()
    process.stderr.close()
    assert (process.wait(timeout=60), err) == (0, "")
    assert (folder / "l/epoch_2.pth").is_file()
