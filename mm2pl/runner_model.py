"""What the runner does to model and learning rates before the first step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from mm2pl.compiling import compile_method
from mm2pl.distributed import together
from mm2pl.errors import ConfigTypeError, ModelError
from mm2pl.mmengine.dist import broadcast
from mm2pl.mmengine.model.efficient_conv_bn_eval import turn_on_efficient_conv_bn_eval
from mm2pl.mmengine.optim import OptimWrapper, _ParamScheduler
from mm2pl.mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing
from mm2pl.optim import scale_to_batch_size

# Keys of a config that name sub-modules of the model, and what is done to these.
_FEATURES: dict[str, Callable[[nn.Module, Any], None]] = {
    "activation_checkpointing": turn_on_activation_checkpointing,
    "efficient_conv_bn_eval": turn_on_efficient_conv_bn_eval,
}


class RunnerModel:
    """The runner's methods around its model."""

    def _enable_features(self: Any) -> None:
        for name, turn_on in _FEATURES.items():
            modules = getattr(self.plan.runtime, name)
            if modules is not None:
                self.logger.info(f'Enabling the "{name}" feature for sub-modules: {modules}')
                turn_on(self.bare_model, modules)

    def _check_model(self: Any, *methods: str) -> None:
        for method in methods:
            if not hasattr(self.bare_model, method):
                raise ModelError(
                    f"{self._model_name} has no {method}()",
                    key_path="model",
                    hint="derive the model from mmengine.model.BaseModel",
                )

    def _init_model_weights(self: Any) -> None:
        model: Any = self.bare_model
        if hasattr(model, "init_weights"):
            with together("initialize the weights"):  # which may be read from a file
                model.init_weights()
            for value in model.state_dict().values():
                broadcast(value)

    def _maybe_compile(self: Any, target: str) -> None:
        options = self.plan.runtime.compile
        if options is None or options is False:
            return
        if options is True:
            options = {}
        if not isinstance(options, Mapping):
            raise ConfigTypeError(
                f"compile must be a bool or a dict, got {options!r}", key_path="compile"
            )
        compile_method(self.model, target, options, self.logger)

    def scale_lr(
        self: Any, optim_wrapper: Any, auto_scale_lr: Mapping[str, Any] | None = None
    ) -> None:
        """Scale learning rates by the ratio of the batch size to ``base_batch_size``.

        Args:
            optim_wrapper: The built wrapper or wrappers.
            auto_scale_lr: ``enable`` and ``base_batch_size``.
        """
        if not auto_scale_lr or not auto_scale_lr.get("enable", False):
            return
        if _any_built(self.param_schedulers):
            raise RuntimeError(
                "`scale_lr` should be called before building ParamScheduler because ParamScheduler"
                " will store initial lr from optimizer wrappers"
            )
        assert isinstance(optim_wrapper, OptimWrapper), (
            "`scale_lr should be called after building OptimWrapper"
        )
        loader: Any = self._train_dataloader
        size = loader["batch_size"] if isinstance(loader, Mapping) else loader.batch_size
        real = self.world_size * size
        scale_to_batch_size(optim_wrapper, real, auto_scale_lr, self.logger)


def _any_built(schedulers: Any) -> bool:
    """Whether there is a built scheduler in a config of schedulers."""
    if isinstance(schedulers, Mapping):
        return "type" not in schedulers and any(map(_any_built, schedulers.values()))
    if isinstance(schedulers, (list, tuple)):
        return any(map(_any_built, schedulers))
    return isinstance(schedulers, _ParamScheduler)
