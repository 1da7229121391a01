"""What a library's own ``tools/train.py`` and ``test.py`` put into a config before the run.

A config that is run by ``mm2pl fit CONFIG`` gets the same values, where it says nothing itself.
``Runner.from_cfg`` adds nothing: a script that calls it has done so already.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mm2pl.plan import Note, Status

_TRAIN, _TEST = ("fit", "validate"), ("test",)


@dataclass(frozen=True)
class Default:
    """A value for a key that a config leaves out.

    Attributes:
        section: The section it belongs to, which must be there; empty for the top level.
        key: The key within the section.
        value: The value.
        copied_from: A key of the top level whose value is taken instead, if it is there.
        commands: The commands whose script adds it.
    """

    section: str
    key: str
    value: Any = None
    copied_from: str | None = None
    commands: tuple[str, ...] = (*_TRAIN, *_TEST)

    @property
    def key_path(self) -> str:
        return f"{self.section}.{self.key}" if self.section else self.key


@dataclass(frozen=True)
class Profile:
    """The defaults of one library.

    Attributes:
        source: Where they were read.
        defaults: In the script's order; none is a finding too.
    """

    source: str
    defaults: tuple[Default, ...] = ()


def _loaders(stages: tuple[str, ...], values: Mapping[str, Any], commands: tuple[str, ...]) -> Any:
    return tuple(
        Default(f"{stage}_dataloader", key, value, commands=commands)
        for stage in stages
        for key, value in values.items()
    )


_COLLATE = {"type": "default_collate"}
_SEEDS = {"seed": None, "diff_rank_seed": False, "deterministic": False}
# One row for each library whose scripts could be read. There is no script for `validate`; it is the
# validation of train.py. What only an option of the script does (--amp, --no-pin-memory, --seed) is
# no default; nor is mmseg's and mmdet3d's `resume`, which replaces what the config says.
PROFILES = {
    "mmpretrain": Profile(
        "mmpretrain 1.2.0's tools/train.py and tools/test.py",
        (
            *_loaders(
                ("train", "val", "test"),
                {"pin_memory": True, "persistent_workers": True, "collate_fn": _COLLATE},
                _TRAIN,
            ),
            *_loaders(("test",), {"pin_memory": True, "collate_fn": _COLLATE}, _TEST),
        ),
    ),
    "mmpose": Profile(
        "mmpose 1.3.2's tools/train.py (its test.py adds nothing)",
        (Default("model", "data_preprocessor", copied_from="preprocess_cfg", commands=_TRAIN),),
    ),
    "mmaction": Profile(
        "mmaction2 1.2.0's tools/train.py (its test.py adds nothing)",
        (Default("", "randomness", _SEEDS, commands=_TRAIN),),
    ),
    "mmseg": Profile("mmsegmentation 1.2.2's tools/train.py and tools/test.py"),
    "mmdet": Profile("mmdet 3.3.0's tools/train.py and tools/test.py"),
    "mmdet3d": Profile("mmdetection3d 1.x's tools/train.py (at 0d84354)"),
    "mmyolo": Profile("mmyolo 0.x's tools/train.py (at 0b327ec)"),
}


def with_profile(cfg: Any, command: str) -> tuple[Any, dict[str, Any]]:
    """Return the config with its library's defaults, and what was added by key path.

    Args:
        cfg: A config or a mapping; it is not changed.
        command: ``fit``, ``validate`` or ``test``.
    """
    profile = _profile_of(cfg)
    missing = [
        one
        for one in (profile.defaults if profile else ())
        if command in one.commands and _is_missing(cfg, one)
    ]
    if not missing:
        return cfg, {}
    cfg = copy.deepcopy(cfg)
    sections: dict[str, dict[str, Any]] = {}
    added: dict[str, Any] = {}
    for one in missing:
        value = cfg[one.copied_from] if one.copied_from else one.value
        added[one.key_path] = value
        sections.setdefault(one.section, {})[one.key] = copy.deepcopy(value)
    for section, values in sections.items():
        _put_first(cfg[section], values) if section else cfg.update(values)
    return cfg, added


def notes(cfg: Any, added: Mapping[str, Any]) -> list[Note]:
    """Return a note for each value that was added."""
    profile = _profile_of(cfg)
    source = profile.source if profile else ""
    return [
        Note(path, Status.ADDED, f"{value!r}, as {source} does") for path, value in added.items()
    ]


def describe(cfg: Any, added: Mapping[str, Any]) -> str:
    """Return the line for the log."""
    values = ", ".join(f"{path}={value!r}" for path, value in added.items())
    return f"profile {cfg['default_scope']}: {values} (--no-profile leaves this out)"


def _profile_of(cfg: Any) -> Profile | None:
    scope = cfg.get("default_scope")
    return PROFILES.get(scope) if isinstance(scope, str) else None


def _is_missing(cfg: Any, default: Default) -> bool:
    """Whether a default has its place in the config, and the place is empty."""
    if default.copied_from and default.copied_from not in cfg:
        return False
    if not default.section:
        return cfg.get(default.key) is None
    section = cfg.get(default.section)
    if not isinstance(section, Mapping) or default.key in section:
        return False
    # Differs: mmpretrain's script adds it also without workers; torch then refuses to load data.
    return default.key != "persistent_workers" or bool(section.get("num_workers"))


def _put_first(section: Any, values: Mapping[str, Any]) -> None:
    """Put values before the section's own, as the script does: the log shows them in order."""
    own = list(dict.items(section))  # as they are: a lazy object is not built
    dict.clear(section)
    section.update(values)
    for key, value in own:
        dict.__setitem__(section, key, value)
