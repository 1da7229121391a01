"""Returns the GPU memory that torch keeps in reserve."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from mm2pl.mmengine.hooks.hook import DATA_BATCH, Hook
from mm2pl.mmengine.registry import HOOKS


@HOOKS.register_module()
class EmptyCacheHook(Hook):
    """Calls ``torch.cuda.empty_cache()``; does nothing where there is no CUDA device.

    Args:
        before_epoch: Call it before the batches of each phase.
        after_epoch: Call it after the batches of each phase.
        after_iter: Call it after each step.
    """

    priority = "NORMAL"

    def __init__(
        self, before_epoch: bool = False, after_epoch: bool = True, after_iter: bool = False
    ) -> None:
        self._do_before_epoch = before_epoch
        self._do_after_epoch = after_epoch
        self._do_after_iter = after_iter

    def _before_epoch(self, runner: Any, mode: str = "train") -> None:
        _empty_cache_if(self._do_before_epoch)

    def _after_epoch(self, runner: Any, mode: str = "train") -> None:
        _empty_cache_if(self._do_after_epoch)

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: Sequence[Any] | dict[str, Any] | None = None,
        mode: str = "train",
    ) -> None:
        _empty_cache_if(self._do_after_iter)


def _empty_cache_if(wanted: bool) -> None:
    if wanted and torch.cuda.is_available():
        torch.cuda.empty_cache()
