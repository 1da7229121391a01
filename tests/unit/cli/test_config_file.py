"""Where the keys of a command's config were set: the file, a base, or the command line."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from mm2pl.cli.config_file import positions_of, read_config
from mm2pl.errors import ConfigError
from mm2pl.mmengine.config._literal import NotLiteralError

CODE = (
    "load_from = 'a'\nrandomness = dict(seed=1)\ntrainer = dict(\n    devices=1,\n    x=2)\na = 1\n"
)


def place(folder: Path, key_path: str, **options: Any) -> str:
    file = folder / "c.py"
    file.write_text(CODE)
    args = Namespace(config=str(file), **{"cfg_options": None, "seed": None, **options})
    found = positions_of(args).find(key_path)
    assert found is not None
    return str(found).replace(f"{folder}/", "")


@pytest.mark.parametrize(
    ("key_path", "options"),
    [
        ("load_from", {"checkpoint": "b"}),
        ("load_from", {"resume": "b"}),
        ("randomness.seed", {"seed": 0}),
        ("trainer.devices", {"trainer_given": {"devices": 2}}),
        ("a", {"cfg_options": {"a": 2}}),
    ],
)
def test_what_an_option_sets_does_not_stand_in_the_file(
    key_path: str, options: dict[str, Any], tmp_path: Path
) -> None:
    assert place(tmp_path, key_path, **options) == "the command line"


@pytest.mark.parametrize(
    ("key_path", "expected"),
    [("load_from", "c.py:1"), ("randomness.seed", "c.py:2"), ("trainer.x", "c.py:5")],
)
def test_the_other_keys_stand_in_the_file(key_path: str, expected: str, tmp_path: Path) -> None:
    given = {"amp": True, "trainer_given": {"devices": 2}, "load_from": None, "resume": False}
    assert place(tmp_path, key_path, **given) == expected


def test_a_file_may_be_read_without_running_it(tmp_path: Path) -> None:
    file = tmp_path / "c.py"
    file.write_text("a = dict(x=1)\n")
    assert read_config(str(file), {"a.x": 2}, execute=False).a.x == 2
    file.write_text("a = f()\n")
    with pytest.raises(NotLiteralError, match=r"c\.py:1: a call of f"):
        read_config(str(file), execute=False)


def test_a_checkpoint_or_a_device_in_the_place_of_a_config_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.pth").touch()
    with pytest.raises(ConfigError, match="this is a checkpoint, not a config"):
        read_config(str(tmp_path / "a.pth"))
    with pytest.raises(FileNotFoundError, match="this is no regular file"):
        read_config("/dev/null")
