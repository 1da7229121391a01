"""``--trainer.*``, ``--print_config`` and ``--ckpt_path``: read, merged, and in real runs."""

from __future__ import annotations

import argparse
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from lightning.pytorch import Trainer
from torch.distributed.elastic.rendezvous import RendezvousConnectionError

from mm2pl.cli import launching, trainer_options
from mm2pl.errors import ConfigError, Mm2plError
from mm2pl.mmengine.config import Config
from tests.cli.calls import Done, run, run_all, write_config

# --------------------------------------------------------------------------- reading


def test_options_are_taken_out_with_their_values():
    rest, taken = trainer_options.split(
        ["c.py", "--trainer.max_epochs", "3", "w.pth", "--trainer.devices=-1", "--amp"]
    )
    assert rest == ["c.py", "w.pth", "--amp"]
    assert taken == ["--trainer.max_epochs=3", "--trainer.devices=-1"]


def test_a_negative_number_is_a_value():
    assert trainer_options.split(["--trainer.devices", "-1"])[1] == ["--trainer.devices=-1"]


@pytest.mark.parametrize("after", [[], ["--amp"], ["--trainer.max_epochs=1"]])
def test_a_switch_without_a_value_is_on(after):
    _, taken = trainer_options.split(["c.py", "--trainer.fast_dev_run", *after])
    assert taken[0] == "--trainer.fast_dev_run=true"


@pytest.mark.parametrize(
    ("options", "given"),
    [
        (["--trainer.max_epochs=3"], {"max_epochs": 3}),
        (["--trainer.fast_dev_run=true"], {"fast_dev_run": True}),
        (["--trainer.fast_dev_run=2"], {"fast_dev_run": 2}),
        (["--trainer.limit_val_batches=0.5"], {"limit_val_batches": 0.5}),
        (["--trainer.devices=2"], {"devices": 2}),
        (["--trainer.logger=false"], {"logger": False}),
        (["--trainer.profiler=simple"], {"profiler": "simple"}),
        (["--trainer.precision=bf16-mixed"], {"precision": "bf16-mixed"}),
        (["--trainer.max_time={hours: 1}"], {"max_time": {"hours": 1}}),
        (
            ["--trainer.logger=lightning.pytorch.loggers.CSVLogger"],
            {"logger": {"class_path": "lightning.pytorch.loggers.CSVLogger"}},
        ),
        (
            [
                "--trainer.logger+=CSVLogger",
                "--trainer.logger.name=a",
                "--trainer.logger+=TensorBoardLogger",
                "--trainer.logger.save_dir=b",
            ],
            {
                "logger": [
                    {
                        "class_path": "lightning.pytorch.loggers.CSVLogger",
                        "init_args": {"name": "a"},
                    },
                    {
                        "class_path": "lightning.pytorch.loggers.TensorBoardLogger",
                        "init_args": {"save_dir": "b"},
                    },
                ]
            },
        ),
        (
            [
                "--trainer.callbacks+=lightning.pytorch.callbacks.EarlyStopping",
                "--trainer.callbacks.monitor=accuracy",
                "--trainer.callbacks+=LearningRateMonitor",
            ],
            {
                "callbacks": [
                    {
                        "class_path": "lightning.pytorch.callbacks.EarlyStopping",
                        "init_args": {"monitor": "accuracy"},
                    },
                    {"class_path": "lightning.pytorch.callbacks.LearningRateMonitor"},
                ]
            },
        ),
    ],
)
def test_values_are_typed_by_the_trainers_signature(options, given):
    found = trainer_options.parse(options)
    assert found == given
    assert [type(one) for one in found.values()] == [type(one) for one in given.values()]


@pytest.mark.parametrize(
    ("option", "key", "message"),
    [
        ("--trainer.max_epoch=3", "trainer.max_epoch", "Did you mean: max_epochs"),
        ("--trainer.max_epochs=abc", "trainer.max_epochs", "Expected an int, got 'abc'"),
        ("--trainer.max_epochs=true", "trainer.max_epochs", "Expected an int, got 'true'"),
        ("--trainer.precision=b16", "trainer.precision", "'bf16-mixed'"),
        ("--trainer.callbacks+=EarlyStoping", "trainer.callbacks", "Did you mean: EarlyStopping"),
        ("--trainer.callbacks+=EarlyStopping", "trainer.callbacks", "required: monitor"),
    ],
)
def test_a_wrong_option_is_said_with_its_key(option, key, message):
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        trainer_options.parse([option])
    assert caught.value.key_path == key
    assert "<class" not in str(caught.value)


def test_a_wrong_argument_of_a_callback_is_said_once():
    options = ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.moniter=x"]
    with pytest.raises(ConfigError, match=r"--trainer\.callbacks\.help CLASS") as caught:
        trainer_options.parse(options)
    assert str(caught.value).count("Option 'moniter' is not accepted") == 1


def test_of_a_wrong_class_only_what_is_wrong_with_it_is_said():
    options = ["--trainer.logger=CSVLogger", "--trainer.logger.nme=x"]
    with pytest.raises(ConfigError, match="Option 'nme' is not accepted") as caught:
        trainer_options.parse(options)
    assert "Expected" not in str(caught.value)


def test_help_lists_every_argument_with_its_type_and_what_becomes_of_it(capsys):
    with pytest.raises(SystemExit) as ended:
        trainer_options.split(["--trainer.help"])
    text = capsys.readouterr().out
    assert ended.value.code == 0
    for name in inspect.signature(Trainer).parameters:
        assert f"--trainer.{name} " in text
    flat = " ".join(text.split())
    assert "Here: translated: optim_wrapper.accumulative_counts. (type: int, default: 1)" in flat


def test_help_of_a_callback_lists_its_arguments(capsys):
    with pytest.raises(SystemExit):
        trainer_options.split(["--trainer.callbacks.help", "EarlyStopping"])
    assert "--trainer.callbacks.patience" in capsys.readouterr().out


# --------------------------------------------------------------------------- merging


def merged(section: Any, *options: str) -> Any:
    cfg = Config({} if section is None else {"trainer": section})
    trainer_options.merge(cfg, argparse.Namespace(trainer_options=list(options)))
    return cfg.get("trainer")


def test_an_option_wins_over_the_section():
    section = {"max_epochs": 5, "precision": "16-mixed"}
    found = merged(section, "--trainer.max_epochs=2")
    assert found == {"max_epochs": 2, "precision": "16-mixed"}


def test_plus_adds_to_the_sections_callbacks():
    found = merged({"callbacks": {"type": "Timer"}}, "--trainer.callbacks+=LearningRateMonitor")
    assert [one.get("type") or one.class_path for one in found["callbacks"]] == [
        "Timer",
        "lightning.pytorch.callbacks.LearningRateMonitor",
    ]


def test_without_options_the_config_stays_as_it_is():
    assert merged(None) is None


def settled(section: dict[str, Any], *, trainer: tuple[str, ...] = (), **args: Any) -> Any:
    """Return the section after the other options have won."""
    optim = {"optimizer": {"type": "SGD"}}
    cfg = Config({"trainer": section, "train_cfg": {"max_epochs": 9}, "optim_wrapper": optim})
    given = {"cfg_options": None, "config": "c.py", "trainer_given": dict.fromkeys(trainer), **args}
    trainer_options.let_options_win(cfg, argparse.Namespace(**given))
    return cfg.trainer


@pytest.mark.parametrize(
    ("section", "args", "what"),
    [
        ({"max_epochs": 2}, {"cfg_options": {"train_cfg.max_epochs": 5}}, "train_cfg.max_epochs"),
        ({"max_epochs": 2}, {"cfg_options": {"train_cfg": {"max_epochs": 5}}}, "sets train_cfg,"),
        ({"default_root_dir": "a"}, {"work_dir": "b"}, "sets work_dir,"),
        ({"precision": "bf16-mixed"}, {"amp": True}, "trainer.precision"),
    ],
)
def test_any_option_wins_over_the_configs_section(section, args, what, capsys):
    assert settled({**section, "profiler": "simple"}, **args) == {"profiler": "simple"}
    assert what in capsys.readouterr().err


def test_of_two_options_the_trainers_wins_and_it_is_said(capsys):
    both = {"cfg_options": {"train_cfg.max_epochs": 5}, "trainer": ("max_epochs",)}
    assert settled({"max_epochs": 2}, **both) == {"max_epochs": 2}
    assert "--trainer.max_epochs wins" in capsys.readouterr().err


def test_an_option_of_another_key_changes_nothing(capsys):
    options = {"cfg_options": {"train_cfg.val_interval": 5}}
    assert settled({"max_epochs": 2}, **options) == {"max_epochs": 2}
    assert not capsys.readouterr().err


# --------------------------------------------------------------------------- several processes


def launched(monkeypatch, trainer: dict[str, Any], option: str | None = None, **cfg: Any) -> Any:
    """Return what would be started, or None."""
    started: list[Any] = []
    monkeypatch.setattr(launching, "_start", lambda count, line: started.append((count, line)))
    args = argparse.Namespace(command_line=["fit", "c.py"], launcher=option)
    values = Config({"model": {"type": "Any"}, "trainer": trainer, **cfg})
    launching.launch(values, args)
    return started[0] if started else values.get("launcher")


def test_several_devices_start_the_same_command(monkeypatch):
    assert launched(monkeypatch, {"devices": 2}) == (2, ["fit", "c.py"])


@pytest.mark.parametrize("devices", [1, "auto", None])
def test_one_device_starts_nothing(monkeypatch, devices):
    assert launched(monkeypatch, {"devices": devices}) is None


def test_a_launcher_has_started_the_processes_already(monkeypatch):
    assert launched(monkeypatch, {"devices": 2}, launcher="slurm") == "slurm"


def test_the_saved_config_of_such_a_run_starts_them_again(monkeypatch):
    assert launched(monkeypatch, {"devices": 2}, launcher="pytorch") == (2, ["fit", "c.py"])


def test_a_launcher_that_is_named_is_expected_to_have_started_it(monkeypatch):
    found = launched(monkeypatch, {"devices": 2}, option="pytorch", launcher="pytorch")
    assert found == "pytorch"


def test_a_process_that_was_started_joins_the_others(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    assert launched(monkeypatch, {"devices": 2}) == "pytorch"


def test_processes_that_do_not_find_each_other_are_told_in_words(monkeypatch):
    def run(args: Any) -> None:
        raise RendezvousConnectionError("the port is taken")

    monkeypatch.setattr("torch.distributed.run.run", run)
    with pytest.raises(Mm2plError, match=r"2 processes cannot be started: the port is taken"):
        launching._start(2, ["fit", "c.py"])


def test_a_wrong_config_starts_nothing(monkeypatch):
    with pytest.raises(ConfigError, match=r"trainer\.max_epoch\b"):
        launched(monkeypatch, {"devices": 2, "max_epoch": 1})


# --------------------------------------------------------------------------- real runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trainer")
    write_config(folder)
    write_config(folder, "trainer = dict(max_epochs=1, limit_train_batches=2)\n", "section.py")
    return folder


@pytest.fixture(scope="module")
def done(folder: Path) -> dict[str, Done]:
    calls = {
        "options": "fit config.py --work-dir a --trainer.max_epochs 1"
        " --trainer.callbacks+=lightning.pytorch.callbacks.LearningRateMonitor",
        "section": "fit section.py --work-dir b --trainer.limit_train_batches=3",
        "trial": "fit config.py --work-dir c --trainer.fast_dev_run",
        "print": "fit section.py --work-dir d --print_config --trainer.precision bf16-mixed",
        "print wrong": "fit section.py --print_config --trainer.plugins=[1]",
        "validate": "validate config.py --ckpt_path a/epoch_1.pth --work-dir e"
        " --trainer.limit_val_batches=1",
        "last": "fit config.py --ckpt_path last --work-dir b --trainer.max_epochs 2",
        "both": "fit config.py --ckpt_path a/epoch_1.pth --resume",
        "best": "fit config.py --ckpt_path best",
        "typo": "fit config.py --trainer.max_epoch 3",
        "refused": "fit config.py --trainer.min_epochs 3",
    }
    return run_all({name: call.split() for name, call in calls.items()}, folder)


slow = pytest.mark.slow


@slow
def test_options_change_the_run_and_are_saved_with_it(folder, done):
    assert done["options"].status == 0, done["options"].err
    assert "trainer.max_epochs: train_cfg.max_epochs=1 (was 2)" in done["options"].out
    saved = Config.fromfile(folder / "a" / "config.py", import_custom_modules=False)
    assert saved.train_cfg.max_epochs == 1
    (file,) = (folder / "a").glob("*/vis_data/scalars.json")
    assert "lr-SGD" in file.read_text()


@slow
def test_an_option_wins_over_the_configs_section(done):
    assert "Epoch(train) [1][3/3]" in done["section"].out


@slow
def test_a_trial_leaves_nothing_behind(folder, done):
    assert done["trial"].status == 0, done["trial"].err
    assert "nothing was kept" in done["trial"].out
    assert not (folder / "c").exists()


@slow
def test_the_config_is_printed_as_it_would_run(folder, done, tmp_path):
    assert done["print"].status == 0, done["print"].err
    (tmp_path / "printed.py").write_text(done["print"].out)
    printed = Config.fromfile(tmp_path / "printed.py", import_custom_modules=False)
    assert printed.optim_wrapper.dtype == "bfloat16"
    assert printed.train_cfg.max_epochs == 1
    assert not (folder / "d").exists()


@slow
def test_ckpt_path_is_what_to_go_on_from(done):
    assert "Load checkpoint from a/epoch_1.pth" in done["validate"].out
    assert "[1/1]" in done["validate"].out
    assert "resumed epoch: 1, iter: 3" in done["last"].out


@slow
@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("print wrong", "trainer.plugins is not supported"),
        ("both", "--ckpt_path and --resume mean the same"),
        ("best", "name the file"),
        ("typo", "Did you mean: max_epochs"),
        ("refused", "min_epochs=3 is not supported"),
    ],
)
def test_a_wrong_call_is_said_and_ends_with_status_2(done, call, message):
    assert done[call].status == 2
    assert message in done[call].err


@slow
def test_devices_launch_processes_that_train_together(folder):
    one = run("fit", "config.py", *["--work-dir", "f", "--trainer.devices", "2"], folder=folder)
    assert one.status == 0, one.err
    assert "GPU number: 2" in one.out
    assert "Epoch(train) [1][2/2]" in one.out  # half of the four batches each
    assert one.out.count("metrics:") == 1


@slow
def test_the_status_of_a_launched_process_passes_through(folder):
    options = "--work-dir g --trainer.devices 2 --cfg-options model.bogus=1"
    one = run("fit", "config.py", *options.split(), folder=folder)
    assert one.status == 2
    assert "model.bogus" in one.err
