"""Which checkpoint a run goes on from, if the newest one is broken."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath
from typing import Any

from mm2pl import checkpoint
from mm2pl.errors import BrokenCheckpointError, CheckpointError, CheckpointNotFoundError
from mm2pl.mmengine.dist import broadcast_object_list, is_main_process
from mm2pl.mmengine.runner.checkpoint import find_latest_checkpoint

_UNUSABLE = (BrokenCheckpointError, CheckpointNotFoundError)


def is_marked(work_dir: str) -> bool:
    """Whether something was saved in a folder, so that :func:`newest_good` finds it or raises."""
    return os.path.exists(os.path.join(work_dir, "last_checkpoint"))


def newest_good(work_dir: str, warn: Callable[[str], None]) -> str | None:
    """Return what ``last_checkpoint`` names or, if that is broken, the newest one before it.

    Differs: MMEngine fails with the broken file.

    Args:
        work_dir: Where ``last_checkpoint`` lies.
        warn: Is told what is passed by.

    Returns:
        A path, the same on all ranks; ``None`` if nothing was saved yet.

    Raises:
        CheckpointError: There is none that can be read.
    """
    # One rank decides for all, and hands on why it cannot; others may not even see the folder.
    decision: list[Any] = [None]
    if is_main_process():
        try:
            decision = [_chosen(work_dir, warn)]
        # Whatever it is: the other ranks wait for an answer.
        except Exception as error:
            decision = [error]
    broadcast_object_list(decision)
    if isinstance(decision[0], Exception):
        raise decision[0]
    return decision[0]  # type: ignore[no-any-return]


def _chosen(work_dir: str, warn: Callable[[str], None]) -> str | None:
    try:
        newest = find_latest_checkpoint(work_dir)
    except OSError as error:
        return _beside(work_dir, f"cannot be read ({error.strerror})", warn)
    if newest is None:
        _tell_of_others(work_dir, warn)
    else:
        newest = newest.removeprefix("file://")  # a local one, whatever out_dir says
    if newest is None or "://" in newest:
        return newest
    problem = _problem(newest)
    if problem is not None:
        return _beside(work_dir, problem, warn)
    return _or_before(_found_again(newest, work_dir, warn), work_dir, warn)


def _problem(named: str) -> str | None:
    """Say why what ``last_checkpoint`` names can be no file."""
    if not named or not named.isprintable() or "\ufffd" in named:  # as in bytes that are no text
        return "holds no path"
    try:
        is_folder = stat.S_ISDIR(os.stat(named).st_mode)
    except (FileNotFoundError, NotADirectoryError):  # it may have been moved
        return None
    except OSError as error:
        return f"names what cannot be looked at ({error.strerror})"
    return f"names a folder, {named}" if is_folder else None


def _beside(work_dir: str, problem: str, warn: Callable[[str], None]) -> str:
    """Return the newest checkpoint in a folder whose ``last_checkpoint`` is of no use."""
    marker = os.path.join(work_dir, "last_checkpoint")
    files = [path for path in Path(work_dir).glob("[!.]*.pth") if path.is_file()]
    files.sort(key=lambda path: (path.stat().st_mtime_ns, _number(path)), reverse=True)
    good = next((str(path) for path in files if _holds_run(path)), None)
    if good is None:
        raise CheckpointError(
            f"{marker} {problem}, and no checkpoint to go on from lies beside it",
            hint="remove it to start anew",
        )
    warn(f"{marker} {problem}; the run goes on from {good}, the newest beside it")
    return good


def _tell_of_others(work_dir: str, warn: Callable[[str], None]) -> None:
    """Warn of checkpoints that a run which starts anew may replace."""
    others = sorted(path.name for path in Path(work_dir).glob("[!.]*.pth"))
    if others:
        warn(
            f"{work_dir} has no last_checkpoint, so the run starts anew, though {others[0]} lies"
            " there; name a checkpoint to go on from it"
        )


def _found_again(newest: str, work_dir: str, warn: Callable[[str], None]) -> str:
    """Return the file of the same name in ``work_dir``, if that has been moved or renamed."""
    here = Path(work_dir, PureWindowsPath(newest).name)  # which takes slashes of both kinds
    if not newest or os.path.exists(newest) or not here.is_file():
        return newest
    warn(f"last_checkpoint names {newest}, which does not exist; the run goes on from {here}")
    return str(here)


def _or_before(newest: str, work_dir: str, warn: Callable[[str], None]) -> str:
    try:
        checkpoint.read(newest, "cpu")
    except _UNUSABLE as error:
        good = good_before(newest, work_dir)
        if good is None:
            error.hint = f"no older checkpoint lies beside it; remove {work_dir}/last_checkpoint"
            error.hint += " to start anew"
            raise
        warn(f"{error.message}; the run goes on from {good}, the newest before it")
        return good
    return newest


@contextmanager
def naming_a_good_one(path: str) -> Iterator[None]:
    """Let the error of a broken file name the newest good one in its folder."""
    try:
        yield
    except BrokenCheckpointError as error:
        good = good_before(path)
        if good is not None:
            error.hint = f"the newest before it that can be read is {good}"
        raise


def good_before(broken: str, *folders: str) -> str | None:
    """Return the newest checkpoint before a broken one that a run can go on from.

    Args:
        broken: The file that cannot be used; others are looked for in its folder.
        folders: Further ones to look through.
    """
    for path in _before(Path(broken), [Path(broken).parent, *map(Path, folders)]):
        if _holds_run(path, _template(path) != _template(Path(broken))):
            return str(path)
    return None


def _holds_run(path: Path, with_optimizer: bool = True) -> bool:
    """Whether a file is whole and a run can go on from it."""
    try:
        loaded = checkpoint.read(path, "cpu")
    except CheckpointError:
        return False
    # Published ones hold no counters, the best ones of MMEngine's no optimizer.
    needed = {"meta", "message_hub", *(["optimizer"] if with_optimizer else [])}
    return isinstance(loaded, Mapping) and needed <= set(loaded)


def _before(broken: Path, folders: list[Path]) -> list[Path]:
    """Return the files that may be older checkpoints of the same run, newest first.

    First those that are named alike, by number: one with a larger number is of another run, as is
    what was written later.
    """
    until = broken.stat().st_mtime_ns if broken.exists() else None
    found: dict[Path, tuple[bool, int]] = {}
    for path in {one for folder in folders for one in folder.glob(f"[!.]*{broken.suffix}")}:
        changed = path.stat().st_mtime_ns
        alike = _template(path) == _template(broken)
        later = until is not None and changed > until
        if path == broken or not path.is_file() or later:
            continue
        if not alike:
            found[path] = (False, changed)
        elif _number(path) < _number(broken):
            found[path] = (True, _number(path))
    return sorted(found, key=found.__getitem__, reverse=True)


def _template(path: Path) -> tuple[str, ...]:
    match = _last_number(path)
    return (path.name[: match.start(2)], path.name[match.end(2) :]) if match else (path.name,)


def _number(path: Path) -> int:
    match = _last_number(path)
    return int(match.group(2)) if match else 0


def _last_number(path: Path) -> re.Match[str] | None:
    return re.fullmatch(r"(.*?)(\d+)(\D*)", path.name)
