"""Rows for the classes in mm2pl's registries, and for the arguments that a config may give them."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from mm2pl.mmengine import registry
from mm2pl.plan import Status
from mm2pl.support import Marker, counterpart

OWN = "mm2pl's own"
INTRODUCTION = """\
Optimizers, and other classes of torch's, are torch's own. Arguments that the runner itself passes
(`runner`, `dataset`, `optimizer` and so on) have no row.
"""
# What translate() knows of classes: defaults, and whether further arguments are handed on.
_TABLE: dict[str, Any] = json.loads(
    (Path(__file__).parents[2] / "mm2pl" / "translate" / "classes.json").read_text()
)
FURTHER = "**kwargs"
# What a config does not give, by registry.
_PASSED = {
    "DATA_SAMPLERS": {"dataset"},
    "LOOPS": {"runner", "dataloader", "evaluator"},
    "MODELS": {"model", "module"},
    "MODEL_WRAPPERS": {"module"},
    "OPTIMIZERS": {"params"},
    "OPTIM_WRAPPER_CONSTRUCTORS": {"optim_wrapper_cfg"},
    "PARAM_SCHEDULERS": {"optimizer"},
    "STRATEGIES": {"work_dir", "experiment_name", "env_kwargs", "log_kwargs", "auto_scale_lr"},
}
Found = tuple[str, str, str, str]


def rows() -> Iterator[tuple[str, list[Found]]]:
    """Yield each root registry that mm2pl fills, with the rows of its classes and arguments.

    Other entries (torch's optimizers, optional packages' ones) depend on what is installed.
    """
    for name, members in own_members():
        yield name, [row for key in sorted(members) for row in _of_class(name, key, members[key])]


@lru_cache(maxsize=1)
def own_members() -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return the root registries with those of their entries that are mm2pl's."""
    roots = {
        name: {key: kind for key, kind in root.module_dict.items() if _is_ours(kind)}
        for name, root in sorted(vars(registry).items())
        if isinstance(root, registry.Registry)
    }
    return tuple((name, own) for name, own in roots.items() if own)


def marker_of(value: Any) -> Marker | None:
    """Return the mark of what is unsupported."""
    return getattr(value, "__marker__", None)


def why(marker: Marker) -> str:
    """Return a marker's reason and hint."""
    return f"{marker.reason} (hint: {marker.hint.rstrip('.')})" if marker.hint else marker.reason


def arguments(kind: Any) -> dict[str, type]:
    """Return the names of a class's arguments, those behind ``*args`` and ``**kwargs`` included.

    Each with the class whose ``__init__`` takes it.
    """
    found: dict[str, type] = {}
    for base in inspect.getmro(kind) if isinstance(kind, type) else ():
        if not base.__module__.startswith("mm2pl."):
            break
        if "__init__" not in vars(base):
            continue
        parameters = list(inspect.signature(base.__init__).parameters.values())[1:]
        named = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
        for parameter in named:
            found.setdefault(parameter.name, base)
        if len(named) == len(parameters):
            break
    return found


def summary(kind: Any) -> str:
    """Return the first sentence of a docstring, in Markdown."""
    first = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
    first = re.sub(r":\w+:`[~.]?([^`]+)`", r"`\1`", first).replace("``", "`")
    return re.split(r"(?<=[\w`)])\.(?: |$)", first)[0]


def _is_ours(kind: Any) -> bool:
    return marker_of(kind) is not None or str(kind.__module__).startswith("mm2pl.")


def _of_class(registry_name: str, name: str, kind: Any) -> Iterator[Found]:
    marker = marker_of(kind)
    place = f"{registry_name}.{name}"
    if marker is not None:
        yield place, f"`{name}`", Status.UNSUPPORTED.value, why(marker)
        return
    known = _TABLE.get(registry_name, {}).get(name, {})
    status = _status(registry_name, known.get("module", "mmengine"))
    mark = counterpart(kind)
    yield place, f"`{name}`", *((mark.status.value, mark.text) if mark else (status, summary(kind)))
    if registry_name in _WITHOUT or not isinstance(kind, type):
        return
    defaults = known.get("arguments", {})
    own = [one for one in arguments(kind) if one in defaults]
    for argument in own:
        if argument not in _PASSED.get(registry_name, ()):
            text = _default(defaults[argument])
            yield f"{place}.{argument}", f"`{name}.{argument}`", status, text
    if known.get("open") or len(own) < len(defaults):
        yield f"{place}.{FURTHER}", f"`{name}` ({FURTHER})", status, "handed on"


def _status(registry_name: str, module: str) -> str:
    if registry_name != "RUNNERS" and not module.startswith("mmengine"):
        return OWN
    return (Status.TRANSLATED if registry_name in _BY_LIGHTNING else Status.AS_IS).value


def _default(known: list[Any] | None) -> str:
    if known is None:
        return ""
    return f"default {known[0]!r}" if known else "required"


_WITHOUT = ("RUNNERS",)  # its arguments are the keys of the top level
_BY_LIGHTNING = ("LOOPS", "OPTIM_WRAPPERS", "RUNNERS", "STRATEGIES")
