"""The wrapper that averages gradients over processes, with the steps of an OpenMMLab model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from mm2pl.errors import ModelError
from mm2pl.mmengine.registry import MODEL_WRAPPERS

if TYPE_CHECKING:
    from mm2pl.mmengine.optim import OptimWrapper

MODEL_WRAPPERS.register_module(module=DistributedDataParallel)
MODEL_WRAPPERS.register_module(module=DataParallel)


@MODEL_WRAPPERS.register_module()
class MMDistributedDataParallel(DistributedDataParallel):
    """Torch's ``DistributedDataParallel`` around a ``BaseModel``.

    In training the forward pass goes through the wrapper, so that gradients are averaged, and the
    model's own ``train_step`` is not called: a subclass that overrides :meth:`train_step` is the
    place for another order of passes. Validation and test are the model's own.

    Args:
        module: The model.
        detect_anomalous_params: Log at every step the parameters that the loss does not depend on.
        **kwargs: Arguments of ``DistributedDataParallel``.
    """

    def __init__(
        self, module: nn.Module, detect_anomalous_params: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(module=module, **kwargs)
        self.detect_anomalous_params = detect_anomalous_params

    def train_step(
        self, data: dict[str, Any] | tuple[Any, ...] | list[Any], optim_wrapper: OptimWrapper
    ) -> dict[str, torch.Tensor]:
        """Run forward, backward and, where it is due, the update.

        Args:
            data: A batch as the loader gave it.
            optim_wrapper: Runs backward and updates.

        Returns:
            The losses to log.
        """
        model: Any = self.module
        with optim_wrapper.optim_context(self):
            losses = self._run_forward(model.data_preprocessor(data, True), mode="loss")
        loss, to_log = model.parse_losses(losses)
        optim_wrapper.update_params(loss)
        if self.detect_anomalous_params:
            from mm2pl.mmengine.model.utils import detect_anomalous_params

            detect_anomalous_params(loss, model=self)
        return to_log  # type: ignore[no-any-return]

    def val_step(self, data: Any) -> list[Any]:
        """Return the model's predictions for a batch."""
        return self.module.val_step(data)  # type: ignore[no-any-return]

    def test_step(self, data: Any) -> list[Any]:
        """Return the model's predictions for a batch."""
        return self.module.test_step(data)  # type: ignore[no-any-return]

    def _run_forward(self, data: Any, mode: str) -> Any:
        """Call the wrapper with a preprocessed batch, unpacked."""
        if isinstance(data, dict):
            return self(**data, mode=mode)
        if isinstance(data, (list, tuple)):
            return self(*data, mode=mode)
        raise ModelError(
            "the data preprocessor must return a dict, a list or a tuple,"
            f" not {type(data).__name__}"
        )
