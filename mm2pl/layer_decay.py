"""A learning rate that falls from the head of a model to its first layer.

Source: ``LearningRateDecayOptimizerConstructor`` of mmsegmentation 1.2.2, and mmdet 3.3.0's, which
knows ConvNeXt alone. Here for configs whose own library does not bring it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from torch import nn

from mm2pl.errors import ConfigAssertionError, ConfigError, UnsupportedError
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.optim import DefaultOptimWrapperConstructor
from mm2pl.mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS

_TOKENS = ("backbone.cls_token", "backbone.mask_token", "backbone.pos_embed")
_NO_DECAY = ("pos_embed", "cls_token")
_PATH = "paramwise_cfg"
_LAYER_WISE = "layer_wise"


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LearningRateDecayOptimizerConstructor(DefaultOptimWrapperConstructor):
    """Groups parameters by layer and gives each layer a rate: ``lr * decay_rate ** depth``.

    Biases and other parameters of one dimension get no weight decay.

    The options of ``paramwise_cfg``:

    - ``num_layers``: Layers of the backbone.
    - ``decay_rate``: The factor from one layer to the one below it.
    - ``decay_type``: ``layer_wise`` (the default) for a backbone whose class name has ConvNeXt,
      BEiT or MAE in it, ``stage_wise`` for ConvNeXt.

    Raises:
        ConfigError: ``num_layers`` or ``decay_rate`` is missing, or there is no base rate.
        UnsupportedError: The names of the backbone's parameters are not known (a
            ``NotImplementedError`` too, as in the libraries).
    """

    def add_params(
        self, params: list[dict[str, Any]], module: nn.Module, *args: Any, **kwargs: Any
    ) -> None:
        """Append a group for each layer, with and without weight decay.

        Args:
            params: The list of groups to append to.
            module: The model; its ``backbone`` has the layers.
            *args, **kwargs: Nothing reads them.
        """
        rate, layers = self._option("decay_rate"), self._option("num_layers") + 2
        if self.base_lr is None:
            raise ConfigError(
                "there is no base learning rate to multiply",
                key_path=_PATH,
                hint="set optim_wrapper.optimizer.lr",
            )
        layer_of = self._numbering(module, layers)
        how = self.paramwise_cfg.get("decay_type", _LAYER_WISE)
        print_log(f"{type(self).__name__}: {how} {rate} - {layers} layers", logger="current")
        groups: dict[str, dict[str, Any]] = {}
        for name, param in module.named_parameters():
            if not param.requires_grad:
                continue
            decays = not (param.ndim == 1 or name.endswith(".bias") or name in _NO_DECAY)
            layer = layer_of(name)
            print_log(f"set param {name} as id {layer}", logger="current")
            group_name = f"layer_{layer}_{'decay' if decays else 'no_decay'}"
            if group_name not in groups:
                scale = rate ** (layers - layer - 1)
                groups[group_name] = {
                    "weight_decay": self.base_wd if decays else 0.0,
                    "params": [],
                    "param_names": [],
                    "lr_scale": scale,
                    "group_name": group_name,
                    "lr": scale * self.base_lr,
                }
            groups[group_name]["params"].append(param)
            groups[group_name]["param_names"].append(name)
        shown = ("param_names", "lr_scale", "lr", "weight_decay")
        table = {key: {option: one[option] for option in shown} for key, one in groups.items()}
        text = json.dumps(table, indent=2)
        print_log(f"Param groups = {text}", logger="current")
        params.extend(groups.values())

    def _option(self, key: str) -> Any:
        if self.paramwise_cfg.get(key) is None:
            raise ConfigAssertionError(
                f"{type(self).__name__} needs {key!r}",
                key_path=f"{_PATH}.{key}",
                hint="for example paramwise_cfg=dict(num_layers=12, decay_rate=0.9)",
            )
        return self.paramwise_cfg[key]

    def _numbering(self, model: nn.Module, layers: int) -> Callable[[str], int]:
        """Return the function from a parameter's name to its layer, 0 being the lowest."""
        kind = type(getattr(model, "backbone", model)).__name__
        decay_type = self.paramwise_cfg.get("decay_type", _LAYER_WISE)
        if _LAYER_WISE in decay_type and "ConvNeXt" in kind:
            return lambda name: _convnext_layer(name, layers - 2)
        if _LAYER_WISE in decay_type and ("BEiT" in kind or "MAE" in kind):
            return lambda name: _transformer_layer(name, layers)
        if decay_type == "stage_wise" and "ConvNeXt" in kind:
            return lambda name: _convnext_stage(name, layers)
        raise UnsupportedError(
            f"decay_type={decay_type!r} does not know the layers of a backbone {kind}",
            key_path=f"{_PATH}.decay_type",
            hint="ConvNeXt has 'layer_wise' and 'stage_wise', BEiT and MAE have 'layer_wise'",
        )


def _convnext_layer(name: str, last: int) -> int:
    part, numbers = _place(name)
    if name in _TOKENS:
        return 0
    if part == "downsample_layers":
        return (0, 2, 3, last)[numbers[0]]
    if part == "stages":
        return (1, 2, 3 + numbers[1] // 3, last)[numbers[0]]
    return last + 1


def _convnext_stage(name: str, layers: int) -> int:
    part, numbers = _place(name)
    if name in _TOKENS or part == "downsample_layers":
        return 0
    return numbers[0] + 1 if part == "stages" else layers - 1


def _transformer_layer(name: str, layers: int) -> int:
    part, numbers = _place(name)
    if name in _TOKENS or part.startswith("patch_embed"):
        return 0
    return numbers[0] + 1 if part == "layers" else layers - 1


def _place(name: str) -> tuple[str, list[int]]:
    """Split ``backbone.stages.2.5.norm.weight`` into ``stages`` and ``[2, 5]``."""
    whole, *parts = name.split(".")
    if whole != "backbone" or not parts:
        return "", []
    return parts[0], [int(part) for part in parts[1:3] if part.isdecimal()]
