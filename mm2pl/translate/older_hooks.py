"""Hooks of MMEngine's first releases, and arguments that are spelt otherwise today."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mm2pl.errors import nearest
from mm2pl.libraries import LIBRARIES
from mm2pl.mmengine.registry import HOOKS
from mm2pl.plan import ABSENT, Status
from mm2pl.translate.classes import classes, type_place
from mm2pl.translate.older_edit import Edit
from mm2pl.translate.report import raw_items, type_name

FP16 = ("Fp16OptimizerHook", "GradientCumulativeFp16OptimizerHook")
UPDATES = ("OptimizerHook", "GradientCumulativeOptimizerHook", *FP16)
# What these hooks took -> where it is today; None: nothing is left to say.
UPDATE_ARGUMENTS: dict[str, str | None] = {
    "grad_clip": "optim_wrapper.clip_grad",
    "cumulative_iters": "optim_wrapper.accumulative_counts",
    "detect_anomalous_params": "trainer.detect_anomalous_params",
    "loss_scale": "optim_wrapper.loss_scale",
    "coalesce": None,
    "bucket_size_mb": None,
    "distributed": None,
    "priority": None,
}
_ASKS_NOTHING: dict[str, tuple[Any, ...]] = {
    "grad_clip": (None,),
    "cumulative_iters": (1,),
    "detect_anomalous_params": (False, None),
}
NOTHING_LEFT = {
    "priority": "the update is part of the step, before all hooks",
    **dict.fromkeys(("coalesce", "bucket_size_mb", "distributed"), "DDP sums the gradients"),
}
_LOSS_SCALE = 512.0  # the Fp16OptimizerHooks' own; AmpOptimWrapper's is "dynamic"


@dataclass(frozen=True)
class Backend:
    """What a hook that logged to a backend of its own is today.

    Attributes:
        name: The visualizer's backend.
        arguments: Argument of the hook -> of the backend.
    """

    name: str
    arguments: Mapping[str, str] = field(default_factory=dict)


BACKENDS = {
    "ClearMLLoggerHook": Backend("ClearMLVisBackend", {"init_kwargs": "init_kwargs"}),
    "DvcliveLoggerHook": Backend("DVCLiveVisBackend"),
    "MlflowLoggerHook": Backend(
        "MLflowVisBackend", {"exp_name": "exp_name", "tags": "tags", "params": "params"}
    ),
    "NeptuneLoggerHook": Backend("NeptuneVisBackend", {"init_kwargs": "init_kwargs"}),
    "TensorboardLoggerHook": Backend("TensorboardVisBackend", {"log_dir": "save_dir"}),
    "WandbLoggerHook": Backend(
        "WandbVisBackend",
        {key: key for key in ("init_kwargs", "define_metric_cfg", "commit")},
    ),
}
TEXT = "TextLoggerHook"
# The pace of all logging, which is LoggerHook's today.
_PACE = ("interval", "ignore_last")
_TEXT_ARGUMENTS = (
    *_PACE,
    "interval_exp_name",
    "out_dir",
    "out_suffix",
    "keep_local",
    "file_client_args",
    "priority",
)
# Hooks that have another name today; their arguments are the same.
RENAMED = {"VisualizerHook": "NaiveVisualizationHook"}
# Class, or "" for each that has the new argument -> older argument -> today's.
ARGUMENTS = {"": {"internal": "interval"}, "EMAHook": {"start_iters": "begin_iter"}}
_OLDER_PLACES = (None, "mmengine", "mmengine.hooks", "mmcv", "mmcv.runner", "mmcv.runner.hooks")
_MARKS = ("type", "_scope_", "_delete_")


def read_hooks(edit: Edit) -> None:
    """Put today's forms in the place of older hooks in ``default_hooks`` and ``custom_hooks``."""
    default = edit.get("default_hooks", None)
    for name, hook in raw_items(default) if isinstance(default, Mapping) else ():
        path = f"default_hooks.{name}"
        kind = _older_kind(hook)
        if kind is None:
            _rename(edit, path, hook)
        elif kind in RENAMED:
            edit.becomes(f"{path}.type", f"{path}.type", RENAMED[kind])
        else:
            edit.set(path, ABSENT)
            _read_away(edit, path, kind, hook, as_logger=name == "logger")
    _read_custom(edit)


def _read_custom(edit: Edit) -> None:
    given = edit.get("custom_hooks", None)
    if not isinstance(given, (list, tuple)):
        return
    kept: list[Any] = []
    written = {}
    for index, hook in enumerate(given):
        path = edit.written.pop(f"custom_hooks[{index}]", f"custom_hooks[{index}]")
        kind = _older_kind(hook)
        if kind is None or kind in RENAMED:
            today = f"custom_hooks[{len(kept)}]"
            if today != path:
                written[today] = path
            kept.append(_today(edit, path, kind, hook, today))
        else:
            _read_away(edit, path, kind, hook)
    if len(kept) != len(given) or any(a is not b for a, b in zip(kept, given, strict=True)):
        edit.set("custom_hooks", kept)
    edit.written |= written


def _today(edit: Edit, path: str, kind: str | None, hook: Any, today: str) -> Any:
    """Return a hook of ``custom_hooks`` with today's name and arguments."""
    if kind is not None:
        name = RENAMED[kind]
        edit.tell(f"{path}.type", f"{today}.type", name)
        edit.note(f"{path}.type", Status.TRANSLATED, f"an older name of {name}")
        return {**dict(raw_items(hook)), "type": name}
    renamed = _renamed_of(hook) if isinstance(hook, Mapping) else {}
    for old, new in renamed.items():
        edit.tell(f"{path}.{old}", f"{today}.{new}")
        edit.note(f"{path}.{old}", Status.TRANSLATED, f"an older name of {new}")
    return rename_arguments(hook) if renamed else hook


def _rename(edit: Edit, path: str, hook: Any) -> None:
    """Rename the arguments of one of ``default_hooks``."""
    if not isinstance(hook, Mapping):
        return
    for old, new in _renamed_of(hook).items():
        edit.move(f"{path}.{old}", f"{path}.{new}", dict(raw_items(hook))[old])


def todays_hook(hook: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a hook's config with today's names, as a script may register it."""
    kind = _older_kind(hook)
    return {**hook, "type": RENAMED[kind]} if kind in RENAMED else rename_arguments(hook)


def rename_arguments(hook: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a hook's config with today's names of its arguments."""
    renamed = _renamed_of(hook)
    return {renamed.get(key, key): value for key, value in raw_items(hook)} if renamed else hook


def _renamed_of(hook: Mapping[str, Any]) -> dict[str, str]:
    """Return older argument -> today's, for those that a hook's config has."""
    given = dict(raw_items(hook))
    place, kind = type_place(given.get("type", ""))
    known = classes()["HOOKS"].get(kind)
    if known is None or not (place in _OLDER_PLACES or place in LIBRARIES):
        return {}
    table = {
        **{old: new for old, new in ARGUMENTS[""].items() if new in known.arguments},
        **ARGUMENTS.get(kind, {}),
    }
    if kind == "EMAHook":  # which hands its interval on
        table |= ARGUMENTS[""]
    return {old: new for old, new in table.items() if old in given and new not in given}


def _older_kind(hook: Any) -> str | None:
    """Return the name of a hook that is gone, or None; one's own class of that name is not it."""
    if not isinstance(hook, Mapping):
        return None
    kind = dict(raw_items(hook)).get("type")
    if kind is None:
        return None
    place, name = type_place(kind)
    gone = name in UPDATES or name in BACKENDS or name == TEXT or name in RENAMED
    return name if gone and place in _OLDER_PLACES and not _is_registered(name) else None


def _is_registered(name: str) -> bool:
    registries = [HOOKS, *HOOKS.children.values()]
    return any(name in one.module_dict for one in registries)


def _read_away(edit: Edit, path: str, kind: str, hook: Any, *, as_logger: bool = False) -> None:
    """Put what a hook did where it is done today; the hook itself is gone."""
    given = dict(raw_items(hook))
    if kind in UPDATES:
        read_update(edit, path, given)
    else:
        read_logger(edit, path, given, as_logger=as_logger)


# ----------------------------------------------------------------------- updates


def read_update(edit: Edit, path: str, given: Mapping[str, Any]) -> None:
    """Put an optimizer hook's arguments into the optimizer wrapper.

    Args:
        edit: The config.
        path: Where the hook stands.
        given: Its config.
    """
    given = dict(raw_items(given))
    kind = type_name(given.get("type", UPDATES[0]))
    name = "fp16" if path == "fp16" else kind
    asked: dict[str, Any] = {}
    for key, value in given.items():
        if key in _MARKS:
            continue
        if key not in UPDATE_ARGUMENTS or (key == "loss_scale" and kind not in FP16):
            choices = nearest(key, UPDATE_ARGUMENTS)
            edit.report.problem(f"{name} has no argument {key!r}", f"{path}.{key}", None, choices)
        elif UPDATE_ARGUMENTS[key] is None:
            edit.note(f"{path}.{key}", Status.TRANSLATED, NOTHING_LEFT[key])
        elif any(value is one or value == one for one in _ASKS_NOTHING.get(key, ())):
            edit.note(f"{path}.{key}", Status.TRANSLATED, "asks for nothing")
        else:
            asked[key] = value
    if kind in FP16:
        asked = {"type": "AmpOptimWrapper", "loss_scale": _LOSS_SCALE, **asked}
    text = (
        f"an older form of {', '.join(map(_today_of, asked)) or 'what an optimizer wrapper does'}"
    )
    edit.note(path, Status.TRANSLATED, text)
    _into_wrapper(edit, path, asked, given)


def _today_of(argument: str) -> str:
    return "optim_wrapper.type" if argument == "type" else str(UPDATE_ARGUMENTS[argument])


def _into_wrapper(edit: Edit, path: str, asked: dict[str, Any], given: Mapping[str, Any]) -> None:
    wrapper = edit.get("optim_wrapper", None)
    if not asked:
        edit.tell(path, "optim_wrapper", moved=False)
    if asked.pop("detect_anomalous_params", None):
        edit.becomes(f"{path}.detect_anomalous_params", "trainer.detect_anomalous_params", True)
    if wrapper is None and asked:  # nothing is trained
        edit.tell(path, "optim_wrapper", moved=False)
    if wrapper is None or not asked:
        return
    if not isinstance(wrapper, Mapping) or "optimizer" not in wrapper:
        several = "several" if isinstance(wrapper, Mapping) else "built already"
        edit.report.problem(
            f"optim_wrapper is {several}, so {', '.join(asked)} cannot be given to it",
            path,
            "set it there: " + ", ".join(map(_today_of, asked)),
        )
        return
    for key, value in asked.items():
        implied = key not in given or (key == "type" and path == "fp16")
        old, new = (path if implied else f"{path}.{key}"), _today_of(key)
        before = edit.get(new)
        if before is ABSENT:
            edit.becomes(old, new, value)
        elif before != value:
            edit.note(old, Status.NO_EFFECT, f"{new} stands already", (new,))


# ----------------------------------------------------------------------- logging


def read_logger(
    edit: Edit, path: str, given: Mapping[str, Any], *, as_logger: bool = False
) -> None:
    """Put a logger hook's pace into LoggerHook, and what it writes to into the visualizer.

    Args:
        edit: The config.
        path: Where the hook stands.
        given: Its config.
        as_logger: Whether it stands in LoggerHook's place.
    """
    kind = type_name(given.get("type"))
    backend = BACKENDS.get(kind)
    if backend is None and kind != TEXT:
        edit.report.problem(
            f"there is no {kind} today", path, "visualizer.vis_backends says where logs go"
        )
        return
    logger = {} if as_logger else edit.get("default_hooks.logger", None)
    taken = _TEXT_ARGUMENTS if kind == TEXT else _PACE
    paced = {key: given[key] for key in taken if key in given}
    what = backend.name if backend else "LoggerHook"
    edit.note(path, Status.TRANSLATED, f"an older form of {what}")
    if as_logger or (backend is None and edit.get("default_hooks.logger") is ABSENT):
        edit.set("default_hooks.logger", {"type": "LoggerHook", **paced})
        if path == "default_hooks.logger":
            edit.tell(f"{path}.type", f"{path}.type", "LoggerHook")
        else:
            edit.tell(path, "default_hooks.logger")
    else:
        _at_the_pace(edit, path, kind, paced, logger)
    if given.get("by_epoch") is False and edit.get("log_processor.by_epoch") is ABSENT:
        edit.becomes(f"{path}.by_epoch", "log_processor.by_epoch", False)
    _tell_rest(edit, path, given, {*taken, *(backend.arguments if backend else ()), "by_epoch"})
    if backend is not None:
        arguments = {new: given[old] for old, new in backend.arguments.items() if old in given}
        _add_backend(edit, path, backend, {"type": backend.name, **arguments})


def is_logger(hook: Mapping[str, Any]) -> bool:
    """Whether this is one of the hooks that logged to a place of their own."""
    kind = _kind(hook)
    return kind in BACKENDS or kind == TEXT


def _at_the_pace(edit: Edit, path: str, kind: str, paced: dict[str, Any], logger: Any) -> None:
    """Say where a hook asked for another pace than the one LoggerHook has."""
    defaults = classes()["HOOKS"]["LoggerHook"].defaults
    has = dict(raw_items(logger)) if isinstance(logger, Mapping) else {}
    for key, value in paced.items():
        if key != "priority" and value != has.get(key, defaults.get(key)):
            text = f"LoggerHook writes to all backends: default_hooks.logger.{key} counts"
            edit.note(f"{path}.{key}", Status.APPROXIMATED, text, (f"default_hooks.logger.{key}",))


def _tell_rest(edit: Edit, path: str, given: Mapping[str, Any], taken: set[str]) -> None:
    for key in given:
        if key not in taken and key not in _MARKS and key != "priority":
            edit.note(f"{path}.{key}", Status.NO_EFFECT, "nothing of today's does this")


def _add_backend(edit: Edit, path: str, row: Backend, backend: dict[str, Any]) -> None:
    visualizer = edit.get("visualizer", None)
    if visualizer is None:
        local = {"type": "LocalVisBackend"}
        edit.set("visualizer", {"type": "Visualizer", "vis_backends": [local, backend]})
        index = 1
    elif isinstance(visualizer, Mapping):
        backends = dict(raw_items(visualizer)).get("vis_backends") or []
        listed = list(backends) if isinstance(backends, (list, tuple)) else [backends]
        index = len(listed)
        same = [n for n, one in enumerate(listed) if _kind(one) == row.name]
        if same:  # today's form wins
            edit.tell(path, f"visualizer.vis_backends[{same[0]}]", moved=False)
            return
        edit.set("visualizer.vis_backends", [*listed, backend])
    else:
        edit.report.problem("the visualizer is built already", path, "give it the backend there")
        return
    place = f"visualizer.vis_backends[{index}]"
    edit.tell(path, place)
    edit.written |= {f"{place}.{new}": f"{path}.{old}" for old, new in row.arguments.items()}


def _kind(section: Any) -> str:
    return type_name(dict(raw_items(section)).get("type")) if isinstance(section, Mapping) else ""
