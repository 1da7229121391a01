"""``BaseModel``: what a model must look like for the loops to train and evaluate it."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mm2pl.errors import ConfigTypeError, ModelError
from mm2pl.mmengine.model.base_model.data_preprocessor import BaseDataPreprocessor
from mm2pl.mmengine.model.base_module import BaseModule, InitCfg
from mm2pl.mmengine.registry import MODELS

if TYPE_CHECKING:
    from mm2pl.mmengine.optim import OptimWrapper

Batch = dict[str, Any] | tuple[Any, ...] | list[Any]


class BaseModel(BaseModule):
    """Base of all models: a subclass writes ``forward`` with three modes.

    Differs: ``to``, ``cuda`` and ``cpu`` are torch's own, because the data preprocessor follows
    its parent module by itself.

    Args:
        data_preprocessor: Config or module that turns a batch of the loader into the arguments of
            ``forward``; without one, tensors are moved to the model's device.
        init_cfg: See :class:`BaseModule`.

    Raises:
        ConfigTypeError: ``data_preprocessor`` is neither a dict nor a module.
    """

    def __init__(
        self,
        data_preprocessor: dict[str, Any] | nn.Module | None = None,
        init_cfg: InitCfg = None,
    ) -> None:
        super().__init__(init_cfg)
        if data_preprocessor is None:
            data_preprocessor = {"type": "BaseDataPreprocessor"}
        if isinstance(data_preprocessor, dict):
            data_preprocessor = MODELS.build(data_preprocessor)
        if not isinstance(data_preprocessor, nn.Module):
            raise ConfigTypeError(
                f"data_preprocessor of {type(self).__name__} must be a dict or a module, "
                f"got {type(data_preprocessor).__name__}",
                key_path="data_preprocessor",
            )
        self.data_preprocessor = data_preprocessor

    @abstractmethod
    def forward(
        self, inputs: Tensor, data_samples: list[Any] | None = None, mode: str = "tensor"
    ) -> Any:
        """Compute losses, predictions or features.

        Args:
            inputs: The batch, as the data preprocessor gives it.
            data_samples: Labels and meta information.
            mode: ``loss``: return a dict of tensors or lists of tensors, those with "loss" in
                their name are summed up and trained on; ``predict``: return a list of
                predictions for the evaluator; ``tensor``: return whatever is useful.
        """

    def train_step(self, data: Batch, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """Preprocess, compute losses, update the parameters.

        Args:
            data: A batch from the loader.
            optim_wrapper: Updates the parameters.

        Returns:
            The losses to log, still tensors; see :meth:`parse_losses`.

        Raises:
            ModelError: The model returned nothing to train on.
        """
        with optim_wrapper.optim_context(self):
            losses = self._run_forward(self.data_preprocessor(data, True), mode="loss")
        loss, log_vars = self.parse_losses(losses)
        if not isinstance(loss, Tensor):
            raise ModelError(
                f"{type(self).__name__}.forward(mode='loss') returned no loss to train on, "
                f"only {list(losses)}",
                hint='what is to be trained on must have "loss" in its name',
            )
        optim_wrapper.update_params(loss)
        return log_vars

    def val_step(self, data: Batch) -> list[Any]:
        """Preprocess and predict; the predictions go to the evaluator."""
        return self._run_forward(self.data_preprocessor(data, False), mode="predict")  # type: ignore[no-any-return]

    def test_step(self, data: Batch) -> list[Any]:
        """Do as :meth:`val_step` does."""
        return self._run_forward(self.data_preprocessor(data, False), mode="predict")  # type: ignore[no-any-return]

    def parse_losses(self, losses: dict[str, Any]) -> tuple[Tensor, dict[str, Tensor]]:
        """Reduce what ``forward(mode="loss")`` returned to one loss, and to values to log.

        Args:
            losses: Tensors or lists of tensors by name. A tensor counts with its mean, a list
                with the sum of its tensors' means.

        Returns:
            The sum of all values with "loss" in their name, and all values in the model's order
            after ``loss``, that sum. A value that the model itself calls ``loss`` is logged in
            the sum's stead, as in MMEngine.

        Raises:
            ModelError: ``losses`` is not a dict, or a value is of another type.
        """
        if not isinstance(losses, dict):
            raise ModelError(
                f"{type(self).__name__}.forward(mode='loss') must return a dict of losses, "
                f"got {type(losses).__name__}",
                hint="write e.g. `return dict(loss=loss)`",
            )
        values: list[tuple[str, Any]] = []
        for name, value in losses.items():
            if isinstance(value, Tensor):
                values.append((name, _mean(value)))
            elif isinstance(value, list) and all(isinstance(each, Tensor) for each in value):
                values.append((name, sum(map(_mean, value))))
            else:
                raise ModelError(
                    f"{type(self).__name__}.forward(mode='loss') returned {name!r}, which is "
                    f"neither a tensor nor a list of tensors but {type(value).__name__}",
                    hint="return plain numbers as tensors, and nested dicts flattened",
                )
        trained: list[Any] = [value for name, value in values if "loss" in name]
        loss: Any = sum(trained[1:], trained[0]) if trained else 0
        return loss, OrderedDict([("loss", loss), *values])

    def _set_device(self, device: torch.device) -> None:
        """Tell all data preprocessors within the model where to put batches."""
        for module in self.modules():
            if isinstance(module, BaseDataPreprocessor):
                module._device = device

    def _run_forward(self, data: Batch, mode: str) -> Any:
        """Call the model with a preprocessed batch spread over its arguments.

        Raises:
            ModelError: The batch is neither dict nor sequence, or ``forward`` cannot take it.
        """
        args: tuple[Any, ...] | list[Any] = ()
        kwargs: dict[str, Any] = {}
        if isinstance(data, dict):
            kwargs = data
        elif isinstance(data, (list, tuple)):
            args = data
        else:
            raise ModelError(
                f"{type(self).__name__} got a batch of type {type(data).__name__} from its data "
                f"preprocessor {type(self.data_preprocessor).__name__}; it must be a dict, "
                "a tuple or a list",
                hint="let the dataset return a dict, whose keys are the arguments of forward, "
                "or a tuple, whose items are",
            )
        try:
            return self(*args, **kwargs, mode=mode)
        except TypeError as error:
            self._explain_call(error, args, kwargs, mode)
            raise

    def _explain_call(
        self, error: TypeError, args: tuple[Any, ...] | list[Any], kwargs: dict[str, Any], mode: str
    ) -> None:
        """Raise a better error if the call itself, not something within it, went wrong."""
        signature = inspect.signature(self.forward)
        name = f"{type(self).__name__}.forward"
        try:
            signature.bind(*args, **kwargs, mode=mode)
        except TypeError as mismatch:
            batch = list(kwargs) if kwargs else f"{len(args)} items"
            parameters = signature.parameters.values()
            if not any(p.name == "mode" or p.kind is p.VAR_KEYWORD for p in parameters):
                raise ModelError(
                    f"{name}{signature} does not take `mode`",
                    hint='write `def forward(self, inputs, data_samples=None, mode="tensor")` '
                    'and return losses for mode="loss", predictions for mode="predict"',
                ) from error
            raise ModelError(
                f"{name}{signature} cannot take the batch ({batch}): {mismatch}",
                hint="name the arguments of forward as the keys of the batch, or change what "
                "the dataset or the data preprocessor returns",
            ) from error


def _mean(value: Tensor) -> Tensor:
    """Return the mean of ``value`` as a new tensor."""
    if value.dim() == 0 and value.is_floating_point():
        # The same value (-0.0 becomes 0.0 in both), for half the cost of mean and its backward.
        return value + 0
    return value.mean()
