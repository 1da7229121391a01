"""Cases of mmengine.infer and mmengine.hub; see tests/unit/mmengine/utils/differential.py."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
from torch import nn

from tests.unit.mmengine.utils.differential import Package, outcome

# mmfewshot is one of OpenMMLab's names, and not installed anywhere here.
LIBRARY = {
    "__init__.py": "",
    "registry.py": """
from {package}.registry import MODELS as ROOT, Registry
MODELS = Registry("model", parent=ROOT, scope="mmfewshot", locations=["mmfewshot.models"])
""",
    "models.py": """
import torch
from {package}.model import BaseModel
from mmfewshot.registry import MODELS

@MODELS.register_module()
class Net(BaseModel):
    def __init__(self, size=2, data_preprocessor=None, pretrained=None, **kwargs):
        super().__init__(data_preprocessor)
        self.layer = torch.nn.Linear(2, size)
        self.pretrained, self.given = pretrained, kwargs

    def forward(self, inputs, data_samples=None, mode="tensor"):
        return [self.layer(one).sum() for one in inputs]
""",
    "utils.py": "def register_all_modules():\n    import mmfewshot.models\n",
    ".mim/model-index.yml": "Import:\n- configs/net/metafile.yml\n- configs/b/metafile.yml\n",
    ".mim/configs/net/metafile.yml": """
Models:
- Name: Net-S_1x
  Config: configs/net/net_s.py
  Weights: {weights}
  Alias: [small, SMALLER]
- Name: net-s_2x
  Config: configs/net/net_s.py
  Weights: [second.pth, third.pth]
""",
    ".mim/configs/b/metafile.yml": """
Models:
- Name: net-l
  Config: configs/b/net_l.py
""",
    ".mim/configs/net/net_s.py": """
_base_ = '../base.py'
model = dict(type='mmfewshot.Net', pretrained='none://x')
""",
    ".mim/configs/base.py": """
default_scope = 'mmfewshot'
data_preprocessor = dict(type='BaseDataPreprocessor')
model = dict(type='Net')
""",
    ".mim/configs/b/net_l.py": "model = dict(type='mmfewshot.Net', size=3)\n",
}


@contextlib.contextmanager
def library(m: Package) -> Iterator[str]:
    """Put a library on the path that is built on the package under test; give its folder."""
    registry = m.registry
    with (
        TemporaryDirectory() as folder,
        _own_scopes(registry),
        patch.object(sys, "path", [folder, *sys.path]),
    ):
        for name, text in LIBRARY.items():
            path = Path(folder, "mmfewshot", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            weights = f"{folder}/net.pth"
            path.write_text(text.replace("{package}", m._name).replace("{weights}", weights))
        torch.save({"state_dict": {"layer.weight": torch.ones(2, 2)}}, f"{folder}/net.pth")
        importlib.invalidate_caches()
        with patch.dict(registry.MODELS._children):
            try:
                yield folder
            finally:
                for name in [name for name in sys.modules if name.startswith("mmfewshot")]:
                    del sys.modules[name]
                sys.path_importer_cache.pop(folder, None)


@contextlib.contextmanager
def _own_scopes(registry: Any) -> Iterator[None]:
    with patch.dict(registry.DefaultScope._instance_dict, clear=True):
        yield


@contextlib.contextmanager
def toys(m: Package) -> Iterator[Any]:
    """Give an inferencer whose model and functions are registered for a while."""
    registry = m.registry
    tables = [registry.MODELS, registry.FUNCTIONS, registry.VISUALIZERS]
    with contextlib.ExitStack() as stack:
        for table in tables:
            stack.enter_context(patch.dict(table._module_dict))
        stack.enter_context(_own_scopes(registry))
        kinds = stack.enter_context(patch.dict(m.visualization.Visualizer._instance_dict))
        assert kinds is not None
        yield _define(m)


def _define(m: Package) -> Any:
    @m.registry.MODELS.register_module(force=True)
    class Toy(m.model.BaseModel):  # type: ignore[name-defined,misc]
        def __init__(self, pretrained: Any = None, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.layer = nn.Linear(2, 1)
            self.pretrained = pretrained
            with torch.no_grad():
                self.layer.weight.fill_(2), self.layer.bias.fill_(1)

        def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
            assert not self.training
            assert not torch.is_grad_enabled()
            return [float(self.layer(one).sum()) for one in inputs]

    @m.registry.FUNCTIONS.register_module(force=True)
    def stack(batch: Any) -> Any:
        return {"inputs": torch.stack([one["inputs"] for one in batch])}

    class Inferencer(m.infer.BaseInferencer):  # type: ignore[name-defined,misc]
        preprocess_kwargs = {"scale"}
        forward_kwargs = {"shift"}
        visualize_kwargs = {"show"}
        postprocess_kwargs = {"extra", "more"}
        calls: list[Any] = []

        def _init_pipeline(self, cfg: Any) -> Any:
            return lambda x: {"inputs": torch.full((2,), float(len(x) if x is str else x))}

        def preprocess(self, inputs: Any, batch_size: int = 1, scale: int = 1) -> Any:
            yield from super().preprocess([scale * one for one in inputs], batch_size)

        def forward(self, inputs: Any, shift: float = 0) -> Any:
            self.calls.append(len(inputs["inputs"]))
            return [one + shift for one in super().forward(inputs)]

        def visualize(self, inputs: Any, preds: Any, show: bool = False) -> Any:
            return [list(inputs), show]

        def postprocess(
            self, preds: Any, visualization: Any, return_datasample: bool = False, **kwargs: Any
        ) -> Any:
            return {"p": preds, "v": visualization, "r": return_datasample, **kwargs}

    return Inferencer


def quietly(call: Any, *args: Any, **kwargs: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*args, **kwargs)


# --------------------------------------------------------------------------- cases


def signatures(m: Package) -> Any:
    module = m.module("infer.infer")
    names = ["InstanceList", "InputType", "InputsType", "ImgType", "ResType", "ConfigType"]
    kind = module.BaseInferencer
    methods = {
        name: [
            (p.name, str(p.kind), p.default if p.default is not p.empty else "none")
            for p in inspect.signature(getattr(kind, name)).parameters.values()
        ]
        for name in (
            *("__init__", "__call__", "_inputs_to_list", "preprocess", "forward", "visualize"),
            *("postprocess", "_load_model_from_metafile", "_get_repo_or_mim_dir", "_init_model"),
            *("_load_weights_to_model", "_init_collate", "_init_pipeline", "_init_visualizer"),
            *("_get_chunk_data", "_dispatch_kwargs", "_get_models_from_metafile", "list_models"),
        )
    }
    return [
        m.infer.__all__,
        m.hub.__all__,
        [hasattr(module, name) for name in (*names, "ModelType", "InferencerMeta")],
        methods,
        sorted(kind.__abstractmethods__),
        type(kind).__name__,
        outcome(kind),
        [str(inspect.signature(f).parameters.keys()) for f in (m.hub.get_config, m.hub.get_model)],
    ]


def keyword_sets(m: Package) -> Any:
    base = m.infer.BaseInferencer
    bad = [
        {"preprocess_kwargs": {"a"}, "forward_kwargs": {"b", "a"}},
        {"visualize_kwargs": {"a"}, "postprocess_kwargs": {"a"}},
        {"visualize_kwargs": ["a"]},
        {"forward_kwargs": None},
    ]
    return [outcome(type(base), "Bad", (base,), body) for body in bad]


def calls(m: Package) -> Any:
    with toys(m) as kind:
        make = quietly(kind, {"model": {"type": "Toy"}}, show_progress=False)
        loader = {"collate_fn": "stack"}
        other = quietly(
            kind,
            {"model": {"type": "Toy", "pretrained": "x"}, "test_dataloader": loader},
            device="cpu",
            show_progress=False,
        )
        return [
            make(3),
            make([1, 2, 3, 4, 5], batch_size=2),
            make((1, 2), True, 3, scale=2, shift=0.5, show=True, extra=1, more=2),
            make([]),
            outcome(make, 1, others=2),
            outcome(make, 1, shift=2, scal=2, extr=3),
            kind.calls,
            other([1, 2, 3], batch_size=2),
            [other.model.pretrained, other.model.training, other.model.cfg == other.cfg],
            [make.scope, make.visualizer, make.show_progress, make.collate_fn.__name__],
            sorted(vars(make)),
            list(make._get_chunk_data(range(5), 2)),
            list(make._get_chunk_data(range(4), 2)),
            list(make._get_chunk_data([], 2)),
            make._dispatch_kwargs(),
            make._dispatch_kwargs(more=1, shift=2),
        ]


def progress(m: Package) -> Any:
    with toys(m) as kind, contextlib.redirect_stdout(io.StringIO()) as out:
        quietly(kind, {"model": {"type": "Toy"}})([1, 2])
    return ["Inference" in out.getvalue(), out.getvalue().count("\n")]


def inputs(m: Package) -> Any:
    with toys(m) as kind, TemporaryDirectory() as folder:
        make = quietly(kind, {"model": {"type": "Toy"}})
        os.makedirs(f"{folder}/sub")
        for name in ("a.txt", "b.jpg", "sub/c.jpg"):
            Path(folder, name).touch()
        listed = make._inputs_to_list(folder)
        given: list[Any] = ["a.jpg", "https://a/b.jpg", ("x", 1), [], 3, {"a": 1}, None]
        return [
            sorted(os.path.relpath(path, folder) for path in listed),
            [make._inputs_to_list(one) for one in given],
            make._inputs_to_list(torch.ones(2)),
        ]


def ways_to_a_model(m: Package) -> Any:
    results: list[Any] = []
    with toys(m) as kind, TemporaryDirectory() as folder:
        cfg = m.config.Config({"model": {"type": "Toy"}, "visualizer": {"type": "Visualizer"}})
        cfg.dump(f"{folder}/cfg.py")
        state = {"state_dict": {"layer.weight": torch.full((1, 2), 5.0)}}
        text = {"cfg": "model = dict(type='Toy')\ny = [1, -2.5, {'a': ('b', None)}]\n"}
        files = {
            "bare": state["state_dict"],
            "meta": {**state, "meta": text},
            "hub": {**state, "message_hub": {"runtime_info": text}, "meta": {"cfg": "x ="}},
            "neither": {**state, "meta": {}},
        }
        for name, content in files.items():
            torch.save(content, f"{folder}/{name}.pth")
        ways: list[dict[str, Any]] = [
            {"model": f"{folder}/cfg.py", "weights": f"{folder}/bare.pth"},
            {"model": cfg, "weights": f"{folder}/meta.pth"},
            {"model": cfg._cfg_dict, "weights": f"{folder}/hub.pth", "scope": "mmengine"},
            {"model": cfg.to_dict()},
            {"weights": f"{folder}/meta.pth"},
            {"weights": f"{folder}/hub.pth"},
            {"weights": f"{folder}/neither.pth"},
            {"weights": f"{folder}/bare.pth"},
            {"weights": f"{folder}/none.pth", "model": cfg},
            {},
            {"model": {}},
            {"model": 3},
            {"model": f"{folder}/none.py"},
            {"model": "toy"},
            {"model": "toy", "scope": "mmfewsho"},
            {"model": "toy", "scope": "mmfewshot"},
        ]
        for way in ways:
            made = outcome(quietly, kind, show_progress=False, **way)
            if isinstance(made, list):
                results.append(made)
            else:
                drawn = type(made.visualizer).__name__
                results.append([made(1)["p"], made.scope, drawn, made.cfg.get("y"), len(made.cfg)])
        results.append([cfg.model, cfg.visualizer])
    return results


def visualizers(m: Package) -> Any:
    with toys(m) as kind:
        cfg = m.config.Config(
            {"model": {"type": "Toy"}, "visualizer": {"type": "Visualizer", "name": "vis"}}
        )
        made = [quietly(kind, cfg) for _ in range(2)]
        unnamed = quietly(kind, {"model": cfg.model, "visualizer": {"type": "Visualizer"}})
        names = [one.visualizer.instance_name for one in made]
        float(unnamed.visualizer.instance_name)
        return [
            names[0],
            names[1].startswith("vis-"),
            float(names[1].removeprefix("vis-")) > 0,
            [one.cfg.visualizer.name == name for one, name in zip(made, names, strict=True)],
        ]


def warnings_without_weights(m: Package) -> Any:
    with toys(m) as kind, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kind({"model": {"type": "Toy"}})
    return ["randomly" in str(one.message) for one in caught if one.category is UserWarning]


def collating(m: Package) -> Any:
    with toys(m) as kind:
        make = quietly(kind, {"model": {"type": "Toy"}})
        return [
            make._init_collate(m.config.ConfigDict(cfg)).__name__
            for cfg in (
                {},
                {"test_dataloader": {}},
                {"test_dataloader": {"collate_fn": "default_collate"}},
                {"test_dataloader": {"collate_fn": "stack"}},
            )
        ]


def models_by_name(m: Package) -> Any:
    with toys(m) as kind, library(m) as folder:
        base = m.infer.BaseInferencer
        place = base._get_repo_or_mim_dir("mmfewshot")
        results: list[Any] = [
            os.path.relpath(place, folder),
            [sorted(one) for one in base._get_models_from_metafile(place)],
            sorted(base.list_models("mmfewshot")),
            base.list_models("mmfewshot", "net-l|S"),
            outcome(base.list_models),
            outcome(base.list_models, "mmfew"),
            outcome(base._get_repo_or_mim_dir, "mmhuman3d"),
            outcome(base._get_repo_or_mim_dir, "mmnothing"),
        ]
        for name in ("net-s_1x", "NET-S_1X", "Small", "smaller", "net"):
            made = outcome(quietly, kind, name, scope="mmfewshot", show_progress=False)
            if isinstance(made, list):
                results.append(made)
                continue
            weight = made.model.layer.weight
            results.append([type(made.model).__name__, weight.sum(), made.model.pretrained])
        fake = quietly(kind, {"model": {"type": "Toy"}}, scope="mmfewshot")
        cfg, weights = fake._load_model_from_metafile("net-s_2x")
        results.append([cfg.model.type, weights])
        Path(folder, "configs").mkdir()
        results.append(os.path.relpath(base._get_repo_or_mim_dir("mmfewshot"), folder))
        return results


def hub(m: Package) -> Any:
    with library(m) as folder, patch.dict(m.registry.MODELS._module_dict):
        get_config, get_model = m.hub.get_config, m.hub.get_model
        cfg = get_config("mmfewshot::net/net_s.py", pretrained=True)
        model = get_model("mmfewshot::net/net_s.py", pretrained=True, size=2, more=4)
        large = get_model("mmfewshot::b/net_l.py")
        return [
            os.path.relpath(cfg.model_path, folder),
            os.path.relpath(cfg.filename, folder),
            dict(cfg.model),
            "model_path" in get_config("mmfewshot::net/net_s.py"),
            dict(get_config("mmfewshot::net/../base.py").model),
            "model_path" in get_config("mmfewshot::net/../base.py", pretrained=True),
            [model.layer.weight.sum(), model._is_init, model.given],
            [large.layer.weight.shape[0], large._is_init],
            type(model.data_preprocessor).__name__,
            m.registry.DefaultScope.get_current_instance(),
            outcome(get_config, "mmfewshot::b/net_l.py", pretrained=True),
            outcome(get_config, "mmfewshot::b/none.py"),
            outcome(get_config, "mmfewshot/b/net_l.py"),
            outcome(get_config, "mmfewshots::b/net_l.py"),
            outcome(get_model, "mmfewshot::net/../base.py", pretrained=True),
        ]


CASES = {
    case.__name__: case
    for case in (
        *(signatures, keyword_sets, calls, progress, inputs, ways_to_a_model, visualizers),
        *(warnings_without_weights, collating, models_by_name, hub),
    )
}
