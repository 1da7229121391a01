"""Stops a run at the first loss that is NaN or infinite, before it reaches the weights."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from mm2pl.errors import NonFiniteLossError
from mm2pl.mmengine.optim import AmpOptimWrapper, OptimWrapper

if TYPE_CHECKING:
    from mm2pl.runner import Runner

SETTING = "stop_on_nonfinite_loss"


class LossGuard:
    """Looks at each loss before it is propagated, which waits for the device.

    Args:
        runner: The run; its ``trainer`` settings say whether losses are looked at.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._outputs: Any = None  # of the model's last forward pass

    @classmethod
    def of(cls, runner: Runner) -> LossGuard | None:
        """Return a guard that watches the model, or None if none was asked for."""
        if not runner.plan.runtime.trainer.get(SETTING):
            return None
        guard = cls(runner)
        itself = weakref.ref(guard)

        def keep(module: Any, inputs: Any, outputs: Any) -> None:
            alive = itself()
            if alive is not None:
                alive._outputs = outputs if isinstance(outputs, Mapping) else None

        # The wrappers hold the guard until a run ends, well or not; the model does not.
        weakref.finalize(guard, runner.bare_model.register_forward_hook(keep).remove)
        return guard

    def guarded(self, wrapper: OptimWrapper, backward: Callable[..., None]) -> Callable[..., None]:
        """Return the wrapper's backward pass, which refuses a loss that is not finite."""

        def check_and_run(loss: torch.Tensor, **kwargs: Any) -> None:
            if not bool(torch.isfinite(loss).all()) and not self._is_scaling(wrapper):
                raise self._error(loss, wrapper)
            self._outputs = None  # they hold the graph
            backward(loss, **kwargs)

        return check_and_run

    def _is_scaling(self, wrapper: OptimWrapper) -> bool:
        """Whether it is the loss scale that is too large: the scaler lowers it and goes on."""
        terms = self._terms()
        return isinstance(wrapper, AmpOptimWrapper) and bool(terms) and not _wrong(terms)

    def _terms(self) -> dict[str, torch.Tensor]:
        outputs = self._outputs or {}
        return {
            str(name): torch.stack([one.detach().float().mean() for one in parts]).sum()
            for name, value in outputs.items()
            if "loss" in str(name) and (parts := _tensors(value))
        }

    def _error(self, loss: torch.Tensor, wrapper: OptimWrapper) -> NonFiniteLossError:
        runner = self._runner
        terms = _wrong(self._terms()) or {"loss": loss.detach()}
        what = ", ".join(f"{name} is {float(value)}" for name, value in terms.items())
        rates = ", ".join(f"{one:.6g}" for one in dict.fromkeys(wrapper.get_lr()["lr"]))
        saved = runner.message_hub.runtime_info.get("last_ckpt") or "none was saved yet"
        return NonFiniteLossError(
            f"{what} at iteration {runner.iter + 1} (epoch {runner.epoch + 1}), with lr {rates};"
            f" the weights are those before it; last checkpoint: {saved}",
            key_path="model",
            hint="--detect-anomaly says which operation makes the first NaN; a lower lr, a warmup"
            " or optim_wrapper.clip_grad may avoid it",
        )


def _tensors(value: Any) -> Sequence[torch.Tensor]:
    values = value if isinstance(value, (list, tuple)) else [value]
    return [one for one in values if isinstance(one, torch.Tensor)]


def _wrong(terms: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in terms.items() if not bool(torch.isfinite(value))}
