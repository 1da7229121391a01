"""Weight initialisers: functions on one layer, and classes that config's ``init_cfg`` builds.

All draw from torch's RNG in MMEngine's order, so the same seed gives the same weights.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mm2pl.errors import (
    ConfigAssertionError,
    ConfigError,
    ConfigTypeError,
    ModelAssertionError,
    nearest,
)
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.registry import WEIGHT_INITIALIZERS, build_from_cfg


class InitTargetError(ConfigError, RuntimeError):
    """``override`` names a submodule that does not exist (a ``RuntimeError``, as in MMEngine)."""


def update_init_info(module: nn.Module, init_info: str) -> None:
    """Note how the parameters that changed since the last note were initialised.

    Args:
        module: A module within a running ``init_weights`` (it carries ``_params_init_info``).
        init_info: What to note for each parameter whose mean is not what it was.

    Raises:
        ModelError: ``init_weights`` is not running, or a parameter was added by it.
    """
    notes = getattr(module, "_params_init_info", None)
    if notes is None:
        raise ModelAssertionError(
            f"{type(module).__name__} has no `_params_init_info`",
            hint="call update_init_info only within init_weights",
        )
    for name, param in module.named_parameters():
        if param not in notes:
            raise ModelAssertionError(
                f"init_weights of {type(module).__name__} added or replaced the parameter {name}",
                hint="create parameters in __init__ and only fill them in init_weights",
            )
        mean = param.data.mean().cpu()
        if notes[param]["tmp_mean_value"] != mean:
            notes[param].update(init_info=init_info, tmp_mean_value=mean)


def _fill(module: nn.Module, fill_weight: Callable[[Tensor], object], bias: float) -> None:
    weight = getattr(module, "weight", None)
    if weight is not None:
        fill_weight(weight)
    if getattr(module, "bias", None) is not None:
        nn.init.constant_(module.bias, bias)  # type: ignore[arg-type]


def _by_distribution(
    distribution: str, uniform: Callable[..., Tensor], normal: Callable[..., Tensor]
) -> Callable[..., Tensor]:
    try:
        return {"uniform": uniform, "normal": normal}[distribution]
    except KeyError:
        raise ConfigAssertionError(
            f"unknown distribution {distribution!r}", choices=("normal", "uniform")
        ) from None


def constant_init(module: nn.Module, val: float, bias: float = 0) -> None:
    """Fill the weight with ``val`` and the bias with ``bias``."""
    _fill(module, lambda weight: nn.init.constant_(weight, val), bias)


def xavier_init(
    module: nn.Module, gain: float = 1, bias: float = 0, distribution: str = "normal"
) -> None:
    """Fill the weight after Glorot and Bengio (2010), the bias with ``bias``."""
    fill = _by_distribution(distribution, nn.init.xavier_uniform_, nn.init.xavier_normal_)
    _fill(module, lambda weight: fill(weight, gain=gain), bias)


def normal_init(module: nn.Module, mean: float = 0, std: float = 1, bias: float = 0) -> None:
    """Fill the weight from a normal distribution, the bias with ``bias``."""
    _fill(module, lambda weight: nn.init.normal_(weight, mean, std), bias)


def trunc_normal_init(
    module: nn.Module,
    mean: float = 0,
    std: float = 1,
    a: float = -2,
    b: float = 2,
    bias: float = 0,
) -> None:
    """Fill the weight from a normal distribution cut off at ``a`` and ``b``."""
    _fill(module, lambda weight: trunc_normal_(weight, mean, std, a, b), bias)


def uniform_init(module: nn.Module, a: float = 0, b: float = 1, bias: float = 0) -> None:
    """Fill the weight from a uniform distribution between ``a`` and ``b``."""
    _fill(module, lambda weight: nn.init.uniform_(weight, a, b), bias)


def kaiming_init(
    module: nn.Module,
    a: float = 0,
    mode: str = "fan_out",
    nonlinearity: str = "relu",
    bias: float = 0,
    distribution: str = "normal",
) -> None:
    """Fill the weight after He et al. (2015), the bias with ``bias``.

    Args:
        module: The layer.
        a: Negative slope of the rectifier that follows (for ``leaky_relu``).
        mode: ``fan_in`` keeps the variance forward, ``fan_out`` backward.
        nonlinearity: Name of the function that follows.
        bias: Value of the bias.
        distribution: ``normal`` or ``uniform``.
    """
    fill = _by_distribution(distribution, nn.init.kaiming_uniform_, nn.init.kaiming_normal_)
    _fill(module, lambda weight: fill(weight, a=a, mode=mode, nonlinearity=nonlinearity), bias)


def caffe2_xavier_init(module: nn.Module, bias: float = 0) -> None:
    """Fill the weight as Caffe2's ``XavierFill`` does."""
    kaiming_init(module, 1, "fan_in", "leaky_relu", bias, "uniform")


def bias_init_with_prob(prior_prob: float) -> float:
    """Return the bias at which a sigmoid gives ``prior_prob``."""
    return float(-np.log((1 - prior_prob) / prior_prob))


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0
) -> Tensor:
    """Fill ``tensor`` in place from a normal distribution cut off at ``a`` and ``b``.

    One uniform draw per element goes through the inverse of the normal's cumulative distribution.
    ``torch.nn.init.trunc_normal_`` is free to draw otherwise in another version; this one is not.
    """
    if mean < a - 2 * std or mean > b + 2 * std:
        warnings.warn(
            f"trunc_normal_: the mean {mean} lies more than 2 std outside [{a}, {b}]; "
            "the values may not follow the distribution",
            stacklevel=2,
        )

    def cumulative(x: float) -> float:
        return (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0

    low, high = (2 * cumulative((edge - mean) / std) - 1 for edge in (a, b))
    with torch.no_grad():
        tensor.uniform_(low, high).erfinv_().mul_(std * math.sqrt(2.0)).add_(mean)
        return tensor.clamp_(min=a, max=b)


class BaseInit:
    """Base of the initialisers: which layers to fill, and the bias to fill them with.

    Args:
        bias: Value of the biases.
        bias_prob: If given, the bias follows from this probability instead.
        layer: Class names, each a layer's own or that of a direct base. Without any, nothing is
            filled, except in ``override``, where all layers are.

    Raises:
        ConfigTypeError: An argument has the wrong type.
    """

    # What describes the initialiser in the log, as (label, attribute).
    _info: tuple[tuple[str, str], ...] = ()

    def __init__(
        self,
        *,
        bias: float = 0,
        bias_prob: float | None = None,
        layer: str | list[str] | None = None,
    ) -> None:
        self.wholemodule = False
        _check_type("bias", bias, (int, float))
        _check_type("bias_prob", bias_prob, (float, type(None)))
        _check_type("layer", layer, (str, list, type(None)))
        self.bias = bias if bias_prob is None else bias_init_with_prob(bias_prob)
        self.layer = [layer] if isinstance(layer, str) else layer or []

    def __call__(self, module: nn.Module) -> None:
        """Fill the layers of ``module``, innermost first."""

        def fill(layer: nn.Module) -> None:
            kind = type(layer)
            names = {kind.__name__, *(base.__name__ for base in kind.__bases__)}
            if self.wholemodule or not names.isdisjoint(self.layer):
                self._fill_layer(layer)

        module.apply(fill)
        if hasattr(module, "_params_init_info"):
            update_init_info(module, init_info=self._get_init_info())

    def _fill_layer(self, layer: nn.Module) -> None:
        raise NotImplementedError(f"{type(self).__name__} defines neither __call__ nor _fill_layer")

    def _get_init_info(self) -> str:
        if not self._info:
            return f"{type(self).__name__}, bias={self.bias}"
        values = (f"{label}={getattr(self, attribute)}" for label, attribute in self._info)
        return f"{type(self).__name__}: {', '.join(values)}"


def _check_type(name: str, value: object, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds)
        raise ConfigTypeError(f"{name} must be {wanted}, got {type(value).__name__} {value!r}")


def _labels(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, name.strip()) for name in names)


@WEIGHT_INITIALIZERS.register_module(name="Constant")
class ConstantInit(BaseInit):
    """Fill weights with one value; see :func:`constant_init` and :class:`BaseInit`."""

    _info = _labels("val", "bias")

    def __init__(self, val: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.val = val

    def _fill_layer(self, layer: nn.Module) -> None:
        constant_init(layer, self.val, self.bias)


@WEIGHT_INITIALIZERS.register_module(name="Xavier")
class XavierInit(BaseInit):
    """See :func:`xavier_init` and :class:`BaseInit`."""

    _info = _labels("gain", "distribution", "bias")

    def __init__(self, gain: float = 1, distribution: str = "normal", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gain, self.distribution = gain, distribution

    def _fill_layer(self, layer: nn.Module) -> None:
        xavier_init(layer, self.gain, self.bias, self.distribution)


@WEIGHT_INITIALIZERS.register_module(name="Normal")
class NormalInit(BaseInit):
    """See :func:`normal_init` and :class:`BaseInit`."""

    _info = _labels("mean", "std", "bias")

    def __init__(self, mean: float = 0, std: float = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mean, self.std = mean, std

    def _fill_layer(self, layer: nn.Module) -> None:
        normal_init(layer, self.mean, self.std, self.bias)


@WEIGHT_INITIALIZERS.register_module(name="TruncNormal")
class TruncNormalInit(BaseInit):
    """See :func:`trunc_normal_init` and :class:`BaseInit`."""

    _info = _labels("a", "b", "mean", "std", "bias")

    def __init__(
        self, mean: float = 0, std: float = 1, a: float = -2, b: float = 2, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.mean, self.std, self.a, self.b = mean, std, a, b

    def _fill_layer(self, layer: nn.Module) -> None:
        trunc_normal_init(layer, self.mean, self.std, self.a, self.b, self.bias)


@WEIGHT_INITIALIZERS.register_module(name="Uniform")
class UniformInit(BaseInit):
    """See :func:`uniform_init` and :class:`BaseInit`."""

    _info = _labels("a", "b", "bias")

    def __init__(self, a: float = 0, b: float = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.a, self.b = a, b

    def _fill_layer(self, layer: nn.Module) -> None:
        uniform_init(layer, self.a, self.b, self.bias)


@WEIGHT_INITIALIZERS.register_module(name="Kaiming")
class KaimingInit(BaseInit):
    """See :func:`kaiming_init` and :class:`BaseInit`."""

    # The blank in "distribution =" is MMEngine's; its log files have it.
    _info = _labels("a", "mode", "nonlinearity", "distribution ", "bias")

    def __init__(
        self,
        a: float = 0,
        mode: str = "fan_out",
        nonlinearity: str = "relu",
        distribution: str = "normal",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.a, self.mode = a, mode
        self.nonlinearity, self.distribution = nonlinearity, distribution

    def _fill_layer(self, layer: nn.Module) -> None:
        kaiming_init(layer, self.a, self.mode, self.nonlinearity, self.bias, self.distribution)


@WEIGHT_INITIALIZERS.register_module(name="Caffe2Xavier")
class Caffe2XavierInit(KaimingInit):
    """See :func:`caffe2_xavier_init` and :class:`BaseInit`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            a=1, mode="fan_in", nonlinearity="leaky_relu", distribution="uniform", **kwargs
        )


@WEIGHT_INITIALIZERS.register_module(name="Pretrained")
class PretrainedInit:
    """Fill a module from a checkpoint.

    Args:
        checkpoint: File, URL or ``torchvision://`` name.
        prefix: Load only what lies below this name in the checkpoint, e.g. ``"backbone."``.
        map_location: Where the checkpoint's tensors go while they are read.
    """

    def __init__(
        self, checkpoint: str, prefix: str | None = None, map_location: str | None = "cpu"
    ) -> None:
        self.checkpoint = checkpoint
        self.prefix = prefix
        self.map_location = map_location

    def __call__(self, module: nn.Module) -> None:
        # The runner's package imports this one.
        from mm2pl.mmengine.runner import checkpoint as io

        what = "model" if self.prefix is None else f"{self.prefix} in model"
        print_log(f"load {what} from: {self.checkpoint}", logger="current")
        source, where = self.checkpoint, self.map_location
        if self.prefix is None:
            io.load_checkpoint(module, source, map_location=where, strict=False, logger="current")
        else:
            part = io._load_checkpoint_with_prefix(self.prefix, source, map_location=where)
            io.load_state_dict(module, part, strict=False, logger="current")
        if hasattr(module, "_params_init_info"):
            update_init_info(module, init_info=self._get_init_info())

    def _get_init_info(self) -> str:
        return f"{type(self).__name__}: load from {self.checkpoint}"


def initialize(module: nn.Module, init_cfg: dict[str, Any] | list[dict[str, Any]]) -> None:
    """Initialise ``module`` as ``init_cfg`` says.

    Args:
        module: What to fill.
        init_cfg: One or several initialiser configs; ``override`` in one of them (a dict or a
            list of dicts with ``name``) fills the named submodules otherwise.

    Raises:
        ConfigTypeError: ``init_cfg`` or ``override`` is neither dict nor list.
        ConfigError: An override lacks ``name`` or ``type``.
        InitTargetError: An override names no attribute of ``module``.
    """
    _check_type("init_cfg", init_cfg, (dict, list))
    for cfg in [init_cfg] if isinstance(init_cfg, dict) else init_cfg:
        cfg = copy.deepcopy(cfg)
        overrides = cfg.pop("override", None)
        _run_initializer(module, cfg)
        if overrides is not None:
            _check_type("override", overrides, (dict, list))
            cfg.pop("layer", None)
            for override in [overrides] if isinstance(overrides, dict) else overrides:
                _override(module, copy.deepcopy(override), cfg)


def _run_initializer(module: nn.Module, cfg: dict[str, Any], wholemodule: bool = False) -> None:
    initializer = build_from_cfg(cfg, WEIGHT_INITIALIZERS)
    initializer.wholemodule = wholemodule
    initializer(module)


def _override(module: nn.Module, override: dict[str, Any], default: dict[str, Any]) -> None:
    name = override.pop("name", None)
    if name is None:
        raise ConfigError(f'an override in init_cfg needs the key "name", got {override}')
    if override and "type" not in override:
        raise ConfigError(f'the override for {name} needs the key "type", got {override}')
    if not hasattr(module, name):
        raise InitTargetError(
            f"{type(module).__name__} has no submodule {name} for the override in init_cfg",
            choices=nearest(name, dict(module.named_children())),
        )
    _run_initializer(getattr(module, name), override or default, wholemodule=True)
