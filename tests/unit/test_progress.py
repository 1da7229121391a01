"""A bar on a terminal, below the log; nothing elsewhere."""

from __future__ import annotations

import fcntl
import io
import logging
import os
import pty
import random
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from mm2pl.mmengine.logging import MessageHub
from mm2pl.mmengine.runner import BaseLoop
from mm2pl.progress import RunProgress, _AboveBar, progress_bars
from tests.cli.calls import command, environment, write_config

WIDTH = 100


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "term", "bars"),
    [
        (Terminal(), "xterm-256color", 1),
        (Terminal(), "dumb", 0),
        (Terminal(), "", 0),
        (io.StringIO(), "xterm-256color", 0),
    ],
)
def test_there_is_a_bar_only_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, term: str, bars: int
) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", term)
    assert len(progress_bars(SimpleNamespace())) == bars  # type: ignore[arg-type]


def test_log_lines_pass_through_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    out = Terminal()
    stream = _AboveBar(Console(file=out, force_terminal=True, width=20))
    line = "\x1b[33m[bold]a line[/bold]\x1b[0m that is longer than the terminal: 1.5\n"
    stream.write(line)
    assert out.getvalue() == line


@pytest.fixture
def runner() -> Any:
    handler = logging.StreamHandler(Terminal())
    logger = logging.Logger("run")
    logger.addHandler(handler)
    hub = MessageHub.get_instance("progress")
    hub.update_scalar("train/loss", 0.25)
    hub.update_scalar("train/lr", 0.001)
    loop = SimpleNamespace(by_epoch=True, epoch=2, max_epochs=5, iter=0, max_iters=50)
    return SimpleNamespace(logger=logger, message_hub=hub, train_loop=loop)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Give what the bar is drawn on."""
    out = Terminal()
    console = Console(file=out, force_terminal=True, width=WIDTH)
    monkeypatch.setattr("rich.progress.get_console", lambda: console)
    return out


def text_of(screen: Terminal) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())


def test_the_bar_counts_epochs_as_the_log_does_and_shows_loss_and_rate(
    runner: Any, screen: Terminal
) -> None:
    bar, trainer = RunProgress(runner), SimpleNamespace(num_training_batches=2)
    bar.on_train_start(trainer, None)  # type: ignore[arg-type]
    bar.on_train_epoch_start(trainer, None)  # type: ignore[arg-type]
    for index in range(2):
        bar.on_train_batch_end(trainer, None, None, None, index)  # type: ignore[arg-type]
    bar.on_train_end(trainer, None)  # type: ignore[arg-type]
    text = text_of(screen)
    assert "Epoch 3/5" in text
    assert "2/2" in text
    assert "loss 0.25  lr 0.001" in text


def test_a_loop_that_drives_itself_is_one_step_under_its_name(
    runner: Any, screen: Terminal
) -> None:
    class OwnLoop(BaseLoop):
        def run(self) -> None:
            return None

    runner.train_loop = OwnLoop.__new__(OwnLoop)
    bar, trainer = RunProgress(runner), SimpleNamespace(num_training_batches=1)
    bar.on_train_start(trainer, None)  # type: ignore[arg-type]
    bar.on_train_epoch_start(trainer, None)  # type: ignore[arg-type]
    bar.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]
    bar.on_train_end(trainer, None)  # type: ignore[arg-type]
    assert re.search("OwnLoop .*1/1", text_of(screen))


def test_an_iteration_based_bar_counts_iterations_from_where_a_run_resumes(
    runner: Any, screen: Terminal
) -> None:
    runner.train_loop = SimpleNamespace(by_epoch=False, iter=30, max_iters=50)
    bar, trainer = RunProgress(runner), SimpleNamespace(num_training_batches=20)
    bar.on_train_start(trainer, None)  # type: ignore[arg-type]
    bar.on_train_epoch_start(trainer, None)  # type: ignore[arg-type]
    bar.on_train_end(trainer, None)  # type: ignore[arg-type]
    assert "30/50" in text_of(screen)


@pytest.mark.parametrize("end", ["on_train_end", "on_exception"])
def test_the_log_has_its_stream_back_and_the_cursor_is_shown_when_all_is_over(
    runner: Any, screen: Terminal, end: str
) -> None:
    handler = runner.logger.handlers[0]
    stream, out = handler.stream, sys.stdout
    bar = RunProgress(runner)
    bar.on_train_start(None, None)  # type: ignore[arg-type]
    assert isinstance(handler.stream, _AboveBar)
    arguments = (None, None, ValueError()) if end == "on_exception" else (None, None)
    getattr(bar, end)(*arguments)
    assert handler.stream is stream
    assert sys.stdout is out
    assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") == 1


def test_a_file_that_the_log_goes_to_is_left_alone(
    runner: Any, screen: Terminal, tmp_path: Path
) -> None:
    to_file = logging.FileHandler(tmp_path / "run.log")
    runner.logger.addHandler(to_file)
    bar = RunProgress(runner)
    bar.on_train_start(None, None)  # type: ignore[arg-type]
    assert not isinstance(to_file.stream, _AboveBar)
    bar.on_train_end(None, None)  # type: ignore[arg-type]
    to_file.close()


def test_a_disabled_bar_draws_nothing(runner: Any, screen: Terminal) -> None:
    bar, trainer = RunProgress(runner), SimpleNamespace(num_training_batches=2)
    bar.disable()
    bar.on_train_start(trainer, None)  # type: ignore[arg-type]
    bar.on_train_epoch_start(trainer, None)  # type: ignore[arg-type]
    bar.on_train_batch_end(trainer, None, None, None, 0)  # type: ignore[arg-type]
    assert screen.getvalue() == ""


def test_drawing_takes_no_random_numbers(runner: Any, screen: Terminal) -> None:
    state = random.getstate()
    bar, trainer = RunProgress(runner), SimpleNamespace(num_training_batches=2)
    bar.on_train_start(trainer, None)  # type: ignore[arg-type]
    bar.on_train_epoch_start(trainer, None)  # type: ignore[arg-type]
    runner.logger.warning("a line")
    bar.on_train_end(trainer, None)  # type: ignore[arg-type]
    assert random.getstate() == state


# --------------------------------------------------------------------------- real terminals


def on_terminal(*arguments: str, folder: Path) -> tuple[int, str]:
    """Run a command line on a pseudo-terminal; return its status and all that it wrote."""
    terminal, other_end = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, WIDTH, 0, 0))
    process = subprocess.Popen(
        command(*arguments),
        cwd=folder,
        env={**environment(), "TERM": "xterm-256color"},
        stdin=other_end,
        stdout=other_end,
        stderr=other_end,
    )
    os.close(other_end)
    written = b""
    while True:
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # Linux's way to say that the other end is closed
            chunk = b""
        if not chunk:
            break
        written += chunk
    os.close(terminal)
    return process.wait(), written.decode()


class Screen:
    """What a terminal shows after it was sent some text: just what the bar's escapes need."""

    def __init__(self) -> None:
        self.lines = [""]
        self.row = 0

    def send(self, text: str) -> Screen:
        for part in re.findall(r"\x1b\[([0-9;?]*)([a-zA-Z])|([\r\n])|([^\x1b\r\n]+)", text):
            number, code, control, plain = part
            if control == "\n":
                self.row += 1
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif code == "A":
                self.row -= int(number or 1)
            elif code == "K":
                self.lines[self.row] = ""
            elif plain:
                self.lines[self.row] += plain
        return self


BY_ITERATION = """
train_cfg = dict(_delete_=True, by_epoch=False, max_iters=8, val_interval=4)
log_processor = dict(by_epoch=False)
default_hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=4))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "body", "bars"),
    [
        (("fit",), "", ["Epoch 1/2", "Epoch 2/2", "Validate"]),
        (("fit",), BY_ITERATION, ["Train", "8/8", "Validate"]),
        (("validate",), "", ["Validate"]),
        (("test",), "", ["Test"]),
    ],
)
def test_a_terminal_shows_the_log_whole_and_the_bar_is_gone_at_the_end(
    tmp_path: Path, arguments: tuple[str, ...], body: str, bars: list[str]
) -> None:
    config = write_config(tmp_path, body)
    status, written = on_terminal(*arguments, config, "--work-dir", "w", folder=tmp_path)
    assert status == 0, written
    assert [bar for bar in bars if bar not in written] == []
    shown = [line.rstrip() for line in Screen().send(written).lines]
    assert not [line for line in shown if "\u2501" in line]
    log = next(tmp_path.glob("w/*/*.log")).read_text().splitlines()
    wanted = [line.partition(" - mmengine - ")[2].rstrip() for line in log if "mmengine" in line]
    found = [line.partition(" - mmengine - ")[2].rstrip() for line in shown]
    assert [line for line in wanted if line not in found] == []


@pytest.mark.slow
def test_weights_are_the_same_with_and_without_a_bar(tmp_path: Path) -> None:
    from mm2pl import checkpoint

    config = write_config(tmp_path)
    on_terminal("fit", config, "--work-dir", "terminal", folder=tmp_path)
    subprocess.run(
        command("fit", config, "--work-dir", "pipe"),
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        check=True,
    )
    one, other = (checkpoint.read(tmp_path / d / "epoch_2.pth") for d in ("terminal", "pipe"))
    assert one["state_dict"]["linear.weight"].equal(other["state_dict"]["linear.weight"])
