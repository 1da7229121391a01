"""A run that is told to stops at the first loss that is not finite, before the update."""

from __future__ import annotations

import gc
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.errors import Mm2plError, NonFiniteLossError
from mm2pl.mmengine.optim import AmpOptimWrapper, OptimWrapper
from mm2pl.nonfinite import SETTING, LossGuard


class Terms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, *values: float) -> dict[str, Any]:
        names = ("loss_a", "loss_b", "acc")
        losses = {name: self.weight.sum() * v for name, v in zip(names, values, strict=False)}
        return {**losses, "loss_parts": [self.weight.sum(), self.weight.sum()]}


def run(model: nn.Module, **settings: Any) -> Any:
    runtime = SimpleNamespace(trainer=settings)
    hub = SimpleNamespace(runtime_info={"last_ckpt": "work/epoch_3.pth"})
    plan = SimpleNamespace(runtime=runtime)
    return SimpleNamespace(plan=plan, bare_model=model, iter=6, epoch=3, message_hub=hub)


def guarded(model: nn.Module, kind: Any = OptimWrapper) -> Any:
    wrapper = kind(optimizer=torch.optim.SGD(model.parameters(), lr=0.5))
    guard = LossGuard.of(run(model, **{SETTING: True}))
    assert guard is not None
    wrapper.bind(backward=guard.guarded(wrapper, lambda loss, **kwargs: loss.backward(**kwargs)))
    return wrapper


def total(outputs: dict[str, Any]) -> torch.Tensor:
    return outputs["loss_a"] + outputs["loss_b"]


def test_nothing_watches_unless_asked_to() -> None:
    model = Terms()
    assert LossGuard.of(run(model)) is None
    assert LossGuard.of(run(model, **{SETTING: False})) is None
    assert not model._forward_hooks


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_the_message_names_term_iteration_rate_and_checkpoint(value: float) -> None:
    model = Terms()
    wrapper = guarded(model)
    with pytest.raises(NonFiniteLossError) as caught:
        wrapper.update_params(total(model(1.0, value, float("nan"))))
    text = str(caught.value)
    assert text.startswith(
        f"model: loss_b is {value} at iteration 7 (epoch 4), with lr 0.5; the weights are those"
        " before it; last checkpoint: work/epoch_3.pth"
    )
    assert "loss_a" not in text, "which is finite"
    assert "acc" not in text, "which is no loss"
    assert isinstance(caught.value, (Mm2plError, FloatingPointError))
    assert model.weight == 1
    assert model.weight.grad is None


def test_finite_losses_are_propagated() -> None:
    model = Terms()
    guarded(model).update_params(total(model(1.0, 2.0)))
    assert model.weight == 1 - 0.5 * 3


def test_a_loss_of_an_unknown_origin_is_found_too() -> None:
    model = Terms()
    with pytest.raises(NonFiniteLossError, match="loss is nan"):
        guarded(model).update_params(model.weight.sum() * float("nan"))


def test_a_loss_scale_that_is_too_large_is_left_to_the_scaler() -> None:
    model = Terms()
    wrapper = guarded(model, AmpOptimWrapper)
    wrapper.loss_scaler.load_state_dict({**wrapper.loss_scaler.state_dict(), "scale": 1e30})
    wrapper.update_params(total(model(1e10, 0.0)))
    assert model.weight == 1, "the update is left out"
    assert wrapper.loss_scaler.get_scale() == pytest.approx(5e29)


def test_the_model_is_left_alone_once_the_wrappers_are_free() -> None:
    model = Terms()
    wrapper = guarded(model)
    assert len(model._forward_hooks) == 1
    wrapper.bind()
    gc.collect()
    assert not model._forward_hooks
