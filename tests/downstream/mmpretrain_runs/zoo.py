"""Build the parts of many zoo configs with the engine that ``import mmengine`` gives here.

Usage: python zoo.py (mmengine | mm2pl) (all | one) OUTPUT.json

``one`` takes one config of each folder and draws the weights of models that are not large; ``all``
takes every config and draws none. Nothing is trained.
"""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

LARGEST = 30_000_000  # parameters of a model whose weights are drawn


def main(engine: str, which: str, output: str) -> None:
    if engine == "mm2pl":
        import mm2pl

        mm2pl.install_as_mmengine()
    import mmpretrain
    from mmengine.visualization import Visualizer
    from mmpretrain.utils import register_all_modules

    register_all_modules()
    Visualizer.get_instance("zoo")  # hooks ask for the newest one
    socket.getaddrinfo = _no_network
    root = Path(mmpretrain.__file__).parent
    reports = {}
    for path in configs(root, which):
        began = time.monotonic()
        reports[str(path.relative_to(root))] = report = build(path, draw=which == "one")
        report["seconds"] = time.monotonic() - began
        Path(output).write_text(json.dumps(reports))


def _no_network(*args: Any, **kwargs: Any) -> NoReturn:
    raise OSError("weights are not fetched here")


def configs(root: Path, which: str) -> list[Path]:
    """Return config files below the package, less the parts that others are made of."""
    found = [
        path
        for folder in (root / ".mim/configs", root / "configs")
        for path in sorted(folder.rglob("*.py"))
        if "_base_" not in path.parts and path.name != "__init__.py"
    ]
    if which == "all":
        return found
    by_folder: dict[Path, list[Path]] = {}
    for path in found:
        by_folder.setdefault(path.parent, []).append(path)
    # Names grow with models, roughly: the shortest is a small one.
    return [
        min(paths, key=lambda path: (len(path.name), path.name)) for paths in by_folder.values()
    ]


def build(path: Path, draw: bool) -> dict[str, Any]:
    """Return what each part of a config came to."""
    from mmengine.config import Config

    report: dict[str, Any] = {}
    cfg = _attempt(report, "config", lambda: Config.fromfile(path))
    if cfg is None:
        return report
    report["config"] = _digest(cfg.to_dict())
    for name, make in PARTS.items():
        _attempt(report, name, lambda make=make: make(cfg, report))  # type: ignore[misc]
    model = _attempt(report, "model", lambda: _model(cfg, report))
    if model is not None:
        _attempt(report, "optimizer", lambda: _optimizer(cfg, model, report))
        if draw and sum(one.numel() for one in model.parameters()) < LARGEST:
            _attempt(report, "weights", lambda: _weights(cfg, report))
    return report


def _attempt(report: dict[str, Any], name: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except Exception as error:
        kinds = [kind.__name__ for kind in type(error).__mro__ if kind is not object]
        report[name] = {"error": kinds, "message": str(error)[:300]}
        return None


def _model(cfg: Any, report: dict[str, Any]) -> Any:
    from mmengine.registry import MODELS

    with _no_drawing():
        model = MODELS.build(_model_cfg(cfg))
    shapes = {name: [str(one.dtype), *one.shape] for name, one in model.state_dict().items()}
    report["model"] = {"entries": len(shapes), "digest": _digest(shapes)}
    report["trainable"] = sum(one.requires_grad for one in model.parameters())
    return model


def _model_cfg(cfg: Any) -> Any:
    """Return the model's config with the data preprocessor's in it, as the runner does."""
    model = cfg.model
    if cfg.get("data_preprocessor") is not None:
        model.setdefault("data_preprocessor", cfg.data_preprocessor)
    return model


def _weights(cfg: Any, report: dict[str, Any]) -> None:
    import torch
    from mmengine.registry import MODELS
    from mmengine.runner import set_random_seed

    set_random_seed(5)
    model = MODELS.build(_model_cfg(cfg))
    model.init_weights()
    digest = hashlib.blake2b(digest_size=8)
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    report["weights"] = [digest.hexdigest(), torch.rand(1).item().hex()]


def _optimizer(cfg: Any, model: Any, report: dict[str, Any]) -> None:
    from mmengine.optim import build_optim_wrapper

    if cfg.get("optim_wrapper") is None:
        return
    settings = {**cfg.optim_wrapper}
    if settings.get("type") == "AmpOptimWrapper":  # needs a GPU
        settings["type"] = "OptimWrapper"
        settings.pop("loss_scale", None)
        settings.pop("dtype", None)
    wrapper = build_optim_wrapper(model, settings)
    groups = [
        {key: repr(value) for key, value in group.items() if key != "params"}
        | {"sizes": [list(one.shape) for one in group["params"]]}
        for group in wrapper.param_groups
    ]
    report["optimizer"] = {
        "type": type(wrapper.optimizer).__name__, "groups": len(groups), "digest": _digest(groups)
    }  # fmt: skip


def _pipelines(cfg: Any, report: dict[str, Any]) -> None:
    from mmengine.registry import TRANSFORMS

    made: dict[str, Any] = {}
    for stage in ("train", "val", "test"):
        loader = cfg.get(f"{stage}_dataloader")
        if loader is None:
            continue
        dataset = loader["dataset"]
        while "dataset" in dataset:  # a wrapper
            dataset = dataset["dataset"]
        made[stage] = [_shown(TRANSFORMS.build(one)) for one in dataset.get("pipeline", [])]
    report["pipelines"] = made


def _metrics(cfg: Any, report: dict[str, Any]) -> None:
    from mmengine.evaluator import Evaluator

    report["metrics"] = [
        [_shown(metric) for metric in Evaluator(cfg[key]).metrics]
        for key in ("val_evaluator", "test_evaluator")
        if cfg.get(key) is not None
    ]


def _hooks(cfg: Any, report: dict[str, Any]) -> None:
    from mmengine.registry import HOOKS

    hooks = [*cfg.get("default_hooks", {}).values(), *(cfg.get("custom_hooks") or [])]
    settings = [{k: v for k, v in one.items() if k != "priority"} for one in hooks if one]
    built = [HOOKS.build(one) for one in settings]
    report["hooks"] = [[type(one).__name__, str(one.priority)] for one in built]


PARTS: dict[str, Callable[[Any, dict[str, Any]], None]] = {
    "pipelines": _pipelines,
    "metrics": _metrics,
    "hooks": _hooks,
}


def _shown(built: Any) -> list[str]:
    """Return an object's type and the plain values of its attributes."""
    plain = (bool, int, float, str, list, tuple, dict, type(None))
    values = {key: value for key, value in vars(built).items() if isinstance(value, plain)}
    shown = {key: value for key, value in values.items() if " at 0x" not in repr(value)}
    return [type(built).__name__, *(f"{key}={shown[key]!r}"[:300] for key in sorted(shown))]


def _digest(value: Any) -> str:
    return hashlib.blake2b(repr(value).encode(), digest_size=8).hexdigest()


@contextmanager
def _no_drawing() -> Iterator[None]:
    """Let torch's initialisers leave memory as it is: of a model only the shapes are looked at."""
    import torch

    names = [name for name in vars(torch.nn.init) if name.endswith("_") and name[0] != "_"]
    kept = {name: getattr(torch.nn.init, name) for name in names}
    try:
        for name in names:
            setattr(torch.nn.init, name, lambda tensor, *args, **kwargs: tensor)
        yield
    finally:
        for name, function in kept.items():
            setattr(torch.nn.init, name, function)


if __name__ == "__main__":
    main(*sys.argv[1:])
