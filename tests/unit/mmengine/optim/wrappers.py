"""Trains small models with optimizer wrappers; as a script, with those of the real MMEngine."""

from __future__ import annotations

import copy
import functools
import hashlib
import importlib
import json
import logging
import random
import sys
import types
from typing import Any

import torch
from torch import nn

KINDS = (AssertionError, KeyError, TypeError, ValueError, NotImplementedError)
TRAININGS: list[dict[str, Any]] = [
    {"accumulative_counts": counts, "clip_grad": clip, "known_end": known}
    for counts in (1, 3, 4, 7)
    for clip in (None, {"max_norm": 0.05}, {"type": "value", "clip_value": 0.01})
    for known in (False, True)
] + [{"accumulative_counts": 4, "known_end": True, "init": init} for init in (3, 4)]
AMPS: list[dict[str, Any]] = [
    {"dtype": "bfloat16"},
    {"dtype": torch.bfloat16, "loss_scale": 128.0, "clip_grad": {"max_norm": 0.05}},
    {"loss_scale": {"init_scale": 4.0, "growth_interval": 3}, "accumulative_counts": 3},
    {"dtype": "bfloat16", "overflow": True},
    {"dtype": "bfloat16", "overflow": True, "clip_grad": {"max_norm": 0.05}},
]
BAD: list[dict[str, Any]] = [
    {"accumulative_counts": 0},
    {"accumulative_counts": -1},
    {"clip_grad": {}},
    {"clip_grad": 0.1},
    {"clip_grad": {"type": "norm"}},
    {"clip_grad": {"type": "size", "max_norm": 1}},
]
BAD_AMPS: list[dict[str, Any]] = [
    {"loss_scale": "static"},
    {"loss_scale": None},
    {"dtype": "float8"},
    {"dtype": 16},
]


def digest(model: nn.Module) -> str:
    """Return a hash of all weights and buffers, bit by bit."""
    parts = [tensor.detach().numpy().tobytes() for tensor in model.state_dict().values()]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def small_model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))


def optimizer_of(model: nn.Module) -> torch.optim.Optimizer:
    groups = [{"params": model[0].parameters(), "lr": 0.05}, {"params": model[3].parameters()}]
    return torch.optim.SGD(groups, lr=0.1, momentum=0.9)


def train(wrapper: Any, model: nn.Module, iterations: int = 17, overflow: bool = False) -> Any:
    """Train for some iterations and return what could be seen of it."""
    torch.manual_seed(1)
    seen = []
    for iteration in range(iterations):
        batch, target = torch.randn(6, 4), torch.randn(6, 2)
        sync = wrapper.should_sync()
        with wrapper.optim_context(model):
            loss = nn.functional.mse_loss(model(batch), target)
        if overflow and iteration == 5:
            loss = loss * float("inf")
        wrapper.update_params(loss, zero_kwargs={"set_to_none": iteration % 2 == 0})
        seen.append([sync, wrapper.should_update(), wrapper.inner_count, loss.item().hex()])
    return [digest(model), wrapper.get_lr(), wrapper.get_momentum(), seen]


def _grad_norms(wrapper: Any) -> Any:
    history = wrapper.message_hub.log_scalars
    return {key: list(map(float, value.data[0])) for key, value in history.items()}


def _training(package: Any, options: dict[str, Any], name: str, hub: Any) -> Any:
    options = copy.deepcopy(options)  # MMEngine takes clip_grad's type out of it
    known, init = options.pop("known_end", False), options.pop("init", 0)
    overflow = options.pop("overflow", False)
    hub.get_instance(f"{name}{options}{known}{init}{overflow}")
    model = small_model()
    wrapper = getattr(package, name)(optimizer=optimizer_of(model), **options)
    if known:
        wrapper.initialize_count_status(model, init, 17)
    trained = attempt(train, wrapper, model, 17 - init, overflow)
    state = wrapper.state_dict()
    state.pop("state")
    return [trained, _grad_norms(wrapper), repr(wrapper), sorted(state), repr(state)]


def _bad(package: Any, options: dict[str, Any], name: str) -> Any:
    getattr(package, name)(optimizer=optimizer_of(small_model()), **options)
    return "accepted"


def attempt(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Return the result, or the kinds of the error."""
    try:
        return function(*args, **kwargs)
    except KINDS as error:
        return {"error": [kind.__name__ for kind in KINDS if isinstance(error, kind)]}


def _dict(package: Any) -> Any:
    models = {"a": small_model(), "b": small_model()}
    wrappers = {name: package.OptimWrapper(optimizer_of(m)) for name, m in models.items()}
    both = package.OptimWrapperDict(**wrappers)
    refused = [
        attempt(both.update_params, torch.ones(1)),
        attempt(both.backward, torch.ones(1)),
        attempt(both.step),
        attempt(lambda: both.optim_context(models["a"]).__enter__()),
        attempt(lambda: both["c"]),
        attempt(both.load_state_dict, {"c": {}}),
        attempt(lambda: package.OptimWrapperDict(a=1)),
    ]
    trained = train(both["a"], models["a"])
    both.initialize_count_status(models["a"], 0, 10)
    both.zero_grad()
    state, before = both.state_dict(), repr(both.state_dict())
    other = package.OptimWrapperDict(
        **{name: package.OptimWrapper(optimizer_of(small_model())) for name in "ab"}
    )
    other.load_state_dict(state)
    groups = {name: len(groups) for name, groups in both.param_groups.items()}
    shown = [both.get_lr(), both.get_momentum(), groups, len(both), "a" in both, list(both.keys())]
    return [refused, trained, shown, repr(both), repr(other.state_dict()) == before]


# ------------------------------------------------------------------ the default constructor


class DeformConv2d(nn.Module):
    """Stands for mmcv's: what counts is the class, and its child conv_offset."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, 2, 1, 1))
        self.bias = nn.Parameter(torch.ones(2))
        self.conv_offset = nn.Conv2d(2, 2, 1)


class ModulatedDeformConv2d(DeformConv2d):
    pass


class Zoo(nn.Module):
    """Has every kind of layer that a rule speaks of."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.conv = nn.Conv2d(2, 4, 1)
        self.depthwise = nn.Conv2d(4, 4, 1, groups=4)
        self.stem = nn.Conv2d(1, 1, 1)
        self.bn = nn.BatchNorm2d(4)
        self.inorm = nn.InstanceNorm2d(4, affine=True)
        self.gn = nn.GroupNorm(2, 4)
        self.backbone = nn.Sequential(nn.Linear(2, 2), nn.LayerNorm(2), nn.Conv1d(2, 2, 1))
        self.dcn = DeformConv2d()
        self.mdcn = ModulatedDeformConv2d()
        self.head = nn.Linear(2, 2)
        self.head2 = nn.Linear(2, 2)
        self.head2.weight = self.head.weight
        self.frozen = nn.Linear(1, 1)
        self.frozen.weight.requires_grad_(False)


RULES = ("bias_lr_mult", "bias_decay_mult", "norm_decay_mult", "flat_decay_mult")
RULES += ("dwconv_decay_mult", "dcn_offset_lr_mult")
KEYS: dict[str, dict[str, Any]] = {
    "backbone": {"lr_mult": 0.1},
    "backbone.0": {"lr_mult": 0.2, "decay_mult": 0.0},
    "backbone.1": {"decay_mult": 0.5, "momentum": 0.3},
    "head": {"lr_mult": 10, "nesterov": False},
    ".scale": {"lr_mult": 0.0},
    "conv": {"lr": 0.7},
    "bias": {"decay_mult": 0.25},
    "nowhere": {"lr_mult": 5},
}
BASE = {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.05}


def paramwise_cases() -> list[dict[str, Any]]:
    """Return each option alone, then random mixtures."""
    alone: list[dict[str, Any]] = [{rule: 0.3} for rule in RULES]
    alone += [{"bypass_duplicate": True}, {"custom_keys": KEYS}, {"custom_keys": {}}]
    rng = random.Random(0)
    mixed = []
    for _ in range(40):
        case: dict[str, Any] = {rule: rng.uniform(0, 2) for rule in RULES if rng.random() < 0.5}
        case["bypass_duplicate"] = rng.random() < 0.8
        if rng.random() < 0.5:
            case["custom_keys"] = {key: KEYS[key] for key in rng.sample(sorted(KEYS), 3)}
        mixed.append(case)
    return alone + mixed


OPTIMIZER_CFGS: list[dict[str, Any]] = [
    {"type": "SGD", **BASE},
    {"type": "SGD", "lr": 0.1},
    {"type": "Adam"},
    {"type": "Adam", "weight_decay": 0.1},
]
BAD_CONSTRUCTORS: list[tuple[Any, Any]] = [
    ([], None),
    ({"type": "OptimWrapper"}, None),
    ({"optimizer": OPTIMIZER_CFGS[1]}, []),
    ({"optimizer": OPTIMIZER_CFGS[1]}, {"custom_keys": []}),
    ({"optimizer": OPTIMIZER_CFGS[1]}, {"custom_keys": {"a": {"decay_mult": 1}}}),
    ({"optimizer": OPTIMIZER_CFGS[1]}, {"bias_decay_mult": 1}),
    ({"optimizer": OPTIMIZER_CFGS[1]}, {"norm_decay_mult": 1}),
    ({"optimizer": OPTIMIZER_CFGS[1]}, {"dwconv_decay_mult": 1}),
    ({"optimizer": OPTIMIZER_CFGS[2]}, {"bias_lr_mult": 1}),
    ({"optimizer": OPTIMIZER_CFGS[2]}, {"custom_keys": {"head": {"lr_mult": 1}}}),
    ({"optimizer": OPTIMIZER_CFGS[2]}, {"custom_keys": {"head": {}}}),
]


def groups_of(wrapper: Any, model: nn.Module) -> Any:
    """Return names and options of each of the wrapper's groups."""
    names = {id(param): name for name, param in model.named_parameters()}
    of_group = [[names.get(id(p), "base") for p in g["params"]] for g in wrapper.param_groups]
    options = [[item for item in g.items() if item[0] != "params"] for g in wrapper.param_groups]
    return [of_group, [repr(each) for each in options]]


def _construct(module: Any, cfg: Any, paramwise: Any) -> Any:
    lines: list[str] = []

    def record(message: str, logger: Any = None, level: int = logging.INFO) -> None:
        if "paramwise_options" in message or "is skipped" in message:
            lines.append(f"{level} {message}")

    print_log, module.print_log = module.print_log, record
    try:
        model = Zoo()
        wrapper = module.DefaultOptimWrapperConstructor(cfg, paramwise)(model)
    finally:
        module.print_log = print_log
    return [groups_of(wrapper, model), lines, type(wrapper).__name__, wrapper.get_lr()]


def _constructor_cases(name: str) -> dict[str, Any]:
    module = importlib.import_module(f"{name}.optim.optimizer.default_constructor")
    plain = [[{"optimizer": cfg}, None] for cfg in OPTIMIZER_CFGS]
    by_param = [[{"optimizer": OPTIMIZER_CFGS[0]}, case] for case in paramwise_cases()]
    no_decay = [[{"optimizer": OPTIMIZER_CFGS[1]}, {"bias_lr_mult": 2, "flat_decay_mult": 1}]]
    return {
        "constructed": [attempt(_construct, module, *c) for c in plain + by_param + no_decay],
        "bad_constructors": [attempt(_construct, module, *case) for case in BAD_CONSTRUCTORS],
    }


def deformable_modules() -> dict[str, types.ModuleType]:
    """Return stand-ins for mmcv and its ops."""
    ops = types.ModuleType("mmcv.ops")
    ops.__dict__.update(DeformConv2d=DeformConv2d, ModulatedDeformConv2d=ModulatedDeformConv2d)
    return {"mmcv": types.ModuleType("mmcv"), "mmcv.ops": ops}


def run(name: str) -> dict[str, Any]:
    """Run everything with the package of that name."""
    package = importlib.import_module(f"{name}.optim")
    hub = importlib.import_module(f"{name}.logging").MessageHub
    registry = importlib.import_module(f"{name}.registry")
    return {
        "trainings": [_training(package, options, "OptimWrapper", hub) for options in TRAININGS],
        "amps": [_training(package, options, "AmpOptimWrapper", hub) for options in AMPS],
        "bad": [attempt(_bad, package, options, "OptimWrapper") for options in BAD],
        "bad_amps": [attempt(_bad, package, options, "AmpOptimWrapper") for options in BAD_AMPS],
        "dict": _dict(package),
        "exports": [sorted(m.__all__) for m in (package, package.optimizer, package.scheduler)],
        "optimizers": sorted(registry.OPTIMIZERS.module_dict),
        "wrappers": sorted(registry.OPTIM_WRAPPERS.module_dict),
        "constructors": sorted(registry.OPTIM_WRAPPER_CONSTRUCTORS.module_dict),
        **_constructor_cases(name),
    }


def _let_amp_run_on_a_cpu() -> None:
    amp = importlib.import_module("mmengine.optim.optimizer.amp_optimizer_wrapper")
    amp.is_cuda_available = lambda: True
    amp.GradScaler = functools.partial(torch.amp.GradScaler, "cpu")


if __name__ == "__main__":
    sys.modules.update(deformable_modules())
    constructor = importlib.import_module("mmengine.optim.optimizer.default_constructor")
    constructor.mmcv_full_available = lambda: True
    _let_amp_run_on_a_cpu()
    print(json.dumps(run("mmengine")))
