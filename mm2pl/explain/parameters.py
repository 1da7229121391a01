"""The parameter groups of a config's optimizers, from the real model and constructor."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from mm2pl import profiles
from mm2pl.alias import install_as_mmengine
from mm2pl.check.weightless import Weightless
from mm2pl.cli.config_file import read_config
from mm2pl.errors import ModelError
from mm2pl.explain import classes
from mm2pl.explain.text import Rows
from mm2pl.mmengine.logging import MMLogger
from mm2pl.mmengine.registry import MODELS, DefaultScope
from mm2pl.mmengine.registry.errors import at_key
from mm2pl.optim import make_optim_wrapper, scale_learning_rates, wrappers_of
from mm2pl.plan import Plan
from mm2pl.translate import translate

_SHOWN = 3  # names of a group's parameters, without --all
SCHEMA = 1


def build_and_describe(args: argparse.Namespace) -> dict[str, Any]:
    """Read the config as ``mm2pl fit`` does, build its model and optimizer, and describe them."""
    install_as_mmengine()
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)

    with contextlib.redirect_stdout(sys.stderr):  # libraries print while they build
        cfg = read_config(args.config, args.cfg_options, import_custom_modules=True)
        cfg, _ = profiles.with_profile(cfg, args.run_command)
        if not MMLogger.check_instance_created("mm2pl explain"):
            # The constructor logs every parameter's options: the page has them.
            MMLogger.get_instance("mm2pl explain", log_level="WARNING")
        return describe(translate(cfg))


def describe(plan: Plan) -> dict[str, Any]:
    """Return the parameters of a plan's model by the options that the optimizers give them."""
    scope = plan.runtime.default_scope
    with DefaultScope.overwrite_default_scope(scope), at_key("", file=_file(plan)):
        try:
            with Weightless():
                return _page(plan, *_build(plan))
        except Exception:
            # Some models compute with numbers of their weights, which such weights have not.
            return _page(plan, *_build(plan))


def _build(plan: Plan) -> tuple[nn.Module, Any]:
    """Return the model and its optimizer wrapper; no weights are loaded."""
    cfg = plan.model
    if isinstance(cfg, dict) and plan.data_preprocessor is not None:
        cfg = cfg.copy()
        cfg.setdefault("data_preprocessor", plan.data_preprocessor)
    with at_key("model"):
        model = cfg if isinstance(cfg, nn.Module) else MODELS.build(cfg)
        if not isinstance(model, nn.Module):
            raise ModelError(f"the model is a {type(model).__name__}, not a torch.nn.Module")
    if plan.optim is None:
        return model, None
    wrapper = make_optim_wrapper(model, plan.optim.wrapper)
    scale_learning_rates(wrapper, _scale(plan))
    return model, wrapper


def _scale(plan: Plan) -> float:
    """Return by what ``auto_scale_lr`` multiplies the rates in a run of one process."""
    scaling = plan.optim.auto_scale_lr if plan.optim else None
    if not scaling or not scaling.get("enable") or plan.train is None:
        return 1.0
    return float(plan.train.dataloader["batch_size"]) / float(scaling["base_batch_size"])


def _file(plan: Plan) -> str | None:
    return getattr(plan.config, "filename", None)


# --------------------------------------------------------------------------- plain data


def _page(plan: Plan, model: nn.Module, wrapper: Any) -> dict[str, Any]:
    parameters = dict(model.named_parameters())
    names = {id(parameter): name for name, parameter in parameters.items()}
    optimizers: dict[str, dict[str, Any]] = {
        name: {"type": type(one.optimizer).__name__, "groups": _groups(one.optimizer, names)}
        for name, one in _by_name(wrapper)
    }
    used = {
        one["name"]
        for optimizer in optimizers.values()
        for group in optimizer["groups"]
        for one in group["parameters"]
    }
    rest = {name: one for name, one in parameters.items() if name not in used}
    return {
        "schema": SCHEMA,
        "config": _file(plan),
        "model": type(model).__name__,
        "parameters": _count(parameters),
        "trainable": _count({n: one for n, one in parameters.items() if one.requires_grad}),
        "optimizers": optimizers,
        "not_optimized": {
            "frozen": [_row(name, one) for name, one in rest.items() if not one.requires_grad],
            "left_out": [_row(name, one) for name, one in rest.items() if one.requires_grad],
        },
        "lr_scale": _scale(plan),
    }


def _by_name(wrapper: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(wrapper, Mapping) or hasattr(wrapper, "optim_wrappers"):
        yield from wrapper.items()
    else:
        yield from (("", one) for one in wrappers_of(wrapper))


def _groups(optimizer: Any, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Join the groups with identical options, in the order in which they come."""
    joined: dict[str, dict[str, Any]] = {}
    for group in optimizer.param_groups:
        rows = [_row(names.get(id(one), "(not the model's)"), one) for one in group["params"]]
        options = {key: classes.named(value) for key, value in group.items() if key != "params"}
        own = [row["name"] for row in rows]
        for key in [key for key, value in options.items() if own in ([value], value)]:
            del options[key]  # constructors write the parameters' names there
        place = joined.setdefault(repr(options), {"options": options, "parameters": []})
        place["parameters"] += rows
    return list(joined.values())


def _row(name: str, parameter: torch.Tensor) -> dict[str, Any]:
    return {
        "name": name,
        "shape": list(_shape(parameter)),
        "requires_grad": parameter.requires_grad,
    }


def _count(parameters: Mapping[str, torch.Tensor]) -> int:
    return sum(_shape(one).numel() for one in parameters.values())


def _shape(parameter: torch.Tensor) -> torch.Size:
    """Return the shape; a lazy parameter has none before the first batch."""
    return torch.Size([0]) if is_lazy(parameter) else parameter.shape


# --------------------------------------------------------------------------- for people


def render(page: Mapping[str, Any], everything: bool) -> list[tuple[str, Rows]]:
    """Return the sections of the page: title and rows.

    Args:
        page: Of :func:`describe`.
        everything: Whether to list every parameter.
    """
    top: Rows = [
        ("parameters", f"{page['parameters']:,}, of which {page['trainable']:,} are trainable"),
    ]
    if page["lr_scale"] != 1:
        top.append(("auto_scale_lr", f"rates are x{page['lr_scale']:g}, for one process"))
    sections: list[tuple[str, Rows]] = [(f"{page['config'] or 'config'}: {page['model']}", top)]
    for name, optimizer in page["optimizers"].items():
        sections += _optimizer(name, optimizer, everything)
    for key, title in (
        ("frozen", "frozen: no gradient"),
        ("left_out", "in no group: never updated"),
    ):
        rows = list(page["not_optimized"][key])
        if rows:
            sections.append((f"{title}: {_how_many(rows)}", _parameters(rows, everything)))
    return sections


def _optimizer(name: str, optimizer: Mapping[str, Any], everything: bool) -> list[tuple[str, Rows]]:
    groups = optimizer["groups"]
    common = {
        key: value
        for key, value in groups[0]["options"].items()
        if all(key in one["options"] and one["options"][key] == value for one in groups)
    }
    title = f"{name}: {optimizer['type']}" if name else optimizer["type"]
    sections: list[tuple[str, Rows]] = [
        (f"{title}, all parameters", [(key, repr(value)) for key, value in common.items()])
    ]
    for group in groups:
        own = {key: value for key, value in group["options"].items() if key not in common}
        options = ", ".join(f"{key}={value!r}" for key, value in own.items())
        rows = group["parameters"]
        title = f"{options or 'the only group'}: {_how_many(rows)}"
        sections.append((title, _parameters(rows, everything)))
    return sections


def _how_many(rows: list[dict[str, Any]]) -> str:
    numbers = sum(torch.Size(one["shape"]).numel() for one in rows)
    frozen = sum(not one["requires_grad"] for one in rows)
    of_which = f", {frozen} of them frozen" if 0 < frozen < len(rows) else ""
    return f"{len(rows)} parameter{'s' * (len(rows) != 1)} of {numbers:,} numbers{of_which}"


def _parameters(rows: list[dict[str, Any]], everything: bool) -> Rows:
    shown = rows if everything else rows[:_SHOWN]
    lines: Rows = [(one["name"], "x".join(map(str, one["shape"])) or "scalar") for one in shown]
    if len(shown) < len(rows):
        lines.append((f"... and {len(rows) - len(shown)} more (--all)", ""))
    return lines
