"""The small sections of the top level: environment, seeds, log, visualizer and their like."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from os import PathLike
from typing import Any

from mm2pl.errors import nearest
from mm2pl.libraries import LIBRARIES
from mm2pl.plan import Status
from mm2pl.translate.classes import find, read_typed
from mm2pl.translate.report import Report, Rule, brief, one_of, raw_items, type_name, whole_number
from mm2pl.translate.spelling import distance
from mm2pl.translate.values import check_type, want_dict

_START_METHODS = ("fork", "spawn", "forkserver")
_BACKENDS = ("nccl", "gloo", "mpi", "ucc", "hccl", "cncl", "mccl", "xccl")


def _start_method(value: Any) -> str | None:
    fits = not isinstance(value, str) or value in _START_METHODS
    return None if fits else f"must be {' or '.join(map(repr, _START_METHODS))}"


_GROUP = "torch.distributed.init_process_group's argument"
SECTION_RULES = {
    "env_cfg": (
        Rule("cudnn_benchmark", Status.AS_IS, "torch.backends.cudnn.benchmark"),
        Rule("mp_cfg", Status.AS_IS, "start method of workers, OpenCV's threads", one_of(dict)),
        Rule("dist_cfg", Status.AS_IS, "backend and timeout of the process group", one_of(dict)),
        Rule("resource_limit", Status.AS_IS, "open files of the process", whole_number(1)),
    ),
    "env_cfg.mp_cfg": (
        Rule("mp_start_method", Status.AS_IS, "start method of workers", _start_method),
        Rule("opencv_num_threads", Status.AS_IS, "OpenCV's threads"),
    ),
    "env_cfg.dist_cfg": (
        Rule("backend", Status.AS_IS, "what the processes speak through"),
        Rule("init_backend", Status.AS_IS, "who starts the group: torch"),
        Rule("timeout", Status.AS_IS, "seconds to wait for another process"),
        Rule("port", Status.AS_IS, "of the first process, under Slurm"),
        *(
            Rule(key, Status.AS_IS, _GROUP)
            for key in (
                "init_method",
                "world_size",
                "rank",
                "store",
                "group_name",
                "pg_options",
                "device_id",
            )
        ),
    ),
    "randomness": (
        Rule("seed", Status.AS_IS, "Python's, NumPy's and torch's seed", one_of(int)),
        Rule("diff_rank_seed", Status.AS_IS, "adds the rank to the seed"),
        Rule("deterministic", Status.AS_IS, "torch.use_deterministic_algorithms"),
    ),
    "log_processor": (
        Rule(
            "window_size",
            Status.AS_IS,
            "how many values a smoothed one is the mean of",
            one_of(int),
        ),
        Rule("by_epoch", Status.AS_IS, "whether the log counts epochs"),
        Rule("custom_cfg", Status.AS_IS, "own statistics of single values", one_of(list, tuple)),
        Rule("num_digits", Status.AS_IS, "digits behind the point"),
        Rule("log_with_hierarchy", Status.AS_IS, "train/, val/ or test/ before a name"),
        Rule("mean_pattern", Status.AS_IS, "which values are smoothed"),
    ),
    "log_processor.custom_cfg": (
        Rule("data_src", Status.AS_IS, "the value it is made of"),
        Rule("log_name", Status.AS_IS, "its name in the log"),
        Rule("method_name", Status.AS_IS, "a statistic of HistoryBuffer"),
        Rule("window_size", Status.AS_IS, "of how many values: a number, 'epoch' or 'global'"),
    ),
    "visualizer": (
        Rule("name", Status.AS_IS, "the visualizer's name"),
        Rule("save_dir", Status.AS_IS, "where the backends write"),
        Rule("vis_backends", Status.TRANSLATED, "what the Trainer's logger writes to"),
    ),
    "resume": (
        Rule("exact", Status.AS_IS, "whether a resumed run is the same to the last bit", own=True),
    ),
    "auto_scale_lr": (
        Rule("enable", Status.AS_IS, "whether to scale"),
        Rule("base_batch_size", Status.AS_IS, "the batch size that lr is meant for"),
    ),
    "compile": (
        Rule("target", Status.AS_IS, "the model's method that is compiled"),
        *(
            Rule(key, Status.AS_IS, "torch.compile's argument")
            for key in ("fullgraph", "dynamic", "backend", "mode", "options", "disable")
        ),
    ),
    "custom_imports": (
        Rule("imports", Status.AS_IS, "modules imported when the config is loaded"),
        Rule("allow_failed_imports", Status.AS_IS, "whether one that is missing is left out"),
    ),
}
# Statistics that every HistoryBuffer has, and whether they look at a window.
STATISTICS = {"mean": True, "max": True, "min": True, "current": False}
_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_PLAIN = ("env_cfg", "env_cfg.mp_cfg", "env_cfg.dist_cfg", "randomness", "auto_scale_lr")
_SCOPE = Rule("_scope_", Status.AS_IS, "the registry scope of this section")


# Key, the types that its value may have, and these in words.
_KINDS: tuple[tuple[str, tuple[type, ...], str], ...] = (
    ("work_dir", (str, PathLike), "a path"),
    ("load_from", (str, PathLike), "a path"),
    ("compile", (bool, Mapping), "a dict or a bool"),
    ("custom_imports", (Mapping,), "a dict such as dict(imports=['a.module'])"),
)


def read_sections(cfg: Mapping[str, Any], report: Report) -> None:
    """Note the keys of every small section, and values that cannot be."""
    for path in (*_PLAIN, "compile", "custom_imports"):
        report.read(_at(cfg, path), (*SECTION_RULES[path], _SCOPE), path)
    _read_log_processor(cfg.get("log_processor"), report)
    _read_visualizer(cfg.get("visualizer"), report)
    read_typed(cfg.get("model_wrapper_cfg"), "MODEL_WRAPPERS", "model_wrapper_cfg", report)
    read_typed(cfg.get("data_preprocessor"), "MODELS", "data_preprocessor", report)
    _check_compile(cfg, report)
    _check_backend(_at(cfg, "env_cfg.dist_cfg"), report)
    _check_values(cfg, report)


def _check_backend(section: Any, report: Report) -> None:
    """Tell a misspelt backend; torch may have others than the known ones."""
    name = section.get("backend") if isinstance(section, Mapping) else None
    if not isinstance(name, str) or name.lower() in _BACKENDS:
        return
    meant = [one for one in _BACKENDS if distance(name.lower(), one, 1) == 1]
    if meant:
        path = "env_cfg.dist_cfg.backend"
        report.later(f"there is no backend {name!r}", path, choices=meant)


def _check_compile(cfg: Mapping[str, Any], report: Report) -> None:
    """Tell that the usual runner hands ``target`` to ``torch.compile``, which does not take it."""
    section = cfg.get("compile")
    is_usual = type_name(cfg.get("runner_type") or "Runner") == "Runner"
    if is_usual and isinstance(section, Mapping) and "target" in section:
        hint = "leave it out: the method is train_step; or runner_type='FlexibleRunner'"
        report.later("FlexibleRunner alone knows it", "compile.target", hint)


def _at(cfg: Mapping[str, Any], path: str) -> Any:
    first, *rest = path.split(".")
    section = cfg.get(first)  # a Config is no Mapping
    for key in rest:
        section = section.get(key) if isinstance(section, Mapping) else None
    return section


def _read_log_processor(section: Any, report: Report) -> None:
    path = "log_processor"
    read_typed(
        section, "LOG_PROCESSORS", path, report, default="LogProcessor", rules=SECTION_RULES[path]
    )
    entries = section.get("custom_cfg") if isinstance(section, Mapping) else None
    for index, entry in enumerate(entries if isinstance(entries, (list, tuple)) else ()):
        if isinstance(entry, Mapping):
            _read_statistic(entry, f"{path}.custom_cfg[{index}]", report)


def _read_statistic(entry: Mapping[str, Any], path: str, report: Report) -> None:
    name = entry.get("method_name")
    own = isinstance(name, str) and name not in STATISTICS
    more = f"an argument of the statistic {name!r}" if own else ""
    report.read(entry, SECTION_RULES["log_processor.custom_cfg"], path, more)
    close = nearest(str(name), STATISTICS) if own else []
    if close and distance(str(name), close[0]) <= 1:
        text = f"HistoryBuffer has no {name!r} of its own"
        report.note(f"{path}.method_name", Status.UNKNOWN, text, close)
    for key in ("data_src", "method_name"):
        if key not in entry:
            report.later(f"a statistic needs {key!r}", path, f"add {key}=...")


def _read_visualizer(section: Any, report: Report) -> None:
    path = "visualizer"
    read_typed(section, "VISUALIZERS", path, report, rules=SECTION_RULES[path])
    backends = section.get("vis_backends") if isinstance(section, Mapping) else None
    if isinstance(backends, Mapping):
        read_typed(backends, "VISBACKENDS", f"{path}.vis_backends", report)
    for index, backend in enumerate(backends if isinstance(backends, (list, tuple)) else ()):
        where = f"{path}.vis_backends[{index}]"
        if not want_dict(backend, where, report, none=False):
            read_typed(backend, "VISBACKENDS", where, report)


def _check_values(cfg: Mapping[str, Any], report: Report) -> None:
    for key in ("model", "visualizer", "log_processor", "data_preprocessor"):
        want_dict(cfg.get(key), key, report)
    model = cfg.get("model")
    if isinstance(model, Mapping):
        if "type" in model:
            check_type(dict(raw_items(model))["type"], "model", report)
        else:
            report.later("needs a 'type'", "model", "add type=... with the name of its class")
    for key, kinds, what in _KINDS:
        if cfg.get(key) is not None and not isinstance(cfg.get(key), kinds):
            report.later(f"must be {what}, got {brief(cfg.get(key))}", key)
    level = cfg.get("log_level")
    if isinstance(level, str) and not isinstance(logging.getLevelName(level), int):
        report.problem(
            f"there is no log level {level!r}",
            "log_level",
            f"one of {', '.join(_LEVELS)}, or a number",
            nearest(level, _LEVELS),
        )
    if isinstance(cfg.get("resume"), str):
        text = "as a path, no more than True: it goes on with the newest checkpoint of work_dir"
        report.note("resume", Status.NO_EFFECT, text, ("load_from",))
    kind = cfg.get("runner_type")
    if kind is not None:
        found = find(kind, "RUNNERS", report.scope)
        if found.status is Status.UNKNOWN:
            report.note("runner_type", Status.UNKNOWN, found.text, found.choices)
    scope = report.scope
    if isinstance(scope, str) and scope not in LIBRARIES and scope != "mmengine":
        close = [one for one in (*LIBRARIES, "mmengine") if distance(scope, one, 1) == 1]
        if close:
            text = f"there is no library {type_name(scope)}; names are looked for in MMEngine alone"
            report.note("default_scope", Status.UNKNOWN, text, close)
