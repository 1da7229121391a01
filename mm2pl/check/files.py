"""Which files ``mm2pl check`` reads, and which it leaves out and why; nothing is run for it."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mm2pl.cli.config_file import error_of_checkpoint
from mm2pl.errors import ConfigError, ConfigFileNotFoundError, nearest
from mm2pl.mmengine.config._load import data
from mm2pl.translate.runtime import TOP_RULES

SUFFIXES = (".py", ".yml", ".yaml", ".json")
BASE_FOLDER = "_base_"
# Folders with a leading dot are left out, but for the one in which a wheel keeps its configs.
_CONFIGS_OF_WHEEL = ".mim"
_KEYS = frozenset(rule.key for rule in TOP_RULES) | {"_base_"}
_DATA_KEY = re.compile(rf"""^(?:\{{|  |\t)?\s?\s?["']?({"|".join(sorted(_KEYS))})["']?\s*:""", re.M)
_LARGEST = 5_000_000  # bytes; larger ones are annotations, not configs

# Why a file of a folder is not checked by itself.
AS_BASE = f"in a {BASE_FOLDER} folder, read as a base only"
PART = "without a model, read as a base only"
NO_KEY = "without a key that a run reads"
CODE = "Python code, not a config"


@dataclass(frozen=True)
class Skipped:
    """A file of a folder that is not checked by itself, and why."""

    file: str
    reason: str


@dataclass
class Chosen:
    """The files to check.

    Attributes:
        files: Their paths; those that were named come as they were written.
        in_folders: Those among ``files`` that were found in a folder.
        skipped: What lies in the folders beside them.
        wrong: What was named but cannot be checked.
    """

    files: list[str] = field(default_factory=list)
    in_folders: set[str] = field(default_factory=set)
    skipped: list[Skipped] = field(default_factory=list)
    wrong: list[ConfigError] = field(default_factory=list)


def choose(paths: Sequence[str]) -> Chosen:
    """Look at what was named on the command line, folders with all that is below them."""
    chosen = Chosen()
    seen: set[str] = set()
    for path in paths:
        if os.path.isdir(path):
            _look_into(path, chosen, seen)
        elif (error := _named_wrongly(path)) is not None:
            chosen.wrong.append(error)
        elif os.path.realpath(path) not in seen:
            seen.add(os.path.realpath(path))
            chosen.files.append(path)
    # A file that was named is checked by itself, wherever it lies.
    chosen.skipped = [one for one in chosen.skipped if os.path.realpath(one.file) not in seen]
    return chosen


def _look_into(folder: str, chosen: Chosen, seen: set[str]) -> None:
    found = list(_files_below(folder))
    if not found:
        chosen.wrong.append(
            ConfigFileNotFoundError(
                "the folder holds no config file",
                file=folder,
                hint=f"a config's name ends with {', '.join(SUFFIXES)}",
            )
        )
    configs = 0
    for file in found:
        reason = (
            AS_BASE
            if BASE_FOLDER in Path(file).relative_to(folder).parts[:-1]
            else why_no_config(file)
        )
        configs += reason is None
        if os.path.realpath(file) in seen:
            continue
        if reason is not None:
            chosen.skipped.append(Skipped(file, reason))
            continue
        seen.add(os.path.realpath(file))
        chosen.files.append(file)
        chosen.in_folders.add(file)
    if found and not configs:
        chosen.wrong.append(
            ConfigFileNotFoundError(
                f"none of the {len(found)} files in the folder is a config to check by itself",
                file=folder,
                hint="name a file to check it all the same",
            )
        )


def _files_below(folder: str) -> Iterator[str]:
    """Yield the files that a config's name could have, in order."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(
            name
            for name in folders
            if (not name.startswith(".") or name == _CONFIGS_OF_WHEEL)
            and name not in ("__pycache__", "node_modules", "site-packages")
            and not os.path.exists(os.path.join(place, name, "pyvenv.cfg"))
        )
        for name in sorted(names):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield os.path.normpath(os.path.join(place, name))


def _named_wrongly(path: str) -> ConfigError | None:
    """Return what is wrong with a path that is no folder."""
    if not os.path.exists(path):
        return _missing(path)
    if not path.endswith(SUFFIXES):
        return error_of_checkpoint(path)  # else reading it says which suffixes there are
    reason = why_no_config(path)
    if reason is None or _is_broken_data(path):
        return None  # reading it says what is wrong
    if reason == CODE:
        return ConfigError(
            "this is Python code, not a config: it has classes, or a part for __main__",
            file=path,
            hint=f"give the config that it uses; a script is run by `mm2pl run {path}`",
        )
    return ConfigError(
        "this is no config: it sets no key that a run reads",
        file=path,
        hint="a config sets model, train_cfg, train_dataloader and so on at its top level",
    )


def _is_broken_data(path: str) -> bool:
    """Whether a file that looks like no config is broken YAML or JSON."""
    if path.endswith(".py") or os.path.getsize(path) > _LARGEST:
        return False
    try:
        data(Path(path).read_text(encoding="utf-8"), path)
    except (ConfigError, RecursionError):
        return True
    return False


def _missing(path: str) -> ConfigError:
    folder, name = os.path.split(path)
    hint = "check the path"
    names: list[str] = []
    if "::" in path:
        hint = f"in a file of your own, write _base_ = [{path!r}], and give that file"
    elif folder and not os.path.isdir(folder):
        hint = f"the folder {folder} does not exist"
    else:
        names = [os.path.join(folder, near) for near in nearest(name, os.listdir(folder or "."))]
    return ConfigFileNotFoundError("there is no such file", file=path, choices=names, hint=hint)


def why_no_config(file: str) -> str | None:
    """Return why a file is no config, None if it may be one; reads it, and runs nothing."""
    try:
        if os.path.getsize(file) > _LARGEST:
            return NO_KEY
        text = Path(file).read_text(encoding="utf-8").removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError):
        return None  # reading it as a config says what is wrong
    if not file.endswith(".py"):
        return None if _DATA_KEY.search(text) else NO_KEY
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names = {name for node in body for name in _assigned(node)}
    if "_base_" in names or any(_is_read_base(node) for node in body):
        return None
    if any(isinstance(node, ast.ClassDef) or _is_main_guard(node) for node in body):
        return CODE
    return None if names & _KEYS else NO_KEY


def _assigned(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        yield node.target.id


def _is_read_base(node: ast.stmt) -> bool:
    return isinstance(node, ast.With) and any(
        "read_base" in ast.unparse(item.context_expr) for item in node.items
    )


def _is_main_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and "__name__" in ast.unparse(node.test)
