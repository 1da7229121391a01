"""The classes that a config names by ``type``, and their arguments, without importing any of them.

``classes.json`` holds them, written by ``tools/class_table.py`` from mm2pl's own registries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from mm2pl.errors import nearest
from mm2pl.libraries import LIBRARIES
from mm2pl.mmengine.config.lazy import LazyAttr, LazyObject
from mm2pl.plan import Status
from mm2pl.translate.report import Report, Rule, raw_items, type_name
from mm2pl.translate.spelling import distance, misspelt
from mm2pl.translate.values import check_type, check_values

FILE = Path(__file__).with_name("classes.json")
_CONFIGS_OWN = "mmengine"
_ITS_CLASS = "an argument of its class"


@dataclass(frozen=True)
class KnownClass:
    """A class of MMEngine's, or one of torch's that it registers.

    Attributes:
        name: The name it is registered by.
        module: Where MMEngine has it, or the package that brings it.
        arguments: Whether each argument must be given.
        defaults: The defaults that are plain values; tuples are lists here.
        open: Whether it takes further arguments, which it hands to something else.
        becomes: What becomes of it if it is something else here: the status and what it is.
        reason: Why it is not supported, if it is not.
        hint: What to do instead.
        priority: A hook's own priority.
        points: The points at which a hook does something.
    """

    name: str
    module: str
    arguments: Mapping[str, bool] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    open: bool = False
    becomes: tuple[Status, str] | None = None
    reason: str | None = None
    hint: str | None = None
    priority: str | int | None = None
    points: Sequence[str] = ()

    @property
    def is_optional(self) -> bool:
        """Whether it is registered only where the package that brings it is installed."""
        return self.module.partition(".")[0] not in ("mmengine", "torch", "mm2pl")


class Found(NamedTuple):
    """What a ``type`` stands for.

    Attributes:
        known: The class, if it is a known one; for a misspelt name the one that was meant.
        status: What becomes of the ``type``.
        text: Why.
        choices: The nearest right names.
    """

    known: KnownClass | None
    status: Status
    text: str
    choices: tuple[str, ...] = ()


# Scope -> registry -> the names under which a library has a class of its own beside MMEngine's, so
# that its arguments are not MMEngine's. A test finds those of the first five anew.
_LAYER_DECAY: dict[str, tuple[str, ...]] = {
    "OPTIM_WRAPPER_CONSTRUCTORS": ("LearningRateDecayOptimizerConstructor",)
}
OVERRIDDEN: dict[str, dict[str, tuple[str, ...]]] = {
    "mmaction": {
        "VISBACKENDS": ("LocalVisBackend", "TensorboardVisBackend", "WandbVisBackend"),
        **_LAYER_DECAY,
    },
    "mmdet": {"DATASETS": ("ConcatDataset",), **_LAYER_DECAY},
    "mmpose": {"PARAM_SCHEDULERS": ("ConstantLR",)},
    "mmpretrain": {"HOOKS": ("EMAHook",)},
    "mmseg": _LAYER_DECAY,
    # Read in their sources: mmagic 1.2.0, mmocr 1.0.1.
    "mmagic": {
        "HOOKS": ("IterTimerHook",),
        "LOG_PROCESSORS": ("LogProcessor",),
        "MODELS": ("ExponentialMovingAverage",),
    },
    "mmocr": {"DATASETS": ("ConcatDataset",)},
}

# What the runner, or whatever else builds the classes of a registry, adds to a config's arguments.
FILLED = {
    "DATA_SAMPLERS": ("dataset", "sampler", "batch_size"),
    "FUNCTIONS": ("data_batch", "worker_id"),
    # Of the lengths translate/loops.py tells.
    "LOOPS": ("runner", "dataloader", "evaluator", "max_epochs", "max_iters"),
    "MODEL_WRAPPERS": ("module",),
    "MODELS": ("model", "module"),
    "OPTIMIZERS": ("params",),
    "OPTIM_WRAPPER_CONSTRUCTORS": ("optim_wrapper_cfg",),
    "OPTIM_WRAPPERS": ("optimizer",),
    "PARAM_SCHEDULERS": ("optimizer",),
    "VISBACKENDS": ("save_dir",),
}
# What is often written beside an optimizer's own arguments, and belongs to the wrapper around it.
_OF_THE_WRAPPER = ("accumulative_counts", "clip_grad", "constructor", "paramwise_cfg")
# Registries whose sections have no class without a type.
_TYPED = ("DATASETS", "DATA_SAMPLERS", "FUNCTIONS", "METRICS", "VISBACKENDS", "VISUALIZERS")


@lru_cache(maxsize=1)
def classes() -> dict[str, dict[str, KnownClass]]:
    """Return the known classes by registry, such as ``HOOKS``, and name."""
    table = json.loads(FILE.read_text(encoding="utf-8"))
    return {
        registry: {name: _known(name, row) for name, row in rows.items()}
        for registry, rows in table.items()
        if isinstance(rows, dict)
    }


def _known(name: str, row: dict[str, Any]) -> KnownClass:
    arguments = row.pop("arguments")
    if "becomes" in row:
        status, text = row["becomes"]
        row["becomes"] = Status(status), text
    return KnownClass(
        name,
        arguments={argument: default == [] for argument, default in arguments.items()},
        defaults={argument: default[0] for argument, default in arguments.items() if default},
        **row,
    )


def find(kind: Any, registry: str, scope: str | None = None) -> Found:
    """Say what a ``type`` stands for.

    Args:
        kind: A name, with or without a scope or a module in front; a class; a lazy object of a
            new-style config.
        registry: The registry's name, such as ``HOOKS``.
        scope: The scope that is in force.
    """
    members = classes()[registry]
    place, name = type_place(kind)
    own = _own(place, name, members)
    if own is not None:
        return own
    if place is None:
        place = scope
    if name in _overridden(place, registry):
        return Found(None, Status.BY_CLASS, f"{place}'s own {name}, not MMEngine's")
    if name in members and members[name].is_optional and place in LIBRARIES:
        text = f"decided by its class, {place}'s or {members[name].module}'s"
        return Found(None, Status.BY_CLASS, text)
    if name in members:
        known = members[name]
        if known.reason is not None:
            return Found(known, Status.UNSUPPORTED, known.reason)
        if known.becomes is not None:
            return Found(known, *known.becomes)
        return Found(known, Status.AS_IS, f"{_whose(known)} {name}")
    # A library's Lamb is no misspelt LAMB of bitsandbytes'.
    meant = misspelt(name, [one for one, known in members.items() if not known.is_optional])
    if meant:
        return Found(members[meant[0]], Status.UNKNOWN, f"there is no {name}", tuple(meant))
    return Found(None, Status.BY_CLASS, _by_class(place), tuple(nearest(name, members)))


def _overridden(scope: str | None, registry: str) -> tuple[str, ...]:
    """Return the names that are a library's own, or those of the library that came after it."""
    library = LIBRARIES.get(scope or "")
    names = OVERRIDDEN.get((library and library.successor) or scope or "", {})
    return names.get(registry, ())


def type_place(kind: Any) -> tuple[str | None, str]:
    """Return the scope or the module that stands in front of a name, and the name."""
    if isinstance(kind, str):
        place, _, name = kind.rpartition(".")
        return place or None, name
    if isinstance(kind, (LazyObject, LazyAttr)):
        return kind.module, str(kind)
    module = getattr(kind, "__module__", None)
    return str(module).replace("mm2pl.mmengine", "mmengine"), type_name(kind)


def _own(place: str | None, name: str, members: Mapping[str, KnownClass]) -> Found | None:
    """Say what is known of a name in a module; None where the registry decides."""
    if place is None or place in LIBRARIES or place == _CONFIGS_OWN:
        return None
    head = place.partition(".")[0]
    if head == "mmengine":
        return None
    if head == "torch" and name in members and members[name].module.startswith("torch"):
        return None
    if place == "torch.optim":  # all of which is known
        meant = nearest(name, [one for one, row in members.items() if row.module.startswith(place)])
        right = tuple(f"{place}.{one}" for one in meant)
        guess = members[meant[0]] if meant else None
        return Found(guess, Status.UNKNOWN, f"there is no {place}.{name}", right)
    scopes = [] if "." in place else [one for one in LIBRARIES if distance(place, one, 1) == 1]
    if scopes:
        right = tuple(f"{scope}.{name}" for scope in scopes)
        return Found(None, Status.UNKNOWN, f"there is no scope {place}", right)
    return Found(None, Status.BY_CLASS, f"imported from {place}")


def _whose(known: KnownClass) -> str:
    package = known.module.partition(".")[0]
    return {"mmengine": "MMEngine's", "mm2pl": "mm2pl's own"}.get(package, f"{known.module}'s")


def _by_class(place: str | None) -> str:
    if place is None or place == _CONFIGS_OWN:
        return "decided by its class, which code of yours registers"
    return f"decided by its class, {place}'s or your own"


def read_typed(
    section: Any,
    registry: str,
    path: str,
    report: Report,
    *,
    default: str | None = None,
    rules: Sequence[Rule] = (),
    status: Status = Status.AS_IS,
    handed: KnownClass | None = None,
) -> KnownClass | None:
    """Note the ``type`` of a section and each of its arguments.

    Nothing here is raised by :func:`~mm2pl.translate.translate`: what MMEngine builds later, it
    also refuses later.

    Args:
        section: A mapping; anything else is a built object and is left alone.
        registry: The registry that builds it, such as ``HOOKS``.
        path: Key path of the section.
        report: Takes the notes. Its ``scope`` is in force where the section names none.
        default: The type of a section without one.
        rules: What to say of some keys, and keys that something else than the class reads.
        status: What becomes of a type that is known.
        handed: The class that an open one hands its further arguments to, if that is known.

    Returns:
        The class, if it is a known one.
    """
    if not isinstance(section, Mapping):
        return None
    given = dict(raw_items(section))
    kind = given.get("type", default)
    if "type" in given and check_type(kind, path, report):
        kind = None
    elif kind is None and registry in _TYPED:
        report.later("needs a 'type'", path, "give dict(type=...) with the name of its class")
    if kind is None:
        found = Found(None, Status.BY_CLASS, _ITS_CLASS)
    else:
        found = find(kind, registry, given.get("_scope_", report.scope))
    rows = {rule.key: rule for rule in rules}
    for key, value in given.items():
        where = f"{path}.{key}"
        if key == "type":
            known = status if found.status is Status.AS_IS else found.status
            report.note(where, known, found.text, found.choices)
        elif key == "_scope_":
            report.note(where, Status.AS_IS, "the registry scope of this section")
        elif key in rows:
            report.apply(rows[key], where, value)
        else:
            _read_argument(str(key), where, found.known, handed, rows, report)
    if found.known is not None:
        _tell_missing(found.known, registry, given, path, report)
        check_values(registry, found.known.name, given, path, report)
    return found.known


def _read_argument(
    key: str,
    where: str,
    known: KnownClass | None,
    handed: KnownClass | None,
    rows: Mapping[str, Rule],
    report: Report,
) -> None:
    if known is None:
        meant = misspelt(key, rows)
        status = Status.UNKNOWN if meant else Status.BY_CLASS
        text = "its class decides, and it looks like another name" if meant else _ITS_CLASS
        report.note(where, status, text, meant)
    elif key in known.arguments:
        report.note(where, Status.AS_IS, f"{known.name}'s argument")
    elif known.open and handed is None:
        text = f"{known.name}'s argument" if known.reason else f"{known.name} hands it on"
        report.note(where, Status.BY_CLASS, text)
    elif known.open and handed is not None and key in handed.arguments:
        report.note(where, Status.AS_IS, f"{handed.name}'s argument, by {known.name}")
    else:
        names = [*known.arguments, *(handed.arguments if known.open and handed else ()), *rows]
        choices = nearest(key, [one for one in names if one != "params"])
        if key in _OF_THE_WRAPPER and (above := where.removesuffix(f".optimizer.{key}")) != where:
            choices = [f"{above}.{key}"]
        report.note(where, Status.UNKNOWN, f"{known.name} has no such argument", choices)


def _tell_missing(
    known: KnownClass, registry: str, given: Mapping[str, Any], path: str, report: Report
) -> None:
    filled = FILLED.get(registry, ())
    for name, required in known.arguments.items():
        if required and name not in given and name not in filled:
            meant = [key for key in nearest(name, given) if key not in known.arguments]
            hint = f"is {meant[0]!r} meant to be it?" if meant else f"add {name}=..."
            report.later(f"{known.name} needs {name!r}", path, hint)
