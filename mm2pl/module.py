"""The LightningModule around an OpenMMLab model."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

from mm2pl._lightning import QuietModule, StoppedIteration, no_end_of_data
from mm2pl._lightning_loops import backward_of, step_of
from mm2pl.anomalous import watched
from mm2pl.driving import Driver
from mm2pl.loggers import VisualizerLogger
from mm2pl.mmengine.registry.errors import used_at
from mm2pl.nonfinite import LossGuard
from mm2pl.optim import bind_to_lightning, torch_optimizers

if TYPE_CHECKING:
    from mm2pl.callbacks import HookCallback
    from mm2pl.runner import Runner


class RunnerModule(QuietModule):
    """Runs a model's ``train_step``, ``val_step`` and ``test_step`` within Lightning's loops.

    Its ``state_dict`` is the model's own, without a prefix.

    Args:
        runner: The runner that owns the model.
        hooks: The callback that the points known only to a LightningModule are passed on to.
    """

    runner: Runner
    hooks: HookCallback

    def __init__(self, runner: Runner, hooks: HookCallback) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.model: nn.Module = runner.model
        # Plain attributes: neither belongs to the module tree.
        self.__dict__["runner"] = runner
        self.__dict__["hooks"] = hooks

    # Steps. The optimizer wrapper backpropagates and steps within `train_step`.

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        runner = self.runner
        if self.hooks.driver is not Driver.LIGHTNING:
            self._step_of_the_loop(batch, batch_idx)
            return None
        try:
            outputs = runner.model.train_step(batch, optim_wrapper=runner.optim_wrapper)
        except Exception as error:
            used_at(error, "model")
            if isinstance(error, StopIteration):
                raise StoppedIteration(error) from error
            raise
        self.hooks.outputs, self.hooks.batch = outputs, batch
        # Lightning detaches outputs["loss"], so anything else there must not reach it.
        if isinstance(outputs, (dict, Mapping)) and isinstance(outputs.get("loss"), torch.Tensor):
            return outputs
        return None

    @no_end_of_data
    def _step_of_the_loop(self, batch: Any, batch_idx: int) -> None:
        """Leave a step, or the whole run, to a loop with code of its own."""
        loop = self.runner.train_loop
        if self.hooks.driver is Driver.ITSELF:
            self.hooks.trained = loop.run()
        elif loop.by_epoch:
            loop.run_iter(batch_idx + loop.reading.skipped, batch)
        else:
            loop.run_iter(batch)

    def validation_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
        return self.hooks.evaluate(batch)

    def test_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Any:
        return self.hooks.evaluate(batch)

    # Optimizers are made by the runner; Lightning only needs to know them.

    def configure_optimizers(self) -> list[Optimizer]:
        return torch_optimizers(self.runner.optim_wrapper)

    def on_fit_start(self) -> None:
        optimizers = self.optimizers()
        bind_to_lightning(
            self.runner.optim_wrapper,
            watched(self.runner, backward_of(self)),
            optimizers if isinstance(optimizers, list) else [optimizers],
            LossGuard.of(self.runner),
            partial(step_of, self),
        )

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        if self.runner.trainer.should_stop:  # Lightning calls this after all callbacks
            self.hooks.follow_stop(self.runner.trainer)

    # What parity forbids Lightning to do by itself.

    def on_validation_model_zero_grad(self) -> None:
        """Keep the gradients: a validation may fall into an accumulation window."""

    def on_validation_model_train(self) -> None:
        """Stay in eval mode: MMEngine calls ``model.train()`` later, after its hooks."""

    def on_test_model_train(self) -> None:
        """Stay in eval mode, as MMEngine does."""

    # Points that exist only on a LightningModule.

    def on_validation_model_eval(self) -> None:
        self.hooks.start_evaluation("val")

    def on_test_model_eval(self) -> None:
        self.hooks.start_evaluation("test")

    def on_validation_epoch_end(self) -> None:
        self._publish(self.hooks.metrics)

    def on_test_epoch_end(self) -> None:
        self._publish(self.hooks.metrics)

    def _publish(self, metrics: Any) -> None:
        """Make the metrics Lightning's: ``callback_metrics``, and what ``validate`` returns."""
        if not isinstance(metrics, Mapping):  # a loop of one's own returns what it likes
            return
        self._leave_to_hooks(metrics)
        for name, value in metrics.items():
            if _is_scalar(value) and isinstance(name, str):
                self.log(
                    name,
                    float(value.item() if isinstance(value, np.ndarray) else value),
                    on_epoch=True,
                    batch_size=1,
                    add_dataloader_idx=False,
                )

    def on_validation_end(self) -> None:
        self._leave_to_hooks(())

    def on_test_end(self) -> None:
        self._leave_to_hooks(())

    def _leave_to_hooks(self, names: Iterable[str]) -> None:
        for logger in self.trainer.loggers:
            if isinstance(logger, VisualizerLogger):
                logger.leave_to_hooks(names)

    # The model's weights, without a prefix, are the module's.

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        return self.runner.bare_model.state_dict(*args, **kwargs)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        return self.runner.bare_model.load_state_dict(state_dict, strict=strict, assign=assign)


# Lightning asks for the signature at every step; stored, it need not be worked out each time.
RunnerModule.training_step.__signature__ = inspect.signature(  # type: ignore[attr-defined]
    RunnerModule.training_step
)


def _is_scalar(value: Any) -> bool:
    """Whether a metric is one number; tables, arrays and texts stay with the hooks."""
    if isinstance(value, torch.Tensor):
        return value.numel() == 1
    if isinstance(value, np.ndarray):
        return value.size == 1 and value.dtype.kind in "biuf"
    return isinstance(value, (int, float, np.number, np.bool_))
