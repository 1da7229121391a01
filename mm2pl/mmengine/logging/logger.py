"""The logger of a run, in MMEngine's line format."""

from __future__ import annotations

import getpass
import logging
import logging.handlers
import os
import socket
import sys
import warnings
from logging import Logger, LogRecord
from pathlib import Path
from typing import Any

from mm2pl.errors import ConfigError, ConfigKeyError, nearest
from mm2pl.mmengine.utils.manager import ManagerMixin

_PLACE = "%(pathname)s - %(funcName)s - %(lineno)d - "
_FILE_DATES = "%Y/%m/%d %H:%M:%S"
_TERMINAL_DATES = "%m/%d %H:%M:%S"

# Level: foreground colour, whether it always blinks, whether the line says where it was logged.
_LEVELS = {
    logging.ERROR: (31, True, True),
    logging.WARNING: (33, True, False),
    logging.INFO: (97, False, False),
    logging.DEBUG: (32, False, False),
}
_UNDERLINE, _BLINK = 4, 5


class FilterDuplicateWarning(logging.Filter):
    """Lets each warning message through once.

    Args:
        name: As in :class:`logging.Filter`.
    """

    def __init__(self, name: str = "mmengine") -> None:
        super().__init__(name)
        self.seen: set[str] = set()

    def filter(self, record: LogRecord) -> bool:
        """Return whether the record is to be logged."""
        if record.levelno != logging.WARNING:
            return True
        message = str(record.msg)  # MMEngine's set holds the object itself and fails for lists
        new = message not in self.seen
        self.seen.add(message)
        return new


class MMFormatter(logging.Formatter):
    """``time - name - LEVEL - message``; errors also say where they were logged.

    Differs: a level that MMEngine has no format for (CRITICAL, numbers of one's own) is shown under
    its own name; MMEngine shows it under that of the line before. Colours are used on terminals
    only, by the NO_COLOR and FORCE_COLOR conventions.

    Args:
        color: Whether to colour the level. Not for files.
        blink: Whether INFO and DEBUG blink too.
        **kwargs: For :class:`logging.Formatter`, such as ``datefmt``.

    Raises:
        AssertionError: ``blink`` without ``color``.
    """

    def __init__(self, color: bool = True, blink: bool = False, **kwargs: Any) -> None:
        if blink and not color:
            raise AssertionError("blink needs color=True")
        super().__init__(_line("%(levelname)s", located=False), **kwargs)
        colored = color and _terminal_has_colors()
        self._formats = {}
        for level, (hue, blinks, located) in _LEVELS.items():
            label = logging.getLevelName(level)
            if colored:
                label = _colored(label, hue, blinks or blink)
            self._formats[level] = _line(label, located)

    def formatMessage(self, record: LogRecord) -> str:
        """Return the line of a record whose message and time are formatted already."""
        line = self._formats.get(record.levelno)
        return super().formatMessage(record) if line is None else line % record.__dict__


def _line(level: str, located: bool) -> str:
    return f"%(asctime)s - %(name)s - {level} - {_PLACE if located else ''}%(message)s"


def _colored(text: str, hue: int, blinks: bool) -> str:
    codes = [_BLINK, _UNDERLINE, hue] if blinks else [_UNDERLINE, hue]
    return "".join(f"\033[{code}m" for code in codes) + text + "\033[0m"


def _terminal_has_colors() -> bool:
    environ = os.environ
    if environ.get("ANSI_COLORS_DISABLED") or environ.get("NO_COLOR"):
        return False
    if environ.get("FORCE_COLOR"):
        return True
    return environ.get("TERM") != "dumb" and sys.stdout.isatty()


class MMLogger(Logger, ManagerMixin):
    """A logger that is found by its instance name and is no part of :mod:`logging`'s tree.

    It writes to standard output (errors only, on ranks other than 0) and, if asked, to a file.
    Differs: ``file_handler_cfg`` is not modified.

    Args:
        name: The name of the instance (see ``get_instance``).
        logger_name: The name in the lines.
        log_file: A file to log to as well. Rank 0 writes it; with ``distributed`` or at level DEBUG
            every rank of several writes its own, named after host, device and rank.
        log_level: Name or number of the lowest level that is written.
        file_mode: How the file is opened.
        distributed: Whether every rank writes a file.
        file_handler_cfg: ``dict(type=..., ...)`` of a file handler in :mod:`logging.handlers`.

    Raises:
        KeyError: There is no level of that name.
        ValueError: There is no such file handler, or its ``type`` is missing.
    """

    def __init__(
        self,
        name: str,
        logger_name: str = "mmengine",
        log_file: str | None = None,
        log_level: int | str = "INFO",
        file_mode: str = "w",
        distributed: bool = False,
        file_handler_cfg: dict[str, Any] | None = None,
    ) -> None:
        Logger.__init__(self, logger_name)
        ManagerMixin.__init__(self, name)
        level = _level_number(log_level)
        rank, world_size = _rank_and_world_size()
        self._add(
            logging.StreamHandler(sys.stdout),
            level if rank == 0 else logging.ERROR,
            MMFormatter(color=True, datefmt=_TERMINAL_DATES),
        )
        if log_file is not None:
            every_rank = (level <= logging.DEBUG or distributed) and world_size > 1
            if every_rank:
                log_file = _file_of_rank(log_file, rank)
            if every_rank or rank == 0:
                self._add(
                    _file_handler(log_file, file_mode, file_handler_cfg),
                    level,
                    MMFormatter(color=False, datefmt=_FILE_DATES),
                )
        self._log_file = log_file

    def _add(self, handler: logging.Handler, level: int, formatter: MMFormatter) -> None:
        handler.setLevel(level)
        handler.setFormatter(formatter)
        handler.addFilter(FilterDuplicateWarning(self.name))
        self.handlers.append(handler)

    @property
    def log_file(self) -> str | None:
        """The file that is logged to, if any."""
        return self._log_file

    @classmethod
    def get_current_instance(cls) -> MMLogger:
        """Return the newest instance; make one named ``mmengine`` if there is none."""
        if not cls._instance_dict:
            cls.get_instance("mmengine")
        current: MMLogger = super().get_current_instance()
        return current

    def callHandlers(self, record: LogRecord) -> None:
        """Hand a record to the handlers; without one it is dropped in silence."""
        for handler in self.handlers:
            if record.levelno >= handler.level:
                handler.handle(record)

    def setLevel(self, level: int | str) -> None:
        """Set the lowest level that reaches the handlers (which have a level of their own)."""
        self.level = _level_number(level)
        # Logger.setLevel clears the caches of logging's tree, in which these loggers are not.
        for logger in list(MMLogger._instance_dict.values()):
            logger._cache.clear()


def print_log(msg: object, logger: Logger | str | None = None, level: int = logging.INFO) -> None:
    """Log a message by the logger that is named.

    Differs: the line of an error says where this was called; MMEngine's names this function.

    Args:
        msg: The message.
        logger: A logger; ``"current"`` for the newest :class:`MMLogger`; the name of an instance;
            ``"silent"`` for none; None to print the bare message.
        level: The level, where a logger is used.

    Raises:
        ValueError: No logger of that name exists.
        TypeError: ``logger`` is something else.
    """
    if logger is None:
        print(msg)  # noqa: T201 - what None asks for
    elif isinstance(logger, Logger):
        logger.log(level, msg, stacklevel=2)
    elif logger == "current":
        MMLogger.get_current_instance().log(level, msg, stacklevel=2)
    elif not isinstance(logger, str):
        raise TypeError(
            f"logger must be a Logger, a name, 'current', 'silent' or None, got {type(logger)}"
        )
    elif logger != "silent":
        if not MMLogger.check_instance_created(logger):
            close = nearest(logger, MMLogger._instance_dict)
            raise ValueError(
                f"no MMLogger named {logger!r} has been created"
                + (f"; nearest: {', '.join(close)}" if close else "")
            )
        MMLogger.get_instance(logger).log(level, msg, stacklevel=2)


def _level_number(level: int | str) -> int:
    if isinstance(level, int):
        return level
    number = logging.getLevelName(level)
    if not isinstance(number, int):
        names = [logging.getLevelName(known) for known in (50, *_LEVELS)]
        raise ConfigKeyError(
            f"there is no log level {level!r}",
            key_path="log_level",
            choices=nearest(level, names) or names,
        )
    return number


def _rank_and_world_size() -> tuple[int, int]:
    if "torch" not in sys.modules:  # then there is no process group, and no need to import it
        return 0, 1
    from mm2pl.mmengine.dist import get_rank, get_world_size

    return get_rank(), get_world_size()


def _file_of_rank(log_file: str, rank: int) -> str:
    path = Path(log_file)
    parts = [path.stem, _user_at_host(), f"device{_device_id()}", f"rank{rank}"]
    return str(path.with_name("_".join(part for part in parts if part) + path.suffix))


def _user_at_host() -> str:
    try:
        return f"{getpass.getuser()}@{socket.gethostname()}"
    except Exception as error:  # a container may have no user database; any kind of error then
        warnings.warn(f"the log file is named without user and host: {error}")
        return ""


def _device_id() -> str:
    import torch

    local_rank = int(os.environ.get("LOCAL_RANK", "0"))
    if not torch.cuda.is_available():
        return str(local_rank)
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    # The entries may also be names of MIG instances.
    return str(local_rank) if visible is None else visible.split(",")[local_rank].strip()


def _file_handler(log_file: str, mode: str, cfg: dict[str, Any] | None) -> logging.Handler:
    if cfg is None:
        return logging.FileHandler(log_file, mode)
    kinds = {
        name: kind
        for name, kind in vars(logging.handlers).items()
        if isinstance(kind, type) and issubclass(kind, logging.FileHandler)
    }
    kind = cfg.get("type")
    if kind not in kinds:
        raise ConfigError(
            f"logging.handlers has no file handler {kind!r}",
            key_path="file_handler_cfg.type",
            choices=nearest(str(kind), kinds) or sorted(kinds),
        )
    options = {key: value for key, value in cfg.items() if key != "type"}
    return kinds[kind](**{"filename": log_file, **options})
