"""A config while the Trainer's arguments are worked into it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from mm2pl.plan import ABSENT, Change, Status
from mm2pl.translate.report import Report, type_name


class Draft:
    """A config while the Trainer's arguments are worked into it.

    Args:
        cfg: The config, which is not changed.
        report: Gets the problems.

    Attributes:
        cfg: The config with the changes.
        section: The arguments that were given and ask for something.
        argument: The one at hand.
        changes: What was changed.
        passed: What is left for the Trainer, or for what drives it.
        statuses: What became of an argument, where it is not what its rule says.
    """

    def __init__(self, cfg: Any, report: Report) -> None:
        self.cfg = cfg
        self.section: dict[str, Any] = {}
        self.argument = ""
        self.changes: list[Change] = []
        self.passed: dict[str, Any] = {}
        self.statuses: dict[str, Status] = {}
        self._report = report
        self._own = False

    def get(self, key_path: str, default: Any = ABSENT) -> Any:
        """Return a value, without building a new-style config's lazy objects."""
        value = getattr(self.cfg, "_cfg_dict", self.cfg)
        for key in key_path.split("."):
            if not isinstance(value, Mapping) or key not in value:
                return default
            value = dict.__getitem__(value, key) if isinstance(value, dict) else value[key]
        return value

    def set(self, key_path: str, value: Any) -> None:
        """Change a value; ``ABSENT`` leaves the key out. Sections are made where there are none."""
        before = self.get(key_path)
        alike = isinstance(before, dict) if isinstance(value, dict) else type(before) is type(value)
        if alike and before == value:
            return
        self.changes.append(Change(self.argument, key_path, value, before))
        self._put(key_path, value)

    def settle(self, value: Any) -> None:
        """Let the saved config hold another value of the argument: one that means it anew, too."""
        self._put(f"trainer.{self.argument}", value)

    def _put(self, key_path: str, value: Any) -> None:
        if not self._own:
            self.cfg = copy.copy(self.cfg) if hasattr(self.cfg, "_cfg_dict") else dict(self.cfg)
            self._own = True
        *path, last = key_path.split(".")
        section = getattr(self.cfg, "_cfg_dict", self.cfg)
        for key in path:
            inner = dict.get(section, key)
            section[key] = copy.copy(inner) if isinstance(inner, dict) else {}
            section = dict.__getitem__(section, key)
        if value is ABSENT:
            section.pop(last, None)
        else:
            section[last] = value

    def set_if_there(self, key_path: str, value: Any) -> None:
        """Change a value of a key that is there."""
        if self.get(key_path) is not ABSENT:
            self.set(key_path, value)

    def keep(self, value: Any) -> None:
        """Leave the argument for the Trainer."""
        self.passed[self.argument] = value

    def refuse(self, message: str, hint: str | None = None) -> None:
        """Tell that the argument cannot be done with this config."""
        self._report.problem(message, f"trainer.{self.argument}", hint)

    def without_effect(self) -> None:
        """Say that the argument asks for something that this config has not."""
        self.statuses[self.argument] = Status.NO_EFFECT

    @property
    def loop(self) -> str:
        """What the training loop counts: ``epochs``, ``iterations``; empty if nothing trains."""
        loop = self.get("train_cfg", None)
        if not isinstance(loop, Mapping):
            return ""
        kind = self.get("train_cfg.type")
        if kind is ABSENT:
            return "epochs" if self.get("train_cfg.by_epoch", True) else "iterations"
        known = {"EpochBasedTrainLoop": "epochs", "IterBasedTrainLoop": "iterations"}
        counted = "iterations" if "max_iters" in loop else "epochs"
        return known.get(type_name(kind), counted)

    def wrapper(self) -> bool:
        """Whether there is one optimizer wrapper to change; tells the problem if not."""
        wrapper = self.get("optim_wrapper", None)
        if wrapper is None:
            self.without_effect()
            return False
        if isinstance(wrapper, dict) and "optimizer" in wrapper:
            return True
        several = "several wrappers" if isinstance(wrapper, Mapping) else "a built object"
        self.refuse(f"optim_wrapper is {several}, so which is meant is not known", "set it there")
        return False
