"""The optimizer and how it is used, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.explain import classes
from mm2pl.plan import Plan

_DEFAULT_CONSTRUCTOR = "DefaultOptimWrapperConstructor"
_LAYER_DECAY = "LearningRateDecayOptimizerConstructor"
_OF_LAYER_DECAY = ("decay_rate", "num_layers", "decay_type")
_LR, _DECAY = "lr x{:g} for {}", "weight_decay x{:g} for {}"
_RULES = {
    "bias_lr_mult": (_LR, "biases"),
    "bias_decay_mult": (_DECAY, "biases"),
    "norm_decay_mult": (_DECAY, "norm layers"),
    "flat_decay_mult": (_DECAY, "other parameters of one dimension"),
    "dwconv_decay_mult": (_DECAY, "depth-wise convolutions"),
    "dcn_offset_lr_mult": (_LR, "the offsets of deformable convolutions"),
}
_FACTORS = {"lr_mult": "lr", "decay_mult": "weight_decay"}
_KNOWN = ("type", "optimizer", "accumulative_counts", "clip_grad", "constructor", "paramwise_cfg")


def describe(plan: Plan) -> dict[str, Any]:
    """Return what stands in ``optim_wrapper`` and ``auto_scale_lr``; a dict for each optimizer."""
    if plan.optim is None:
        return {}
    wrapper = classes.raw(plan.optim.wrapper)
    if not isinstance(wrapper, Mapping):
        return {"wrapper": classes.kind_of(wrapper)}
    scaling = _auto_scale(plan)
    if wrapper.get("optimizer") is not None:
        return _one(wrapper) | scaling
    several = {
        name: _one(one)
        for name, one in wrapper.items()
        if isinstance(one, Mapping) and one.get("optimizer") is not None
    }
    row = _constructor(wrapper)
    return {**row, "optimizers": several, **scaling} if several else {**_one(wrapper), **scaling}


def _one(wrapper: Mapping[str, Any]) -> dict[str, Any]:
    cfg = dict(wrapper)
    row: dict[str, Any] = {
        "wrapper": classes.call(cfg, *_KNOWN[1:], default="OptimWrapper"),
        "optimizer": classes.call(cfg.get("optimizer")),
        "precision": _precision(cfg),
    }
    steps = cfg.get("accumulative_counts", 1)
    row["updates"] = "after every iteration" if steps == 1 else f"after every {steps} iterations"
    row["clips"] = _clipping(cfg.get("clip_grad"))
    row |= _constructor(cfg)
    if cfg.get("paramwise_cfg"):
        row["paramwise"] = _paramwise(cfg["paramwise_cfg"], row.get("constructor"))
    return {key: value for key, value in row.items() if value is not None}


def _precision(cfg: Mapping[str, Any]) -> str:
    if classes.kind_of(cfg) != "AmpOptimWrapper":
        return "32 bits"
    scale = cfg.get("loss_scale", "dynamic")
    of = f"of {cfg['dtype']} " if cfg.get("dtype") else ""
    return f"mixed: the wrapper's own autocast {of}and loss scale ({scale})"


def _clipping(given: Any) -> str | None:
    if not isinstance(given, Mapping):
        return None
    if given.get("type") == "value":
        return f"each gradient to +-{given.get('clip_value')}"
    norm = given.get("norm_type", 2)
    kind = "" if norm in (2, 2.0) else f" (norm type {norm})"
    return f"gradients to a norm of {given.get('max_norm')}{kind}"


def _constructor(cfg: Mapping[str, Any]) -> dict[str, str]:
    given = cfg.get("constructor")
    kind = classes.named(given)
    if given is None or str(kind).rpartition(".")[2] == _DEFAULT_CONSTRUCTOR:
        return {}
    if str(kind).rpartition(".")[2] == _LAYER_DECAY:
        return {"constructor": f"{kind}: groups by layer of the backbone"}
    return {"constructor": f"{kind}, whose class decides the parameter groups"}


def _paramwise(given: Any, constructor: str | None) -> list[str]:
    """Return a line for each rule; a library's constructor has rules of its own."""
    given = classes.named(given)
    if _LAYER_DECAY in (constructor or "") and "decay_rate" in given:
        layers, how = given.get("num_layers"), given.get("decay_type", "layer_wise")
        rest = {key: value for key, value in given.items() if key not in _OF_LAYER_DECAY}
        rate = f"lr x{given['decay_rate']} from each layer to the one below, {layers} layers, {how}"
        no_decay = "weight_decay 0 for parameters of one dimension"
        return [rate, no_decay, *(f"{key}={value!r}" for key, value in rest.items())]
    if constructor is not None or not isinstance(given, Mapping):
        return [f"{key}={value!r}" for key, value in given.items()]
    lines = []
    for key, value in given.items():
        if key == "custom_keys" and isinstance(value, Mapping):
            lines += [_custom_key(name, options) for name, options in value.items()]
        elif key in _RULES and isinstance(value, (int, float)):
            template, of = _RULES[key]
            lines.append(template.format(value, of))
        else:
            lines.append(f"{key}={value!r}")
    return lines


def _custom_key(name: str, options: Any) -> str:
    changes = [
        f"{_FACTORS[key]} x{value:g}" if key in _FACTORS else f"{key}={value!r}"
        for key, value in options.items()
    ]
    return f"{', '.join(changes) or 'no change'} for names with {name!r} in them"


def _auto_scale(plan: Plan) -> dict[str, str]:
    assert plan.optim is not None
    given = plan.optim.auto_scale_lr
    if not given:
        return {}
    base = given.get("base_batch_size")
    if not given.get("enable"):
        return {"auto_scale_lr": f"off (the rates are meant for batches of {base})"}
    return {"auto_scale_lr": f"rates are multiplied by batch size x processes / {base}"}
