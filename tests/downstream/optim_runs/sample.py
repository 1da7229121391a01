"""Chooses config files that show every shape of the sections about optimisation.

A shape is a section's keys and the types of its values; names of classes and of parameters count
as they are.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from mm2pl.mmengine.config import Config
from tools import bench_config

Shape = tuple[Any, ...]


def shown_by_file() -> dict[str, frozenset[Shape]]:
    """Return the shapes in each config file of the wheels, less those that optimize nothing."""
    found = {}
    for file in bench_config.config_files():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                cfg = Config.fromfile(file, import_custom_modules=False).to_dict()
            except Exception:  # the ten broken ones, of which test_config_files.py tells
                continue
        if cfg.get("optim_wrapper") or cfg.get("param_scheduler") is not None:
            found[file] = frozenset(_shapes(library_of(file), cfg))
    return found


def all_shapes(shown: Iterable[frozenset[Shape]]) -> frozenset[Shape]:
    return frozenset[Shape]().union(*shown)


def covering(shown: Mapping[str, frozenset[Shape]]) -> list[str]:
    """Return files that together show every shape: always the one that shows most new ones."""
    left = set(all_shapes(shown.values()))
    whole = sorted(shown, key=lambda file: ("_base_" in file, file))  # with a model, if possible
    chosen = []
    while left:
        chosen.append(max(whole, key=lambda file: len(shown[file] & left)))
        left -= shown[chosen[-1]]
    return chosen


def library_of(file: str) -> str:
    """Return which wheel a config file comes from."""
    parts = Path(file).parts
    return parts[parts.index(".mim") - 1]


def _shapes(library: str, cfg: Mapping[str, Any]) -> Iterable[Shape]:
    wrapper = cfg.get("optim_wrapper") or {}
    paramwise = wrapper.get("paramwise_cfg") or {}
    apart = ("optimizer", "paramwise_cfg")
    yield ("optim_wrapper", _shape(_without(wrapper, *apart)), *sorted({*wrapper} & {*apart}))
    yield ("optimizer", _shape(wrapper.get("optimizer")))
    yield ("constructor", library, wrapper.get("constructor"))
    yield ("paramwise_cfg", _shape(_without(paramwise, "custom_keys")), "custom_keys" in paramwise)
    for key, options in (paramwise.get("custom_keys") or {}).items():
        yield ("custom key", key)
        yield ("options of a custom key", _shape(options))
    yield ("param_scheduler", _shape(cfg.get("param_scheduler")))
    yield ("train_cfg", library, _shape(cfg.get("train_cfg")))


def _without(section: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in keys}


def _shape(value: Any) -> Any:
    if isinstance(value, Mapping):
        names = ("type", "param_name")
        return tuple(sorted((k, str(v) if k in names else _shape(v)) for k, v in value.items()))
    if isinstance(value, (list, tuple)):
        of = [_shape(item) for item in value]
        sections = any(isinstance(item, Mapping) for item in value)
        return (type(value).__name__, *(of if sections else sorted(set(map(str, of)))))
    return str(value) if isinstance(value, bool) else type(value).__name__
