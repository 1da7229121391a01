"""``BaseTTAModel``: predictions merged over several augmentations of each image."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import torch
from torch import nn

from mm2pl.errors import ConfigTypeError, ModelAssertionError, ModelError
from mm2pl.mmengine.model.base_model import BaseModel
from mm2pl.mmengine.registry import MODELS
from mm2pl.mmengine.structures import BaseDataElement

# One entry an augmentation, each a batch.
EnhancedBatchInputs = list[torch.Tensor | list[torch.Tensor]]
EnhancedBatchDataSamples = list[list[BaseDataElement]]
DATA_BATCH = (
    dict[str, EnhancedBatchInputs | EnhancedBatchDataSamples] | tuple[Any, ...] | dict[Any, Any]
)
MergedDataSamples = list[BaseDataElement]


@MODELS.register_module()
class BaseTTAModel(BaseModel):
    """Wraps a model for testing with test-time augmentation.

    Args:
        module: The model, or its config.
        data_preprocessor: If given, replaces the one in the model's config.

    Raises:
        ConfigTypeError: ``module`` is neither a module nor a dict.
        ModelError: The model has no ``test_step``.
    """

    def __init__(
        self,
        module: dict[str, Any] | nn.Module,
        data_preprocessor: dict[str, Any] | nn.Module | None = None,
    ) -> None:
        super().__init__()
        if isinstance(module, dict):
            if data_preprocessor is not None:
                module["data_preprocessor"] = data_preprocessor
            module = MODELS.build(module)
        if not isinstance(module, nn.Module):
            raise ConfigTypeError(
                f"{type(self).__name__} wraps a module or its config, got {type(module).__name__}",
                key_path="module",
            )
        if not hasattr(module, "test_step"):
            raise ModelAssertionError(
                f"{type(module).__name__} needs a `test_step` for test-time augmentation"
            )
        self.module: Any = module

    @abstractmethod
    def merge_preds(self, data_samples_list: list[tuple[Any, ...]]) -> list[Any]:
        """Merge the predictions of each image.

        Args:
            data_samples_list: One entry per image, holding one prediction per augmentation.

        Returns:
            One prediction per image.
        """

    def test_step(self, data: Any) -> list[Any]:
        """Predict every augmentation on its own, then merge.

        Args:
            data: A dict or sequence of values, each a list with one entry per augmentation, and
                that a batch of its own.

        Raises:
            ModelError: ``data`` is neither dict nor sequence.
        """
        batches: list[Any]
        if isinstance(data, dict):
            count = len(next(iter(data.values())))
            batches = [{key: value[i] for key, value in data.items()} for i in range(count)]
        elif isinstance(data, (tuple, list)):
            batches = [[value[i] for value in data] for i in range(len(data[0]))]
        else:
            raise ModelError(
                f"{type(self).__name__} needs a batch that is a dict, a tuple or a list, "
                f"got {type(data).__name__}"
            )
        predictions = [self.module.test_step(batch) for batch in batches]
        return self.merge_preds(list(zip(*predictions, strict=True)))

    def forward(
        self, inputs: Any, data_samples: list[Any] | None = None, mode: str = "tensor"
    ) -> Any:
        """Refuse: only :meth:`test_step` makes sense here."""
        raise NotImplementedError(
            f"{type(self).__name__} has no forward of its own: call test_step, or define it"
        )
