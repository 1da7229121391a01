"""The wrapper for models whose parts are optimised apart (the spelling is MMEngine's)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from mm2pl.mmengine.device import get_device
from mm2pl.mmengine.model.wrappers.distributed import MMDistributedDataParallel
from mm2pl.mmengine.registry import MODEL_WRAPPERS


@MODEL_WRAPPERS.register_module()
class MMSeparateDistributedDataParallel(DistributedDataParallel):
    """Wraps each trainable child of a model by itself, in its place within the model.

    A GAN trains generator and discriminator in turn; one wrapper around both would wait for the
    gradients of the one that is not being trained. The steps are the model's own.

    Args:
        module: The model; its children are replaced by wrappers around them.
        broadcast_buffers: Take the buffers of rank 0 at each forward pass.
        find_unused_parameters: Look for parameters that a loss does not depend on.
        **kwargs: Arguments of :class:`MMDistributedDataParallel`.
    """

    def __init__(
        self,
        module: nn.Module,
        broadcast_buffers: bool = False,
        find_unused_parameters: bool = False,
        **kwargs: Any,
    ) -> None:
        # Past DistributedDataParallel's own: this class only stands for the wrappers inside.
        nn.Module.__init__(self)
        self.module: Any = module
        device = get_device()
        for name, child in module._modules.items():
            if child is None:
                continue
            moved = child.to(device)
            if any(param.requires_grad for param in moved.parameters()):
                moved = MMDistributedDataParallel(
                    module=moved,
                    broadcast_buffers=broadcast_buffers,
                    find_unused_parameters=find_unused_parameters,
                    **kwargs,
                )
            module._modules[name] = moved

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, torch.Tensor]:
        """Run the model's ``train_step``, which calls the wrapped children."""
        return self.module.train_step(data, optim_wrapper)  # type: ignore[no-any-return]

    def val_step(self, data: Any) -> list[Any]:
        """Return the model's predictions for a batch."""
        return self.module.val_step(data)  # type: ignore[no-any-return]

    def test_step(self, data: Any) -> list[Any]:
        """Return the model's predictions for a batch."""
        return self.module.test_step(data)  # type: ignore[no-any-return]

    # Differs: MMEngine's fails for a model with more than one child.
    @contextmanager
    def no_sync(self) -> Iterator[None]:
        """Let gradients accumulate in each process by itself."""
        with ExitStack() as stack:
            for child in self.module.children():
                if isinstance(child, DistributedDataParallel):
                    stack.enter_context(child.no_sync())
            yield

    def train(self, mode: bool = True) -> MMSeparateDistributedDataParallel:
        """Switch the model between training and evaluation."""
        self.training = mode
        self.module.train(mode)
        return self
