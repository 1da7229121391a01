"""Builds an optimizer wrapper, with options by parameter as ``paramwise_cfg`` says."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Iterator
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from mm2pl.errors import ConfigAssertionError, ConfigError, ConfigKeyError, ConfigTypeError, nearest
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.optim.optimizer._third_party import check_installed
from mm2pl.mmengine.optim.optimizer.optimizer_wrapper import OptimWrapper
from mm2pl.mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS

_NORMS = (_BatchNorm, _InstanceNorm, nn.GroupNorm, nn.LayerNorm)
_PATH = "paramwise_cfg"


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class DefaultOptimWrapperConstructor:
    """Builds the wrapper; with a ``paramwise_cfg`` each parameter becomes a group of its own.

    The options of ``paramwise_cfg``; factors apply to the optimizer's ``lr`` and ``weight_decay``:

    - ``custom_keys``: from parts of parameter names to ``lr_mult``, ``decay_mult`` and any other
      option of the optimizer. The longest key in a parameter's name counts (of equally long ones
      the first in the alphabet), and then none of the rules below.
    - ``bias_lr_mult``, ``bias_decay_mult``: biases, but not of norm layers (rate) nor of
      deformable convolutions.
    - ``norm_decay_mult``: norm layers. ``dwconv_decay_mult``: depth-wise convolutions.
    - ``flat_decay_mult``: other parameters of one dimension.
    - ``dcn_offset_lr_mult``: the offset convolutions within deformable ones.
    - ``bypass_duplicate``: leave out parameters that came before (shared ones).

    Args:
        optim_wrapper_cfg: ``optimizer``, ``type`` and the wrapper's own arguments.
        paramwise_cfg: The options.

    Raises:
        ConfigTypeError: One of them, or ``custom_keys``, is not a dict.
        ConfigError: ``optimizer`` is missing (an ``AssertionError`` too, as in MMEngine), or a
            decay factor is given and the optimizer has no ``weight_decay``.
    """

    def __init__(
        self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None
    ) -> None:
        _check_dict("optim_wrapper", optim_wrapper_cfg)
        if "optimizer" not in optim_wrapper_cfg:
            raise ConfigAssertionError(
                "the config of the optimizer is missing",
                key_path="optimizer",
                hint="for example optimizer=dict(type='SGD', lr=0.01)",
            )
        self.optim_wrapper_cfg = optim_wrapper_cfg.copy()
        self.optimizer_cfg = self.optim_wrapper_cfg.pop("optimizer")
        _check_dict("optimizer", self.optimizer_cfg, "for example dict(type='SGD', lr=0.01)")
        self.paramwise_cfg = {} if paramwise_cfg is None else paramwise_cfg
        self.base_lr = self.optimizer_cfg.get("lr", None)
        self.base_wd = self.optimizer_cfg.get("weight_decay", None)
        self._validate_cfg()

    def _validate_cfg(self) -> None:
        _check_dict(_PATH, self.paramwise_cfg)
        custom_keys = self.paramwise_cfg.get("custom_keys", {})
        _check_dict(f"{_PATH}.custom_keys", custom_keys)
        for key, options in custom_keys.items():
            _check_dict(f"{_PATH}.custom_keys.{key}", options, "for example dict(lr_mult=0.1)")
        if self.base_wd is not None:
            return
        of_keys = (f"custom_keys.{key}" for key in custom_keys if "decay_mult" in custom_keys[key])
        rules = ("bias_decay_mult", "norm_decay_mult", "dwconv_decay_mult")
        for option in (*of_keys, *(rule for rule in rules if rule in self.paramwise_cfg)):
            raise ConfigError(
                "there is no base weight decay to multiply: base_wd should not be None",
                key_path=f"{_PATH}.{option}",
                hint="set optim_wrapper.optimizer.weight_decay",
            )

    def _is_in(self, param_group: dict[str, Any], param_group_list: list[dict[str, Any]]) -> bool:
        """Return whether one of the group's parameters is in one of the groups in the list."""
        known = {id(param) for group in param_group_list for param in group["params"]}
        return any(id(param) in known for param in param_group["params"])

    def add_params(
        self,
        params: list[dict[str, Any]],
        module: nn.Module,
        prefix: str = "",
        is_dcn_module: bool | None = None,
    ) -> None:
        """Append a group for each parameter of a module and of those below it.

        Args:
            params: The list of groups to append to.
            module: The module.
            prefix: Its name in the model.
            is_dcn_module: Whether it is a direct child of a deformable convolution.
        """
        for name, param in module.named_parameters(recurse=False):
            group: dict[str, Any] = {"params": [param]}
            if self.paramwise_cfg.get("bypass_duplicate", False) and self._is_in(group, params):
                _warn(f"{prefix} is duplicate. It is skipped since bypass_duplicate=True")
                continue
            if not param.requires_grad:
                _warn(f"{prefix}.{name} is skipped since its requires_grad=False")
                continue
            key = self._custom_key(f"{prefix}.{name}")
            if key is None:
                group.update(self._by_rules(module, name, prefix, bool(is_dcn_module)))
            else:
                group.update(self._by_custom_key(key))
            params.append(group)
            _log_options(f"{prefix}.{name}" if prefix else name, group)
        below_dcn = isinstance(module, _deformable_convolutions())
        for name, child in module.named_children():
            path = f"{prefix}.{name}" if prefix else name
            self.add_params(params, child, prefix=path, is_dcn_module=below_dcn)

    def _custom_key(self, name: str) -> str | None:
        matching = [key for key in self.paramwise_cfg.get("custom_keys", {}) if key in name]
        return min(matching, key=lambda key: (-len(key), key), default=None)

    def _by_custom_key(self, key: str) -> dict[str, Any]:
        options = self.paramwise_cfg["custom_keys"][key]
        group = {"lr": self._times_lr(options.get("lr_mult", 1.0), f"custom_keys.{key}.lr_mult")}
        if self.base_wd is not None:
            decay = options.get("decay_mult", 1.0)
            group["weight_decay"] = _times(self.base_wd, decay, f"custom_keys.{key}.decay_mult")
        # The factors too become options of the group, as in MMEngine.
        return {**group, **options}

    def _by_rules(
        self, module: nn.Module, name: str, prefix: str, is_dcn: bool
    ) -> Iterator[tuple[str, Any]]:
        """Yield the options that the rules give a parameter; a later one wins over an earlier."""
        cfg = self.paramwise_cfg.get
        is_norm = isinstance(module, _NORMS)
        is_conv = isinstance(module, nn.Conv2d)
        rates = {
            "bias_lr_mult": name == "bias" and not is_norm and not is_dcn,
            "dcn_offset_lr_mult": is_dcn and is_conv and "conv_offset" in prefix,
        }
        for option, applies in rates.items():
            if applies and cfg(option) is not None:
                yield "lr", self._times_lr(cfg(option), option)
        if self.base_wd is None:
            return
        decays = {
            "norm_decay_mult": is_norm,
            "bias_decay_mult": name == "bias" and not is_dcn,
            "dwconv_decay_mult": is_conv and module.in_channels == module.groups,
            "flat_decay_mult": not is_dcn and getattr(module, name).ndim == 1,
        }
        for option, applies in decays.items():
            if applies and cfg(option) is not None:
                yield "weight_decay", _times(self.base_wd, cfg(option), option)
                return

    def _times_lr(self, factor: Any, option: str) -> float:
        if self.base_lr is None:
            raise ConfigTypeError(
                "there is no base learning rate to multiply",
                key_path=f"{_PATH}.{option}",
                hint="set optim_wrapper.optimizer.lr",
            )
        return _times(self.base_lr, factor, option)

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the wrapper for a model (or for the model within a wrapper such as DDP)."""
        model = getattr(model, "module", model)
        optimizer_cfg = self.optimizer_cfg.copy()
        params: Any = model.parameters()
        if self.paramwise_cfg:
            params = []
            self.add_params(params, model)
            self._warn_about_idle_options(model)
        optimizer_cfg[self._first_argument()] = params
        optimizer = OPTIMIZERS.build(optimizer_cfg)
        wrapper_cfg = self.optim_wrapper_cfg.copy()
        wrapper_cfg.setdefault("type", "OptimWrapper")
        wrapper: OptimWrapper = OPTIM_WRAPPERS.build(
            wrapper_cfg, default_args={"optimizer": optimizer}
        )
        return wrapper

    def _first_argument(self) -> str:
        """Return what the optimizer calls its parameters (``params``, rarely something else)."""
        if "type" not in self.optimizer_cfg:
            raise ConfigKeyError(
                "the optimizer needs a 'type'",
                key_path="optimizer.type",
                choices=nearest("type", self.optimizer_cfg),
                hint="for example type='SGD'",
            )
        kind = name = self.optimizer_cfg["type"]
        if isinstance(kind, str):
            with OPTIMIZERS.switch_scope_and_registry(None) as registry:
                kind = registry.get(kind)
        if kind is None:
            check_installed(name.removeprefix("mmengine."))
            return "params"  # building it will say what is wrong with the name
        return next(iter(inspect.signature(kind).parameters))

    def _warn_about_idle_options(self, model: nn.Module) -> None:
        names = [name for name, _ in model.named_parameters(remove_duplicate=False)]
        # As add_params sees them: the model's own parameters have a dot in front.
        seen = [name if "." in name else f".{name}" for name in names]
        for key in self.paramwise_cfg.get("custom_keys", {}):
            if not any(key in name for name in seen):
                parts = {part for name in names for part in name.split(".")}
                close = nearest(key.rpartition(".")[2], parts)
                hint = f"; did you mean {', '.join(close)}?" if close else ""
                _warn(f"{_PATH}.custom_keys: {key!r} is in no parameter's name{hint}")
        for option in {"lr_mult", "decay_mult"} & set(self.paramwise_cfg):
            _warn(f"{_PATH}.{option} has no effect, in MMEngine neither; use custom_keys")


def _check_dict(key_path: str, value: object, hint: str | None = None) -> None:
    if not isinstance(value, dict):
        raise ConfigTypeError(
            f"should be a dict, but got {type(value)}", key_path=key_path, hint=hint
        )


def _times(base: Any, factor: Any, option: str) -> float:
    try:
        if not isinstance(factor, str):  # a whole number would repeat a text
            return base * factor  # type: ignore[no-any-return]
    except TypeError:
        pass
    raise ConfigTypeError(
        f"a factor must be a number, not {factor!r}", key_path=f"{_PATH}.{option}"
    )


def _deformable_convolutions() -> tuple[type, ...]:
    # A model can only hold one if mmcv.ops has been imported already.
    ops = sys.modules.get("mmcv.ops")
    return () if ops is None else (ops.DeformConv2d, ops.ModulatedDeformConv2d)


def _log_options(name: str, group: dict[str, Any]) -> None:
    for key, value in group.items():
        if key != "params":
            print_log(f"paramwise_options -- {name}:{key}={value}", logger="current")


def _warn(message: str) -> None:
    print_log(message, logger="current", level=logging.WARNING)
