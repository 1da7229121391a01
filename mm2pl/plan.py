"""What a config means: frozen, without torch, made by ``translate`` and read by ``build``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Status(str, Enum):
    """What becomes of a config key."""

    AS_IS = "as is"
    TRANSLATED = "translated"
    APPROXIMATED = "approximated"
    UNSUPPORTED = "unsupported"
    NO_EFFECT = "no effect"
    BY_CLASS = "decided by its class"
    ADDED = "added by the library's profile"
    VARIABLE = "the config's own variable"
    UNKNOWN = "unknown"

    @property
    def is_finding(self) -> bool:
        """Whether ``mm2pl check`` reports it: the run would not do what the config says."""
        return self in (
            Status.APPROXIMATED,
            Status.UNSUPPORTED,
            Status.NO_EFFECT,
            Status.UNKNOWN,
        )


@dataclass(frozen=True)
class Note:
    """What became of one config key.

    Attributes:
        key_path: Where it stands, e.g. ``train_cfg.val_interval``.
        status: What became of it.
        text: What it is now, or why not.
        choices: For an unknown key, the known ones nearest to it.
    """

    key_path: str
    status: Status
    text: str
    choices: tuple[str, ...] = ()


class Absent(Enum):
    """The value of a key that is not there."""

    ABSENT = "nothing"

    def __repr__(self) -> str:
        return self.value


ABSENT = Absent.ABSENT


@dataclass(frozen=True)
class Change:
    """What an argument of the Trainer, or an older form, changes in the config.

    Attributes:
        argument: The argument's name, or the older form's key path.
        key_path: What is changed.
        value: What it is now; ``ABSENT`` if it is left out.
        before: What it was.
    """

    argument: str
    key_path: str
    value: Any
    before: Any

    def __str__(self) -> str:
        return f"{self.key_path}={self.value!r}"


@dataclass(frozen=True)
class TrainPlan:
    """The training loop and its data.

    Attributes:
        loop: Arguments of the loop with its ``type``.
        dataloader: The loader, built or as a config.
    """

    loop: Mapping[str, Any]
    dataloader: Any


@dataclass(frozen=True)
class EvalPlan:
    """A validation or test loop, its data and its metrics."""

    loop: Mapping[str, Any]
    dataloader: Any
    evaluator: Any


@dataclass(frozen=True)
class OptimPlan:
    """Optimizers and schedules, each built or as a config."""

    wrapper: Any
    schedulers: Any = None
    auto_scale_lr: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class HooksPlan:
    """Hooks in the order in which they are registered, each with its key path."""

    entries: tuple[tuple[str, Any], ...] = ()

    @property
    def default(self) -> dict[str, Any]:
        """The hooks of ``default_hooks`` that are not left out, by name."""
        place = "default_hooks."
        return {p.removeprefix(place): hook for p, hook in self.entries if p.startswith(place)}

    @property
    def custom(self) -> list[Any]:
        """The hooks of ``custom_hooks``."""
        return [hook for path, hook in self.entries if path.startswith("custom_hooks[")]


@dataclass(frozen=True)
class RuntimePlan:
    """Everything around the loops.

    Attributes:
        exact_resume: Whether a resumed run is to be the same run to the last bit; else it resumes
            as MMEngine does.
        trainer: Arguments of ``trainer = dict(...)`` that the Trainer, or what drives it, is given.
        trainer_changes: What the others changed in the config.
    """

    work_dir: str
    default_scope: str | None = "mmengine"
    launcher: str = "none"
    env: Mapping[str, Any] = field(default_factory=dict)
    randomness: Mapping[str, Any] = field(default_factory=lambda: {"seed": None})
    log_level: int | str = "INFO"
    log_processor: Any = None
    visualizer: Any = None
    experiment_name: str | None = None
    load_from: str | None = None
    resume: bool = False
    exact_resume: bool = True
    compile: Any = None
    strategy: Any = None
    activation_checkpointing: Any = None
    efficient_conv_bn_eval: Any = None
    trainer: Mapping[str, Any] = field(default_factory=dict)
    trainer_changes: tuple[Change, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A whole run.

    Attributes:
        older: What the config has in older forms, and where it is today.
    """

    model: Any
    data_preprocessor: Any
    train: TrainPlan | None
    val: EvalPlan | None
    test: EvalPlan | None
    optim: OptimPlan | None
    hooks: HooksPlan
    runtime: RuntimePlan
    config: Any
    notes: tuple[Note, ...] = ()
    older: tuple[Change, ...] = ()

    @property
    def trainer_epochs(self) -> int:
        """``max_epochs`` of Lightning's Trainer; an iteration-based run is one epoch."""
        return int(self.train.loop.get("max_epochs", 1)) if self.train else 1
