"""Names the parameters that a loss does not depend on, before its backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from mm2pl.mmengine.model.utils import detect_anomalous_params

if TYPE_CHECKING:
    from mm2pl.runner import Runner

SETTING = "detect_anomalous_params"


def watched(runner: Runner, backward: Callable[..., None]) -> Callable[..., None]:
    """Return a backward pass that logs the parameters which get no gradient from it, if asked to.

    Args:
        runner: The run; its ``trainer`` settings say whether to look, which takes time.
        backward: The pass itself.
    """
    if not runner.plan.runtime.trainer.get(SETTING):
        return backward

    def look_and_run(loss: torch.Tensor, **kwargs: Any) -> None:
        detect_anomalous_params(loss, runner.bare_model)
        backward(loss, **kwargs)

    return look_and_run
