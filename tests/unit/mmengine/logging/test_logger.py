"""MMLogger and print_log: MMEngine's lines, files and ranks."""

from __future__ import annotations

import inspect
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mm2pl.mmengine.logging import MMLogger, print_log


def lines(package: str, folder: str) -> dict[str, Any]:
    """Return what loggers write, without times and places; runs with MMEngine and with mm2pl."""
    import contextlib
    import importlib
    import io
    import os
    import re
    import sys

    module = importlib.import_module(f"{package}.logging.logger")
    count = iter(range(100))

    def clean(text: str) -> str:
        text = re.sub(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d", "LONG-TIME", text)
        text = re.sub(r"\d\d/\d\d \d\d:\d\d:\d\d", "SHORT-TIME", text)
        return re.sub(r"(- )\S+ - \w+ - \d+( - [a-z])", r"\1PLACE\2", text)

    def everything(logger: Any) -> None:
        logger.debug("a debug line")
        logger.info("a line with %d argument", 1)
        for _ in range(2):
            logger.warning("a repeated warning")
        logger.warning("another warning\nof two lines")
        for _ in range(2):
            logger.error("a repeated error")
        logger.log(module.logging.INFO, {"a": 1})
        try:
            raise ValueError("gone wrong")
        except ValueError as error:
            logger.info(f"caught: {error}")

    def logged(use: Any = everything, **arguments: Any) -> list[Any]:
        path = os.path.join(folder, f"{next(count)}.log")
        name = arguments.pop("name", f"logger {path}")
        with contextlib.redirect_stdout(io.StringIO()) as screen:
            logger = module.MMLogger(name=name, log_file=path, **arguments)
            use(logger)
            for handler in logger.handlers[1:]:
                handler.close()
        file = None
        if os.path.exists(path):
            with open(path) as opened:
                file = clean(opened.read())
        found = [clean(screen.getvalue()), file, logger.log_file == path, logger.name, logger.level]
        return [*found, [(type(one).__name__, one.level) for one in logger.handlers]]

    def with_level_changed(logger: Any) -> None:
        logger.info("seen")
        logger.setLevel("ERROR")
        logger.info("not seen")
        logger.error("an error")
        logger.setLevel(module.logging.DEBUG)
        logger.info("seen again")

    found: dict[str, Any] = {
        "default": logged(),
        "debug": logged(log_level="DEBUG"),
        "warning": logged(log_level="WARNING"),
        "a number as level": logged(log_level=40),
        "another name": logged(logger_name="mmdet"),
        "levels changed": logged(with_level_changed),
        "rotating": logged(file_handler_cfg={"type": "RotatingFileHandler", "maxBytes": 10**6}),
        "timed": logged(file_handler_cfg={"type": "TimedRotatingFileHandler", "when": "MIDNIGHT"}),
    }
    termcolor = sys.modules.get("termcolor.termcolor")
    os.environ["FORCE_COLOR"] = "1"
    if termcolor is not None:
        termcolor.can_colorize.cache_clear()
    found["colours"] = logged(log_level="DEBUG")
    with contextlib.redirect_stdout(io.StringIO()):
        blinking = module.MMFormatter(blink=True)
    record = module.logging.LogRecord("n", 20, "p", 1, "m", (), None)
    found["blinking"] = clean(blinking.format(record).split(" - ", 1)[1])
    del os.environ["FORCE_COLOR"]
    if termcolor is not None:
        termcolor.can_colorize.cache_clear()
    return found


def files_of_ranks(package: str, folder: str) -> dict[str, Any]:
    """Return the files and handlers of every rank, with the process group played."""
    import contextlib
    import importlib
    import io
    import os

    module = importlib.import_module(f"{package}.logging.logger")
    dist = importlib.import_module(f"{package}.dist")
    real = dist.get_rank, dist.get_world_size
    found = {}
    for rank in (0, 1):
        os.environ["LOCAL_RANK"] = str(rank)
        dist.get_rank, dist.get_world_size = (lambda rank=rank: rank), lambda: 2
        for case, arguments in {
            "plain": {},
            "distributed": {"distributed": True},
            "debug": {"log_level": "DEBUG"},
        }.items():
            sub = os.path.join(folder, f"{case}_{rank}")
            os.makedirs(sub)
            with contextlib.redirect_stdout(io.StringIO()) as screen:
                logger = module.MMLogger(case, log_file=os.path.join(sub, "a.b.log"), **arguments)
                logger.info("info")
                logger.error("error")
            for handler in logger.handlers[1:]:
                handler.close()
            log_file = os.path.relpath(logger.log_file, folder)
            levels = [handler.level for handler in logger.handlers]
            files = sorted(os.listdir(sub))
            found[f"{case} {rank}"] = [files, log_file, levels, screen.getvalue().count("\n")]
    del os.environ["LOCAL_RANK"]
    dist.get_rank, dist.get_world_size = real
    return found


@pytest.fixture(scope="module")
def theirs(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folders = [str(tmp_path_factory.mktemp("theirs")) for _ in range(2)]
    source = "\n".join(inspect.getsource(function) for function in (lines, files_of_ranks))
    return reference.run(
        f"from __future__ import annotations\nimport json\nfrom typing import Any\n{source}\n"
        f"print(json.dumps([lines('mmengine', {folders[0]!r}),"
        f" files_of_ranks('mmengine', {folders[1]!r})]))"
    )


def test_lines_on_screen_and_in_files_equal_mmengines(theirs: Any, tmp_path: Path) -> None:
    ours = lines("mm2pl.mmengine", str(tmp_path))
    for case, expected in theirs[0].items():
        assert (case, _as_json(ours[case])) == (case, expected)


def test_each_rank_writes_the_file_that_mmengine_writes(theirs: Any, tmp_path: Path) -> None:
    pytest.importorskip("mm2pl.mmengine.dist")
    assert _as_json(files_of_ranks("mm2pl.mmengine", str(tmp_path))) == theirs[1]


def _as_json(value: Any) -> Any:
    import json

    return json.loads(json.dumps(value))


def test_a_level_without_a_format_is_shown_under_its_own_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logger = MMLogger("a")
    logger.info("first")
    logger.critical("second")
    assert [line.split(" - ")[2] for line in capsys.readouterr().out.splitlines()] == [
        "INFO",
        "CRITICAL",
    ]


def test_an_error_names_the_place_that_called_print_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_log("wrong", MMLogger("a"), logging.ERROR)
    assert "test_logger.py - test_an_error_names_the_place" in capsys.readouterr().out


def test_a_warning_that_cannot_be_hashed_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    logger = MMLogger("a")
    logger.warning(["unhashable"])
    logger.warning(["unhashable"])
    assert capsys.readouterr().out.count("unhashable") == 1


def test_the_handlers_config_is_left_as_it_was(tmp_path: Path) -> None:
    cfg = {"type": "WatchedFileHandler"}
    logger = MMLogger("a", log_file=str(tmp_path / "a.log"), file_handler_cfg=cfg)
    logger.handlers[1].close()
    assert cfg == {"type": "WatchedFileHandler"}


def test_an_unknown_handler_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Did you mean: RotatingFileHandler"):
        MMLogger("a", log_file=str(tmp_path / "a"), file_handler_cfg={"type": "RotatingFilehandlr"})


def test_an_unknown_level_is_refused_with_the_nearest() -> None:
    with pytest.raises(KeyError, match="Did you mean: WARNING"):
        MMLogger("a", log_level="WARNNG")


def test_blinking_without_colour_is_refused() -> None:
    from mm2pl.mmengine.logging.logger import MMFormatter

    with pytest.raises(AssertionError, match="color=True"):
        MMFormatter(color=False, blink=True)


def test_the_current_instance_is_the_newest_and_one_is_made_if_need_be() -> None:
    assert MMLogger.get_current_instance().instance_name == "mmengine"
    newest = MMLogger.get_instance("newest")
    assert MMLogger.get_current_instance() is newest


@pytest.mark.parametrize(
    ("logger", "level", "expected"),
    [
        (None, logging.ERROR, "text\n"),
        ("silent", logging.ERROR, ""),
        ("current", logging.INFO, "INFO - text\n"),
        ("known", logging.WARNING, "WARNING - text\n"),
    ],
)
def test_print_log_finds_the_logger(
    logger: str | None, level: int, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    MMLogger.get_instance("known")
    print_log("text", logger, level)
    assert capsys.readouterr().out.endswith(expected)
    assert bool(expected) or capsys.readouterr().out == ""


def test_print_log_logs_to_a_logger_of_pythons(caplog: pytest.LogCaptureFixture) -> None:
    print_log("text", logging.getLogger("python"), logging.WARNING)
    assert caplog.messages == ["text"]


def test_print_log_refuses_a_name_that_is_not_there() -> None:
    MMLogger.get_instance("mine")
    with pytest.raises(ValueError, match="'mien' has been created; nearest: mine"):
        print_log("text", "mien")


def test_print_log_refuses_what_is_no_logger() -> None:
    with pytest.raises(TypeError, match="must be a Logger"):
        print_log("text", 3)  # type: ignore[arg-type]


def test_logging_imports_no_torch() -> None:
    source = (
        "import sys; from mm2pl.mmengine.logging import MMLogger, MessageHub\n"
        "MMLogger.get_instance('a').info('x'); MessageHub.get_instance('a').update_scalar('x', 1)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["False"], done.stderr
