"""Data preprocessors: from a batch of the loader to the arguments of ``forward``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mm2pl.errors import ConfigAssertionError, DataAssertionError, DataKeyError, ModelError
from mm2pl.mmengine.model.utils import stack_batch
from mm2pl.mmengine.registry import MODELS
from mm2pl.mmengine.structures import BaseDataElement

CastData = Any


@MODELS.register_module()
class BaseDataPreprocessor(nn.Module):
    """Moves a batch to the model's device.

    Differs: the device is that of a buffer, so it follows the parent module however that is moved
    (Lightning moves the outermost module only; MMEngine needs the preprocessor's own ``to``).

    Args:
        non_blocking: Whether copies to the device may run beside the host.
    """

    def __init__(self, non_blocking: bool | None = False) -> None:
        super().__init__()
        self._non_blocking = bool(non_blocking)
        self.register_buffer("_device_buffer", torch.zeros(()), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where batches are moved to."""
        return self._buffers["_device_buffer"].device  # type: ignore[union-attr]

    @property
    def _device(self) -> torch.device:
        return self.device

    @_device.setter
    def _device(self, device: torch.device) -> None:
        self._buffers["_device_buffer"] = torch.zeros((), device=device)

    def cast_data(self, data: CastData) -> CastData:
        """Return ``data`` with every tensor and data element in it moved to the device.

        Args:
            data: Tensors and ``BaseDataElement`` in dicts, lists, tuples and named tuples, at
                any depth. Anything else stays as it is; a mapping becomes a dict.
        """
        kind = type(data)
        if kind is Tensor:
            # Asking for the device is cheaper than a `to` that has nothing to do.
            device = self.device
            if data.device == device:
                return data
            return data.to(device, non_blocking=self._non_blocking)
        if kind is dict or isinstance(data, Mapping):
            return {key: self.cast_data(data[key]) for key in data}
        if data is None or isinstance(data, (str, bytes)):
            return data
        if isinstance(data, tuple) and hasattr(data, "_fields"):
            return kind(*map(self.cast_data, data))
        if kind is list:
            return [self.cast_data(each) for each in data]
        if isinstance(data, (Tensor, BaseDataElement)):
            return data.to(self.device, non_blocking=self._non_blocking)
        if isinstance(data, Sequence):
            return kind(map(self.cast_data, data))
        return data

    def forward(self, data: Any, training: bool = False) -> Any:
        """Return the batch as the model's ``forward`` takes it.

        Args:
            data: A batch from the loader.
            training: Whether to augment as for training (unused here).
        """
        return self.cast_data(data)


@MODELS.register_module()
class ImgDataPreprocessor(BaseDataPreprocessor):
    """Normalises, pads and stacks images.

    Args:
        mean: Mean of each channel, 1 or 3 values, in the order after the channels were swapped.
        std: Standard deviation of each channel, likewise; given if and only if ``mean`` is.
        pad_size_divisor: Height and width are padded to a multiple of it.
        pad_value: What to pad with, at the right and at the bottom.
        bgr_to_rgb: Swap the first and the third channel.
        rgb_to_bgr: The same; only one of the two may be set.
        non_blocking: See :class:`BaseDataPreprocessor`.

    Raises:
        ConfigError: The arguments contradict each other.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        pad_size_divisor: int = 1,
        pad_value: float = 0,
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        non_blocking: bool | None = False,
    ) -> None:
        super().__init__(non_blocking)
        if bgr_to_rgb and rgb_to_bgr:
            raise ConfigAssertionError("set one of bgr_to_rgb and rgb_to_bgr, not both")
        if (mean is None) != (std is None):
            raise ConfigAssertionError("mean and std must be given together")
        self._enable_normalize = mean is not None
        for name, values in (("mean", mean), ("std", std)):
            if values is None:
                continue
            if len(values) not in (1, 3):
                raise ConfigAssertionError(
                    f"{name} needs 1 value (gray) or 3 (RGB), got {len(values)}", key_path=name
                )
            self.register_buffer(name, torch.tensor(values).view(-1, 1, 1), False)
        self._channel_conversion = bgr_to_rgb or rgb_to_bgr
        self.pad_size_divisor = pad_size_divisor
        self.pad_value = pad_value

    def forward(self, data: Any, training: bool = False) -> Any:
        """Return the batch with ``inputs`` as one float tensor, and ``data_samples``.

        Args:
            data: A dict whose ``inputs`` are a list of ``(C, H, W)`` tensors (``pseudo_collate``)
                or one ``(N, C, H, W)`` tensor (``default_collate``).
            training: Unused here.

        Returns:
            The batch; ``inputs`` has shape ``(N, C, H', W')``.

        Raises:
            DataError: ``inputs`` is missing or of the wrong shape.
            ModelError: The batch or its ``inputs`` is of the wrong type.
        """
        data = self.cast_data(data)
        if not isinstance(data, dict):
            raise ModelError(
                f"{type(self).__name__} needs a batch that is a dict with the key `inputs`, "
                f"got {type(data).__name__}",
                hint="let the dataset return dict(inputs=image, data_samples=...)",
            )
        if "inputs" not in data:
            raise DataKeyError(
                f"{type(self).__name__} finds no `inputs` in the batch, only {list(data)}",
                hint="let the dataset return dict(inputs=image, data_samples=...)",
            )
        inputs = data["inputs"]
        if isinstance(inputs, Tensor):
            data["inputs"] = self._prepare_batch(inputs)
        elif isinstance(inputs, (list, tuple)) and all(isinstance(x, Tensor) for x in inputs):
            images = [self._prepare_image(image) for image in inputs]
            data["inputs"] = stack_batch(images, self.pad_size_divisor, self.pad_value)
        else:
            raise ModelError(
                f"{type(self).__name__} needs `inputs` to be a tensor or a list of tensors, "
                f"got {_describe(inputs)}"
            )
        data.setdefault("data_samples", None)
        return data

    def _prepare_image(self, image: Tensor) -> Tensor:
        if self._channel_conversion:
            image = image[[2, 1, 0], ...]
        if self._enable_normalize and len(self.mean) == 3:
            shape = tuple(image.shape)
            if len(shape) != 3 or shape[0] != 3:
                raise DataAssertionError(
                    f"with 3 mean values an image must be (3, H, W), got {shape}"
                )
        return self._normalize(image)

    def _prepare_batch(self, images: Tensor) -> Tensor:
        if images.dim() != 4:
            raise DataAssertionError(
                "`inputs` must be an (N, C, H, W) tensor or a list of (C, H, W) tensors, "
                f"got shape {tuple(images.shape)}"
            )
        if self._channel_conversion:
            images = images[:, [2, 1, 0], ...]
        images = self._normalize(images)
        bottom, right = (-size % self.pad_size_divisor for size in images.shape[2:])
        return F.pad(images, (0, right, 0, bottom), "constant", self.pad_value)

    def _normalize(self, images: Tensor) -> Tensor:
        images = images.float()
        return (images - self.mean) / self.std if self._enable_normalize else images


def _describe(value: object) -> str:
    kind = type(value).__name__
    if isinstance(value, (list, tuple)):
        return f"{kind} of {', '.join(sorted({type(each).__name__ for each in value}))}"
    return kind
