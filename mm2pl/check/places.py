"""Where a config names classes: every dict with a ``type``, and the registry that knows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mm2pl.translate.runtime import TOP_RULES

ANY = ""  # the class around it decides: any registry may hold the name
_LOADER, _SCHEDULERS, _METRICS, _HOOKS_BY_NAME = "a loader", "schedulers", "metrics", "hooks"

# Section -> registry; what is not listed is a section without classes of its own, or of any kind.
_SECTIONS = {
    "model": "MODELS",
    "data_preprocessor": "MODELS",
    "tta_model": "MODELS",
    "tta_pipeline": "TRANSFORMS",
    **{f"{stage}_dataloader": _LOADER for stage in ("train", "val", "test")},
    **{f"{stage}_cfg": "LOOPS" for stage in ("train", "val", "test")},
    **{f"{stage}_evaluator": _METRICS for stage in ("val", "test")},
    "optim_wrapper": "OPTIM_WRAPPERS",
    "param_scheduler": "PARAM_SCHEDULERS",
    "default_hooks": "HOOKS",
    "custom_hooks": "HOOKS",
    "visualizer": "VISUALIZERS",
    "log_processor": "LOG_PROCESSORS",
    "strategy": "STRATEGIES",
    "model_wrapper_cfg": "MODEL_WRAPPERS",
}
# The same for the keys of what is inside; by default ANY.
_INSIDE = {
    _LOADER: {
        "dataset": "DATASETS",
        "sampler": "DATA_SAMPLERS",
        "batch_sampler": "DATA_SAMPLERS",
        "collate_fn": "FUNCTIONS",
        "worker_init_fn": "FUNCTIONS",
    },
    "DATASETS": {"dataset": "DATASETS", "datasets": "DATASETS", "pipeline": "TRANSFORMS"},
    "TRANSFORMS": {"transforms": "TRANSFORMS"},
    "OPTIM_WRAPPERS": {"optimizer": "OPTIMIZERS"},
    "EVALUATOR": {"metrics": "METRICS"},
    "VISUALIZERS": {"vis_backends": "VISBACKENDS"},
    "MODELS": {"data_preprocessor": "MODELS"},
}
# Sections that are dicts of things by name, also without a type.
_BY_NAME = ("default_hooks", "param_scheduler", "optim_wrapper")
# Names that stand in a key of their own: section -> key and registry.
_NAMED = {
    "optim_wrapper": ("constructor", "OPTIM_WRAPPER_CONSTRUCTORS"),
    "": ("runner_type", "RUNNERS"),
}
# Transforms of another package, whose arguments name that package's classes by `type`.
_FOREIGN = ("Albu", "Albumentations", "PytorchVideoWrapper", "ImgAug", "Imgaug")


@dataclass(frozen=True)
class Place:
    """One class that a config names.

    Attributes:
        key_path: The key path of the name, e.g. ``model.backbone.type``.
        name: What stands there: a string, a class, or a lazy object of a new-style config.
        registry: The name of the root registry that must hold it, or :data:`ANY`.
        scope: The nearest ``_scope_`` around it.
        arguments: The keys beside it, which the class takes.
    """

    key_path: str
    name: Any
    registry: str
    scope: str | None
    arguments: tuple[str, ...] = ()

    @property
    def section(self) -> str:
        """The key path of the dict that names the class."""
        return self.key_path.rpartition(".")[0]


def places(cfg: Mapping[str, Any]) -> Iterator[Place]:
    """Yield every class that the sections name which a run reads, in the config's order."""
    sections = {rule.key for rule in TOP_RULES} | set(_SECTIONS)
    for key, value in _items(cfg):
        if key in sections:
            yield from _inside(value, str(key), _SECTIONS.get(key, ANY), None)
    yield from _in_own_key(cfg, "", None)


def _inside(value: Any, path: str, registry: str, scope: str | None) -> Iterator[Place]:
    if isinstance(value, (list, tuple)):
        for index, one in enumerate(value):
            yield from _inside(one, f"{path}[{index}]", registry, scope)
        return
    if not isinstance(value, dict):
        return
    items = dict(_items(value))
    given = items.get("_scope_")
    scope = given if isinstance(given, str) else scope
    if registry == _METRICS:
        registry = "EVALUATOR" if "metrics" in items else "METRICS"
    name = items.get("type")
    has_type = name is not None and not isinstance(name, (dict, list, tuple))
    if has_type:
        others = tuple(str(key) for key in items if key not in ("type", "_scope_"))
        yield Place(f"{path}.type", name, registry, scope, others)
    yield from _in_own_key(items, path, scope)
    if has_type and isinstance(name, str) and name.rpartition(".")[2] in _FOREIGN:
        return
    inside = _INSIDE.get(registry, {})
    by_name = path in _BY_NAME and not has_type
    for key, one in items.items():
        below = registry if by_name and key not in inside else inside.get(key, ANY)
        yield from _inside(one, f"{path}.{key}", below, scope)


def _in_own_key(items: Mapping[str, Any], path: str, scope: str | None) -> Iterator[Place]:
    key, registry = _NAMED.get(path, ("", ""))
    name = items.get(key) if key else None
    if name is not None and not isinstance(name, (dict, list, tuple)):
        yield Place(f"{path}.{key}" if path else key, name, registry, scope)


def _items(section: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the items as they are: reading them through a ConfigDict would build lazy objects."""
    section = getattr(section, "_cfg_dict", section)
    yield from dict.items(section) if isinstance(section, dict) else section.items()
