"""What the command line makes of its arguments, with a runner that only remembers its config."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from mm2pl import Runner, __version__, cli, uninstall_as_mmengine, version_gates
from mm2pl.cli import output, remarks
from mm2pl.cli.remarks import findings
from mm2pl.cli.script_run import split
from mm2pl.errors import ConfigError, DataError
from mm2pl.failures import describe
from mm2pl.mmengine import fileio
from mm2pl.mmengine.registry import MODELS, RUNNERS, Registry
from mm2pl.mmengine.registry.errors import import_failed
from mm2pl.plan import Note, Status

Call = Callable[..., int]


class FakeRunner:
    """Takes a config, and ends as it is told to."""

    cfg: Any = None
    error: BaseException | None = None
    notes: tuple[Note, ...] = ()
    metrics = {"toy/mean": 0.5}
    epoch, iter = 3, 12
    rank = 0

    def __init__(self, cfg: Any) -> None:
        FakeRunner.cfg = cfg
        self.work_dir = self.log_dir = cfg.work_dir
        self.logger = logging.Logger("run")
        self.final_metrics = self.metrics
        load_from, resume = cfg.get("load_from"), cfg.get("resume")
        runtime = SimpleNamespace(load_from=load_from, resume=resume, trainer={})
        self.plan = SimpleNamespace(notes=self.notes, runtime=runtime, val=1, test=1)
        self.ran: list[str] = []

    def train(self) -> None:
        self._run()

    def val(self) -> dict[str, Any]:
        return self._run()

    test = val

    def _run(self) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        return self.metrics


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Call]:
    """Give a function that calls the command line in a folder with ``config.py``."""
    monkeypatch.setattr(Runner, "from_cfg", FakeRunner)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(logging, "raiseExceptions", logging.raiseExceptions)
    monkeypatch.setattr(FakeRunner, "error", None)
    monkeypatch.setattr(FakeRunner, "notes", ())
    monkeypatch.setattr(FakeRunner, "cfg", None)
    monkeypatch.chdir(tmp_path)
    Path("config.py").write_text("a = dict(b=1, c=[1, 2])\nrandomness = dict(deterministic=True)\n")
    lightning = logging.getLogger("lightning.pytorch")
    level = lightning.level
    yield lambda *arguments: cli.main([*arguments])
    lightning.setLevel(level)
    uninstall_as_mmengine()


# --------------------------------------------------------------------------- what is run


@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_each_command_prints_its_metrics(
    call: Call, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(command, "config.py") == 0
    assert capsys.readouterr().out.startswith("metrics:\n  toy/mean: 0.5\n")


def test_the_work_dir_is_named_after_the_config(call: Call) -> None:
    call("fit", "config.py")
    assert FakeRunner.cfg.work_dir == "./work_dirs/config"


def test_the_configs_own_work_dir_comes_before_that(call: Call) -> None:
    Path("config.py").write_text("work_dir = 'own'\n")
    call("fit", "config.py")
    assert FakeRunner.cfg.work_dir == "own"


def test_the_option_comes_before_both(call: Call) -> None:
    Path("config.py").write_text("work_dir = 'own'\n")
    call("fit", "config.py", "--work-dir", "given")
    assert FakeRunner.cfg.work_dir == "given"


def test_cfg_options_reach_into_dicts_and_lists(call: Call) -> None:
    call("fit", "config.py", "--cfg-options", "a.b=0.5", "a.c.1=x", "new.key='(1, 2)'")
    assert FakeRunner.cfg.a == {"b": 0.5, "c": [1, "x"]}
    assert FakeRunner.cfg.new == {"key": (1, 2)}


def test_the_seed_joins_the_configs_randomness(call: Call) -> None:
    call("fit", "config.py", "--seed", "7")
    assert FakeRunner.cfg.randomness == {"deterministic": True, "seed": 7}


@pytest.mark.parametrize(
    ("command", "arguments", "load_from", "resume"),
    [
        ("fit", ["w.pth"], "w.pth", None),
        ("fit", ["--load-from", "w.pth"], "w.pth", None),
        ("fit", ["--resume"], None, True),
        ("fit", ["--resume", "auto"], None, True),
        ("fit", ["--resume", "w.pth"], "w.pth", True),
        ("test", ["w.pth"], "w.pth", None),
        ("test", ["--resume", "w.pth"], "w.pth", False),
        ("validate", ["--resume"], "newest.pth", False),
    ],
)
def test_where_weights_come_from(
    call: Call, command: str, arguments: list[str], load_from: str | None, resume: bool | None
) -> None:
    Path("w.pth").touch()
    Path("work_dirs/config").mkdir(parents=True)
    Path("work_dirs/config/last_checkpoint").write_text("newest.pth")
    torch.save({"state_dict": {}}, "newest.pth")
    assert call(command, "config.py", *arguments) == 0
    assert (FakeRunner.cfg.get("load_from"), FakeRunner.cfg.get("resume")) == (load_from, resume)


@pytest.mark.parametrize("arguments", [["--resume", ""], ["--load-from", ""], [""]])
def test_an_empty_name_is_no_checkpoint(
    call: Call, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call("test", "config.py", *arguments)
    assert "names no file, its value is empty" in capsys.readouterr().err


@pytest.mark.parametrize("source", ["https://host/w.pth", "torchvision://resnet18", "s3://b/w.pth"])
def test_weights_that_are_no_local_file_are_left_to_their_loader(call: Call, source: str) -> None:
    assert call("fit", "config.py", "--load-from", source) == 0


def test_user_modules_are_imported_after_the_runner(call: Call) -> None:
    Path("cli_user_module.py").write_text(
        "import sys\nseen = 'mm2pl.runner' in sys.modules\n", encoding="utf-8"
    )
    Path("config.py").write_text("custom_imports = dict(imports=['cli_user_module'])\n")
    try:
        assert call("fit", "config.py") == 0
        assert sys.modules["cli_user_module"].seen
    finally:
        sys.modules.pop("cli_user_module", None)


LOADER = (
    "default_scope = 'mmpretrain'\nwork_dir = 'w'\n"
    "train_dataloader = dict(num_workers=1, pin_memory=False)\n"
)


def test_the_librarys_profile_fills_what_the_config_leaves_out(
    call: Call, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[str] = []
    monkeypatch.setattr(logging.Logger, "info", lambda self, text: logged.append(text))
    Path("config.py").write_text(LOADER)
    call("fit", "config.py")
    collate = {"type": "default_collate"}
    assert FakeRunner.cfg.train_dataloader == {
        "persistent_workers": True,
        "collate_fn": collate,
        "num_workers": 1,
        "pin_memory": False,
    }
    assert logged == [
        "profile mmpretrain: train_dataloader.persistent_workers=True,"
        f" train_dataloader.collate_fn={collate} (--no-profile leaves this out)"
    ]


def test_no_profile_leaves_the_config_as_it_is(call: Call) -> None:
    Path("config.py").write_text(LOADER)
    call("fit", "config.py", "--no-profile")
    assert FakeRunner.cfg.train_dataloader == {"num_workers": 1, "pin_memory": False}


def test_the_runner_is_of_the_class_that_the_config_names(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RUNNERS, "build", FakeRunner)
    monkeypatch.setattr(Runner, "from_cfg", None)
    Path("config.py").write_text("runner_type = 'Own'\n")
    assert call("fit", "config.py") == 0
    assert FakeRunner.cfg.runner_type == "Own"


def test_version_gates_are_relaxed_before_the_config_imports_anything(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    relaxed: list[bool] = []
    monkeypatch.setattr(version_gates, "relax", lambda: relaxed.append(FakeRunner.cfg is None))
    call("fit", "config.py")
    call("fit", "config.py", "--relax-version-gates")
    assert relaxed == [False]


# --------------------------------------------------------------------------- remarks


@pytest.mark.parametrize(
    ("scope", "remark"),
    [
        ("mmengine", None),
        ("json", None),
        (None, None),
        ("mmflow", "'mmflow' is installed; pip install mmflow\n"),
        ("mmcls", "'mmcls' is installed; pip install mmpretrain, which came after mmcls"),
        ("mmdett", "'mmdett' is installed; did you mean 'mmdet'?"),
        ("x y", "'x y' is installed; is it spelt right?"),
    ],
)
def test_a_scope_that_nothing_registers_under_is_remarked(
    call: Call, scope: str | None, remark: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("config.py").write_text(f"default_scope = {scope!r}\n")
    call("fit", "config.py")
    err = capsys.readouterr().err
    assert (remark in err) if remark else ("note:" not in err)


def test_a_scope_with_registries_of_its_own_needs_no_package(
    call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MODELS, "_children", dict(MODELS.children))
    Registry("model", parent=MODELS, scope="toyscope")
    Path("config.py").write_text("default_scope = 'toyscope'\n")
    call("fit", "config.py")
    assert "note:" not in capsys.readouterr().err


def test_evaluating_without_weights_is_remarked(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    call("test", "config.py")
    assert "no CHECKPOINT is given" in capsys.readouterr().err


def test_what_a_run_does_otherwise_than_its_config_says_is_told_before_it(
    call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    typo = Note("optim_wraper", Status.UNKNOWN, "nothing reads this key", ("optim_wrapper",))
    notes = (Note("model", Status.AS_IS, "built"), typo)
    monkeypatch.setattr(FakeRunner, "notes", notes)
    call("fit", "config.py")
    assert capsys.readouterr().err == (
        "mm2pl: note: one key does not do what the config says:\n"
        "  optim_wraper: unknown: nothing reads this key; did you mean 'optim_wrapper'?\n"
    )


def test_a_trial_is_not_told_that_its_schedules_end_early() -> None:
    notes = (Note("param_scheduler[1].milestones", Status.NO_EFFECT, "never reached"),)
    assert remarks.notes_of(SimpleNamespace(notes=notes, runtime=SimpleNamespace(trainer={}))) == [
        *notes
    ]
    trial = SimpleNamespace(trainer={"fast_dev_run": 1})
    assert remarks.notes_of(SimpleNamespace(notes=notes, runtime=trial)) == []


def test_of_many_findings_the_first_are_told_and_what_shows_all() -> None:
    notes = [Note(f"key{i}", Status.NO_EFFECT, "long " * 99) for i in range(20)]
    lines = findings(notes, "config.py")
    assert lines[0] == "note: 20 keys do not do what the config says:"
    assert len(lines) == 9
    assert max(map(len, lines)) < 170
    assert lines[-1] == "  and 13 more; mm2pl check config.py shows all"


def test_without_findings_nothing_is_told() -> None:
    assert findings([Note("model", Status.AS_IS, "built")], "config.py") == []


@pytest.mark.parametrize(
    ("processes", "launcher", "told"),
    [("2", None, True), ("2", "none", True), ("2", "pytorch", False), ("1", None, False)],
)
def test_processes_that_train_each_alone_are_remarked(
    call: Call,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    processes: str,
    launcher: str | None,
    told: bool,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", processes)
    monkeypatch.setenv("LOCAL_RANK", "0")
    call("fit", "config.py", *(["--launcher", launcher] if launcher else []))
    assert ("each trains alone" in capsys.readouterr().err) is told


@pytest.mark.parametrize(
    "arguments",
    [
        ["--local-rank=1", "fit", "config.py"],
        ["--local_rank", "1", "fit", "config.py"],
        ["fit", "config.py", "--local_rank", "1"],
    ],
)
@pytest.mark.parametrize("given", [None, "3"])
def test_the_local_rank_is_the_environments_or_the_options(
    call: Call, monkeypatch: pytest.MonkeyPatch, arguments: list[str], given: str | None
) -> None:
    monkeypatch.setenv("LOCAL_RANK", given or "")
    if given is None:
        monkeypatch.delenv("LOCAL_RANK")
    assert call(*arguments) == 0
    assert os.environ["LOCAL_RANK"] == (given or "1")


def test_a_resume_with_nothing_there_says_that_nothing_is_loaded(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("config.py").write_text("load_from = 'https://host/w.pth'\n")
    call("fit", "config.py", "--resume")
    assert FakeRunner.cfg.load_from is None
    assert "training starts anew, without the config's load_from" in capsys.readouterr().err


def test_weights_named_beside_resume_are_loaded_where_there_is_nothing_to_resume(
    call: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("config.py").write_text("work_dir = 'runs'\n")
    Path("begin.pth").touch()
    command = ("fit", "config.py", "--load-from", "begin.pth", "--resume")
    assert call(*command) == 0
    assert (FakeRunner.cfg.load_from, FakeRunner.cfg.resume) == ("begin.pth", False)
    assert "training starts anew, with begin.pth" in capsys.readouterr().err
    Path("runs").mkdir()
    Path("runs/last_checkpoint").write_text("runs/epoch_1.pth")
    assert call(*command) == 0
    assert (FakeRunner.cfg.load_from, FakeRunner.cfg.resume) == (None, True)
    assert "training goes on from runs, without begin.pth" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        call("validate", *command[1:])
    assert "leave CHECKPOINT and --load-from out" in capsys.readouterr().err


def test_a_checkpoint_is_found_at_home_and_a_folder_is_told_its_newest_one(
    call: Call, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", os.getcwd())
    Path("config.py").write_text("work_dir = 'runs'\n")
    Path("begin.pth").touch()
    assert call("fit", "config.py", "--resume", "~/begin.pth") == 0
    Path("old").mkdir()
    Path("old/last_checkpoint").write_text("old/epoch_1.pth")
    assert call("fit", "config.py", "--resume", "old") != 0
    assert "the newest one in it is old/epoch_1.pth" in capsys.readouterr().err


# --------------------------------------------------------------------------- how it ends


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "config.py"], "no command 'train'\nDid you mean: fit?"),
        (["val", "config.py"], "no command 'val'\nDid you mean: validate?"),
        (["fti"], "no command 'fti'\nDid you mean: fit?"),
        (["xyz"], "no command 'xyz'\nHint: there are fit, validate, test, "),
        (["config.py", "test"], "the command comes first\nHint: mm2pl test config.py"),
        (["config.py"], "the command comes first\nHint: mm2pl fit config.py"),
        (["--amp", "fit", "config.py"], "comes first\nHint: mm2pl fit CONFIG --amp ..."),
        (["tools/train.py", "config.py"], "Hint: a script is run by mm2pl run tools/train.py"),
        (["--verison"], "no command '--verison'"),
        (["fit", "config.py", "--reume"], "option --reume\nDid you mean: --resume?\n"),
        (["fit", "config.py", "--xyz=1"], "unknown option --xyz\n"),
        (["fit", "config.py", "a.pth", "b"], "too many arguments: b"),
        (["run", "--bogus", "a.py"], "usage: mm2pl run [--relax-version-gates] (SCRIPT"),
        (["run", "--bogus", "a.py"], "mm2pl: error: unknown option --bogus"),
        (["fit"], "required: CONFIG\nHint: CONFIG comes before the options"),
        (["fit", "--config", "config.py"], "unknown option --config\nHint: CONFIG and CHECKPOINT"),
        (["fit", "--config=config.py"], "required: CONFIG\nHint: CONFIG and CHECKPOINT stand"),
        (["fit", "config.py", "--gpus", "2"], "Hint: --trainer.devices=N"),
        (["fit", "config.py", "--model.lr=3"], "unknown option --model.lr\nHint: the config says"),
        (["fit", "config.py", "--trainer", "x.yaml"], "Hint: one option for each argument"),
        (["fit", "config.py", "--launcher", "x"], "invalid choice: 'x'"),
        (["fit", "config.py", "--seed", "x"], "--seed: must be a whole number"),
        (["fit", "config.py", "--seed", "-1"], "--seed: must be a whole number"),
        (["fit", "config.py", "--seed", str(2**32)], "--seed: must be a whole number"),
        (["fit", "config.py", "--cfg-options", "a=[1,2"], "[1,2"),
        (["fit", "config.py", "a.pth", "--load-from", "b.pth"], "mean the same"),
        (["fit", "config.py", "a.pth", "--resume", "b.pth"], "--resume says what to load"),
    ],
)
def test_a_wrong_call_ends_with_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.py"], "nowhere.py: the config file does not exist"),
        (["."], "this is a folder"),
        (
            ["config.py", "--cfg-options", "a.c.5=1"],
            "(set by the command line), a.c.5: --cfg-options",
        ),
        (["config.py", "--cfg-options", "a..b=1"], "'a..b' has an empty part"),
        (
            ["config.py", "nowhere.pth"],
            "(set by the command line), load_from: the checkpoint nowhere.pth",
        ),
    ],
)
def test_a_wrong_config_ends_with_status_2(
    call: Call, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("fit", *arguments) == 2
    assert message in capsys.readouterr().err
    assert FakeRunner.cfg is None


def test_a_failure_ends_with_status_1_and_no_traceback(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeRunner, "error", DataError("no samples"))
    assert call("fit", "config.py") == 1
    err = capsys.readouterr().err
    assert "mm2pl: error: no samples\n" in err
    assert "Traceback" not in err


def test_the_traceback_is_shown_on_request(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(FakeRunner, "error", DataError("no samples"))
    assert call("fit", "config.py", "--traceback") == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize("saved", [True, False])
def test_ctrl_c_ends_with_status_130_and_says_where(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], saved: bool
) -> None:
    monkeypatch.setattr(FakeRunner, "error", KeyboardInterrupt())
    Path("w").mkdir()
    if saved:
        Path("w/last_checkpoint").write_text("w/epoch_3.pth")
    assert call("fit", "config.py", "--work-dir", "w") == 130
    err = capsys.readouterr().err
    assert err.startswith("mm2pl: interrupted after epoch 3, iteration 12")
    assert ("w/epoch_3.pth" in err and "--resume" in err) is saved


def test_of_several_processes_one_says_where_it_was_interrupted(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(FakeRunner, "error", KeyboardInterrupt())
    assert call("fit", "config.py") == 130
    assert capsys.readouterr().err == ""


def test_of_several_processes_others_than_the_first_say_an_error_in_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr(FakeRunner, "error", ConfigError("no", key_path="a.b", hint="do"))
    assert call("fit", "config.py") == 2
    err = capsys.readouterr().err
    assert err == "mm2pl: error in process 1: config.py:1, a.b: no\n"


def test_ctrl_c_while_the_options_are_read_ends_with_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "parse", interrupted)
    assert cli.main(["fit", "config.py"]) == 130
    assert capsys.readouterr().err == "mm2pl: interrupted\n"


@pytest.mark.parametrize("file", ["m.json", "sub/m.yaml"])
def test_the_metrics_are_written_where_out_says(call: Call, file: str) -> None:
    assert call("test", "config.py", "--out", file) == 0
    assert fileio.load(file) == {"toy/mean": 0.5}


def test_missing_operators_are_explained_once() -> None:
    error = ModuleNotFoundError("No module named 'mmcv._ext'", name="mmcv._ext")
    told = describe(import_failed("mmdet.models", "MODELS", error), "config.py")
    assert told.count("mmcv-lite has no operators") == 1


# --------------------------------------------------------------------------- output


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


VALUES = {"toy/mean": 0.5, "coco/bbox_mAP": 0.25}


@pytest.mark.parametrize("dumb", [True, False])
def test_values_stand_one_below_the_other_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, dumb: bool
) -> None:
    monkeypatch.setenv("TERM", "dumb" if dumb else "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal() if dumb else io.StringIO())
    assert output.table("metrics", VALUES) == (
        "metrics:\n  toy/mean:      0.5\n  coco/bbox_mAP: 0.25"
    )


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_a_table(monkeypatch: pytest.MonkeyPatch, no_color: str) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys, "stdout", Terminal())
    drawn = output.table("metrics", VALUES)
    assert "│ coco/bbox_mAP │" in drawn
    assert ("\033[3" in drawn) is False


@pytest.mark.parametrize(
    ("stream", "no_color", "coloured"),
    [(Terminal, "", True), (Terminal, "1", False), (io.StringIO, "", False)],
)
def test_only_a_terminal_gets_colours_unless_they_are_unwanted(
    monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO], no_color: str, coloured: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr(sys, "stderr", stream())
    output.say("error: x\nHint: y")
    plain = "mm2pl: error: x\nHint: y\n"
    assert isinstance(sys.stderr, io.StringIO)
    said = sys.stderr.getvalue()
    assert re.sub(r"\033\[[\d;]*m", "", said) == plain
    assert (said != plain) is coloured


# --------------------------------------------------------------------------- help


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    out = capsys.readouterr().out
    assert end.value.code == 0
    assert re.fullmatch(
        rf"mm2pl {re.escape(__version__)} \(Python 3\.\S+, torch \d\S+, lightning \d\S+\)\n", out
    )


def test_without_a_command_the_help_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "examples:" in capsys.readouterr().err


def test_the_help_shows_the_commands_and_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["--help"])
    out = capsys.readouterr().out
    assert end.value.code == 0
    expected = (*(f"    {name}" for name in cli.COMMANDS), "examples:", "exit status:")
    assert [text for text in expected if text not in out] == []


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_help_of_each_command_has_examples_in_100_columns(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "250")
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    out = capsys.readouterr().out
    assert f"mm2pl {name}" in out.partition("examples:")[2]
    assert max(map(len, out.splitlines())) <= 100


@pytest.mark.parametrize("name", ["fit", "validate", "test"])
def test_the_options_of_a_run_are_in_groups(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    out = capsys.readouterr().out
    assert [group for group in ("\nrun:\n", "\nOpenMMLab:\n") if group not in out] == []


def test_the_help_needs_neither_torch_nor_much_time() -> None:
    program = (
        "import sys, time\nfrom mm2pl.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(time.process_time(), sorted({'torch', 'lightning', 'rich'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    seconds, _, imported = done.stdout.splitlines()[-1].partition(" ")
    assert imported == "[]"
    assert float(seconds) < 0.3


def test_arguments_may_stand_between_the_options(call: Call) -> None:
    Path("w.pth").touch()
    assert call("test", "config.py", "--work-dir", "d", "w.pth") == 0
    assert FakeRunner.cfg.load_from == "w.pth"


def test_the_help_of_run_shows_what_can_be_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "--help"])
    out = capsys.readouterr().out
    expected = ("(SCRIPT | -m MODULE) [ARGS ...]", "PACKAGE:NAME", "--relax-version-gates")
    assert end.value.code == 0
    assert [text for text in expected if text not in out] == []


@pytest.mark.parametrize(
    ("arguments", "own", "script"),
    [
        ([], [], []),
        (["a.py"], [], ["a.py"]),
        (["a.py", "--help", "-m", "b"], [], ["a.py", "--help", "-m", "b"]),
        (["--relax-version-gates", "a.py", "-x"], ["--relax-version-gates"], ["a.py", "-x"]),
        (["--help", "a.py"], ["--help"], ["a.py"]),
        (["--", "a.py", "--", "b"], [], ["a.py", "--", "b"]),
        (["--relax-version-gates", "--", "-m", "a"], ["--relax-version-gates"], ["-m", "a"]),
        (["-m", "a", "--help"], [], ["-m", "a", "--help"]),
    ],
)
def test_the_scripts_arguments_begin_with_its_name(
    arguments: list[str], own: list[str], script: list[str]
) -> None:
    assert split(arguments) == (own, script)


@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_each_commands_help_explains_each_option(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main([command, "--help"])
    out = capsys.readouterr().out
    options = ("CONFIG", "CHECKPOINT", "--work-dir DIR", "--cfg-options KEY=VALUE")
    more = ("--load-from FILE", "--resume [FILE]", "--seed N", "--traceback")
    more += ("--no-profile", "--relax-version-gates")
    assert [option for option in (*options, *more) if option not in out] == []


def test_a_process_ends_without_a_last_collection_through_all_of_torch() -> None:
    code = (
        "import atexit, gc\n"
        "atexit.register(lambda: print('frozen:', gc.get_freeze_count() > 0))\n"
        "from mm2pl.cli import main\n"
        "main(['completion', 'bash'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "frozen: True"
