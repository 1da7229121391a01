"""Initialisers, ``init_weights`` and containers."""

from __future__ import annotations

import importlib
import tempfile
import warnings
from pathlib import Path

import torch
from common import ROOT, M, digest, outcome, state
from torch import nn

W = importlib.import_module(f"{ROOT}.model.weight_init")
L = importlib.import_module(f"{ROOT}.logging")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.inner = nn.Sequential(nn.Conv1d(4, 4, 3, bias=False), nn.LayerNorm(4), nn.ReLU())
        self.head = nn.Linear(4, 5)


class MyConv(nn.Conv2d):
    pass


INIT_CFGS = {
    "constant": dict(type="Constant", val=2, layer="Conv2d"),
    "constant_prob": dict(type="Constant", val=2, bias_prob=0.01, layer=["Conv2d", "Linear"]),
    "base_name": dict(type="Constant", val=3, bias=1, layer="_ConvNd"),
    "norm": dict(type="Constant", val=1, bias=2, layer=["_BatchNorm", "_NormBase", "LayerNorm"]),
    "no_layer": dict(type="Normal", std=3),
    "xavier": dict(type="Xavier", layer=["Conv2d", "Linear"], gain=0.5),
    "xavier_uniform": dict(type="Xavier", layer="Linear", distribution="uniform", bias=0.25),
    "normal": dict(type="Normal", mean=1, std=0.01, layer=["Linear", "Conv1d"]),
    "trunc": dict(type="TruncNormal", std=0.02, layer=["Linear", "Conv2d"], bias=0.5),
    "trunc_tight": dict(type="TruncNormal", mean=0.5, std=1, a=-0.1, b=0.6, layer="Linear"),
    "trunc_outside": dict(type="TruncNormal", mean=9, std=1, layer="Linear"),
    "uniform": dict(type="Uniform", a=-1, b=2, layer=["Linear", "Conv2d"]),
    "kaiming": dict(type="Kaiming", layer=["Conv2d", "Conv1d"]),
    "kaiming_uniform": dict(
        type="Kaiming",
        a=1,
        mode="fan_in",
        nonlinearity="leaky_relu",
        distribution="uniform",
        layer=["Conv2d", "Linear"],
    ),
    "caffe2": dict(type="Caffe2Xavier", layer=["Conv2d", "Linear"], bias=3),
    "list": [
        dict(type="Kaiming", layer="Conv2d"),
        dict(type="Constant", val=1, layer="BatchNorm2d"),
        dict(type="Normal", layer="Linear"),
    ],
    "override": dict(
        type="Normal",
        layer="Conv2d",
        std=0.1,
        override=dict(type="Xavier", name="head", bias_prob=0.1),
    ),
    "override_same": dict(type="Uniform", layer="Conv2d", a=3, b=4, override=dict(name="inner")),
    "override_list": dict(
        type="Constant",
        val=1,
        layer="Conv2d",
        override=[dict(type="Normal", name="head"), dict(name="inner")],
    ),
    "override_no_layer": dict(type="Normal", override=dict(name="conv")),
}
BAD_INIT_CFGS = {
    "not_a_dict": "Constant",
    "unknown": dict(type="Konstant", val=1),
    "bias_type": dict(type="Constant", val=1, bias="1"),
    "prob_type": dict(type="Constant", val=1, bias_prob=1),
    "layer_type": dict(type="Constant", val=1, layer=("Linear",)),
    "missing_argument": dict(type="Constant"),
    "extra_argument": dict(type="Normal", value=1),
    "distribution": dict(type="Xavier", layer="Linear", distribution="gauss"),
    "override_type": dict(type="Normal", override="conv"),
    "override_no_name": dict(type="Normal", override=dict(type="Constant", val=1)),
    "override_no_type": dict(type="Normal", override=dict(name="conv", std=1)),
    "override_missing": dict(type="Normal", override=dict(name="convv")),
}


def case_initialize():
    results = {}
    for name, cfg in {**INIT_CFGS, **BAD_INIT_CFGS}.items():
        torch.manual_seed(1)
        net = Net()

        def run(net=net, cfg=cfg):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                M.initialize(net, cfg)
            return state(net)

        results[name] = outcome(run)
    return results


def case_init_functions():
    torch.manual_seed(2)
    results = []
    for name in ("constant", "xavier", "normal", "trunc_normal", "uniform", "kaiming"):
        layers = [nn.Conv2d(2, 3, 3), nn.Linear(3, 4, bias=False), nn.ReLU()]
        for layer in layers:
            getattr(W, f"{name}_init")(layer, *([0.3] if name == "constant" else []))
        results.append([state(layer) for layer in layers])
    layer = MyConv(3, 3, 1)
    W.caffe2_xavier_init(layer, bias=1)
    filled = W.trunc_normal_(torch.empty(50, dtype=torch.float64), 1, 2, 0, 1.5)
    return [results, state(layer), digest(filled), W.bias_init_with_prob(0.01).hex()]


def case_initializer_descriptions():
    kinds = dict(
        ConstantInit=dict(val=1),
        XavierInit={},
        NormalInit={},
        TruncNormalInit={},
        UniformInit={},
        KaimingInit={},
        Caffe2XavierInit={},
        PretrainedInit=dict(checkpoint="a.pth"),
        BaseInit={},
    )
    return [getattr(M, name)(**args)._get_init_info() for name, args in kinds.items()]


class Inner(M.BaseModule):
    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.a = nn.Linear(2, 2)
        self.b = nn.Conv2d(1, 2, 1)


class Custom(M.BaseModule):
    def __init__(self):
        super().__init__()
        self.inner = Inner(dict(type="Constant", val=5, layer="Linear"))
        self.own = nn.Linear(2, 2)

    def init_weights(self):
        super().init_weights()
        nn.init.normal_(self.own.weight)


class Plain(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(1, 1)

    def init_weights(self):
        nn.init.uniform_(self.fc.weight)


class Outer(M.BaseModule):
    def __init__(self):
        super().__init__(
            [
                dict(type="Normal", layer=["Linear", "Conv2d"], std=2, override=dict(name="last")),
                dict(type="Kaiming", layer="Conv2d"),
            ]
        )
        self.first = Inner()
        self.listed = M.ModuleList(
            [Inner(dict(type="Xavier", layer="Linear")), nn.Linear(2, 2)],
            init_cfg=dict(type="Uniform", layer="Linear"),
        )
        self.named = M.ModuleDict(dict(x=Custom(), y=nn.Conv2d(1, 1, 1)))
        self.seq = M.Sequential(nn.Linear(2, 2), Plain(), init_cfg=dict(type="Constant", val=7))
        self.wrapped = nn.DataParallel(Custom())
        self.done = Inner(dict(type="Constant", val=9, layer="Linear"))
        self.done.is_init = True
        self.last = nn.Linear(2, 2)


def case_init_weights_of_a_tree():
    torch.manual_seed(3)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.log")
        logger = L.MMLogger.get_instance("tree", log_file=str(path), log_level="DEBUG")
        net = Outer()
        net.init_weights()
        net.init_weights()
        for handler in logger.handlers:
            handler.flush()
        # The time and the place in the source differ; what the registry says is not of interest.
        lines = [line.split(" - ")[-1] for line in path.read_text().splitlines()]
        lines = [line for line in lines if "registry" not in line]
    left = [name for name, each in net.named_modules() if hasattr(each, "_params_init_info")]
    return [
        state(net),
        lines,
        left,
        repr(net),
        [each.is_init for each in net.children() if isinstance(each, M.BaseModule)],
    ]


def case_containers():
    seq = M.Sequential(nn.Linear(2, 3), nn.ReLU(), init_cfg=dict(type="Normal"))
    empty = [M.Sequential(), M.ModuleList(), M.ModuleDict()]
    named = M.ModuleDict([("x", nn.ReLU())])
    return [repr(seq), repr(seq[:1]), len(seq), [repr(each) for each in empty], list(named)]


class Whole(M.BaseModule):
    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.backbone = Inner()
        self.head = nn.Linear(2, 2)


def case_pretrained():
    """Weights from a checkpoint win over other initialisers, and may be a part of the file's."""
    torch.manual_seed(9)
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "weights.pth"))
        torch.save(dict(state_dict=Whole().state_dict(), meta={}), path)
        cfg = dict(type="Pretrained", checkpoint=path)
        modules = [
            Whole(cfg),
            Whole([cfg, dict(type="Constant", val=2, layer="Linear")]),
            Inner(dict(prefix="backbone.", **cfg)),
            M.ModuleList([nn.Linear(2, 2)], init_cfg=cfg),
        ]
        results = []
        for module in modules:
            module.init_weights()
            results.append(state(module))
        missing = Whole(dict(type="Pretrained", checkpoint=f"{folder}/none.pth"))
        return [results, outcome(missing.init_weights)]
