"""What the wrappers do beyond, or differently from, MMEngine's."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.errors import ConfigError
from mm2pl.mmengine.logging import MessageHub
from mm2pl.mmengine.optim import AmpOptimWrapper, OptimWrapper, OptimWrapperDict, StepLR
from mm2pl.mmengine.registry import OPTIM_WRAPPERS


def _linear() -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.ones_(layer.weight)
    return layer


def _wrap(layer: nn.Linear, kind: type[OptimWrapper] = OptimWrapper, **kwargs: Any) -> OptimWrapper:
    return kind(optimizer=torch.optim.SGD(layer.parameters(), lr=0.5), **kwargs)


class Recorder:
    """A trainer's backward and step, which pass on to torch's and to the optimizer's."""

    def __init__(self, wrapper: OptimWrapper) -> None:
        self.calls: list[str] = []
        self.wrapper = wrapper
        wrapper.bind(self.backward, self.step)

    def backward(self, loss: torch.Tensor, **kwargs: Any) -> None:
        self.calls.append(f"backward {loss.item():g} {kwargs}")
        loss.backward(**kwargs)

    def step(self, **kwargs: Any) -> None:
        params = self.wrapper.optimizer.param_groups[0]["params"]
        self.calls.append(f"step {params[0].grad.item():g} {kwargs}")
        self.wrapper.optimizer.step(**kwargs)


def test_wrapper_trains_without_any_trainer() -> None:
    layer = _linear()
    _wrap(layer).update_params(layer(torch.ones(1, 1)).sum())
    assert layer.weight.item() == 0.5
    assert layer.weight.grad is None


def test_bound_calls_get_the_scaled_loss_and_the_clipped_gradient() -> None:
    layer = _linear()
    wrapper = _wrap(
        layer, accumulative_counts=2, clip_grad={"max_norm": 0.25, "error_if_nonfinite": True}
    )
    recorder = Recorder(wrapper)
    for _ in range(2):
        wrapper.update_params(layer(torch.ones(1, 1)).sum())
    assert recorder.calls == ["backward 0.5 {}", "backward 0.5 {}", "step 0.25 {}"]


def test_unbinding_gives_torchs_back() -> None:
    layer = _linear()
    wrapper = _wrap(layer)
    recorder = Recorder(wrapper)
    wrapper.bind()
    wrapper.update_params(layer(torch.ones(1, 1)).sum())
    assert recorder.calls == []
    assert layer.weight.item() == 0.5


def test_amp_scales_before_and_unscales_after_the_bound_backward() -> None:
    layer = _linear()
    wrapper = _wrap(layer, AmpOptimWrapper, loss_scale=8, clip_grad={"max_norm": 0.25})
    recorder = Recorder(wrapper)
    wrapper.update_params(layer(torch.ones(1, 1)).sum())
    assert recorder.calls == ["backward 8 {}", "step 0.25 {}"]


def test_amp_skips_the_bound_step_on_overflow() -> None:
    layer = _linear()
    wrapper = _wrap(layer, AmpOptimWrapper)
    recorder = Recorder(wrapper)
    wrapper.update_params(layer(torch.ones(1, 1)).sum() * float("inf"))
    assert recorder.calls == ["backward inf {}"]
    assert layer.weight.item() == 1
    assert "step" not in wrapper.optimizer.__dict__


def test_amp_leaves_a_schedulers_counter_on_the_optimizer() -> None:
    layer = _linear()
    wrapper = _wrap(layer, AmpOptimWrapper)
    StepLR(wrapper.optimizer, step_size=1)
    counting = wrapper.optimizer.step
    Recorder(wrapper)
    wrapper.update_params(layer(torch.ones(1, 1)).sum())
    assert wrapper.optimizer.step is counting
    assert wrapper.optimizer._global_step == 0  # type: ignore[attr-defined]


def test_amp_steps_a_fused_optimizer_through_the_bound_step() -> None:
    layers = [_linear(), _linear()]
    for layer, bound in zip(layers, (False, True), strict=True):
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.5, fused=True)
        wrapper = AmpOptimWrapper(optimizer=optimizer, loss_scale=4.0)
        recorder = Recorder(wrapper)
        if not bound:
            wrapper.bind()
        wrapper.update_params(layer(torch.ones(1, 1)).sum())
        assert len(recorder.calls) == 2 * bound
    assert layers[0].weight.item() == layers[1].weight.item() == 0.5


def test_amp_honours_an_unscaling_by_hand() -> None:
    layer = _linear()
    wrapper = _wrap(layer, AmpOptimWrapper, loss_scale=8.0)
    recorder = Recorder(wrapper)
    wrapper.backward(layer(torch.ones(1, 1)).sum())
    wrapper.loss_scaler.unscale_(wrapper.optimizer)  # type: ignore[attr-defined]
    wrapper.step()
    assert recorder.calls[-1] == "step 1 {}"


@pytest.mark.parametrize(("dtype", "seen"), [(None, torch.bfloat16), ("bfloat16", torch.bfloat16)])
def test_amp_casts_on_a_cpu(dtype: str | None, seen: torch.dtype) -> None:
    layer = _linear()
    with _wrap(layer, AmpOptimWrapper, dtype=dtype).optim_context(layer):
        assert layer(torch.ones(1, 1)).dtype is seen


AMP_MODULE = "mm2pl.mmengine.optim.optimizer.amp_optimizer_wrapper"


@pytest.mark.proves("optim_wrapper.use_fsdp", "OPTIM_WRAPPERS.AmpOptimWrapper.use_fsdp")
@pytest.mark.parametrize(("use_fsdp", "name"), [(True, "ShardedGradScaler"), (False, "GradScaler")])
def test_amp_scales_by_the_scaler_that_fsdp_needs_if_asked(
    use_fsdp: bool, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{AMP_MODULE}.is_distributed", lambda: True)
    wrapper = _wrap(_linear(), AmpOptimWrapper, use_fsdp=use_fsdp)
    assert type(wrapper.loss_scaler).__name__ == name  # type: ignore[attr-defined]


def test_amp_for_sharded_models_updates_in_a_process_that_is_alone_too() -> None:
    layer = _linear()
    before = layer.weight.detach().clone()
    wrapper = _wrap(layer, AmpOptimWrapper, use_fsdp=True)
    with wrapper.optim_context(layer):
        loss = layer(torch.ones(1, 1)).sum()
    wrapper.update_params(loss)
    assert not torch.equal(layer.weight, before)


def test_amp_state_goes_round() -> None:
    layer = _linear()
    wrapper = _wrap(layer, AmpOptimWrapper, loss_scale={"init_scale": 32.0})
    wrapper.update_params(layer(torch.ones(1, 1)).sum() * float("inf"))
    state = wrapper.state_dict()
    other = _wrap(_linear(), AmpOptimWrapper)
    other.load_state_dict(state)
    assert other.state_dict() == state
    assert state["loss_scaler"]["scale"] == 16.0


def test_loading_leaves_the_state_as_it_was() -> None:
    layers = [_linear(), _linear()]
    groups = [{"params": layer.parameters()} for layer in layers]
    wrapper = OptimWrapper(torch.optim.SGD(groups, lr=0.1))
    state = wrapper.state_dict()
    wrapper.load_state_dict(state)
    assert "base_param_settings" in state


def test_loading_restores_the_base_rate() -> None:
    def make() -> OptimWrapper:
        groups = [{"params": _linear().parameters()} for _ in range(2)]
        return OptimWrapper(torch.optim.SGD(groups, lr=0.1))

    wrapper, other = make(), make()
    wrapper.param_groups[-1]["lr"] = 0.7
    other.load_state_dict(wrapper.state_dict())
    assert other.get_lr()["base_lr"] == [0.7]


class _Syncing(nn.Module):
    """Has DDP's no_sync."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def no_sync(self) -> AbstractContextManager[None]:
        self.asked += 1
        return nullcontext()


@pytest.mark.parametrize("kind", [OptimWrapper, AmpOptimWrapper])
def test_gradients_are_synced_only_at_the_end_of_a_window(kind: type[OptimWrapper]) -> None:
    layer, model = _linear(), _Syncing()
    wrapper = _wrap(layer, kind, accumulative_counts=3)
    asked = []
    for _ in range(6):
        with wrapper.optim_context(model):
            loss = layer(torch.ones(1, 1)).sum()
        wrapper.update_params(loss)
        asked.append(model.asked)
    assert asked == [1, 2, 2, 3, 4, 4]


def test_a_loss_that_needs_no_scaling_is_passed_on_as_it_is() -> None:
    loss = torch.ones((), requires_grad=True)
    assert _wrap(_linear()).scale_loss(loss) is loss


def test_going_on_past_the_end_of_an_exact_window_is_refused() -> None:
    layer = _linear()
    wrapper = _wrap(layer, accumulative_counts=2)
    wrapper.initialize_count_status(layer, 4, 4)
    with pytest.raises(ConfigError, match="backward pass 5 of 4"):
        wrapper.scale_loss(torch.ones(()))


@pytest.mark.parametrize(
    ("model", "start", "expected"),
    [
        (nn.Linear(1, 1), 0, []),
        (nn.Linear(1, 1), 1, ["inside a window of 2"]),
        (nn.Sequential(nn.BatchNorm1d(1)), 0, ["BatchNorm"]),
    ],
)
def test_what_accumulation_may_cost_is_said(
    monkeypatch: pytest.MonkeyPatch, model: nn.Module, start: int, expected: list[str]
) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        "mm2pl.mmengine.optim.optimizer.optimizer_wrapper.print_log",
        lambda message, logger, level: said.append(message),
    )
    _wrap(_linear(), accumulative_counts=2).initialize_count_status(model, start, 10)
    assert [part in message for part, message in zip(expected, said, strict=True)] == [
        True for _ in expected
    ]


def test_clipping_leaves_the_callers_dict_alone() -> None:
    clip_grad = {"type": "norm", "max_norm": 1.0}
    _wrap(_linear(), clip_grad=clip_grad)
    assert clip_grad == {"type": "norm", "max_norm": 1.0}


def test_grad_norm_is_logged() -> None:
    layer = _linear()
    wrapper = _wrap(layer, clip_grad={"max_norm": 0.1})
    wrapper.update_params(3 * layer(torch.ones(1, 1)).sum())
    history = MessageHub.get_current_instance().get_scalar("train/grad_norm")
    assert history.data[0].tolist() == [3.0]


def test_nothing_is_logged_when_no_parameter_has_a_gradient() -> None:
    wrapper = _wrap(_linear(), clip_grad={"max_norm": 0.1})
    wrapper.step()
    assert "train/grad_norm" not in MessageHub.get_current_instance().log_scalars


def test_zero_grad_of_a_dict_reaches_all_with_its_arguments() -> None:
    layers = {"a": _linear(), "b": _linear()}
    wrappers = OptimWrapperDict(**{name: _wrap(layer) for name, layer in layers.items()})
    for layer in layers.values():
        layer(torch.ones(1, 1)).sum().backward()
    wrappers.zero_grad(set_to_none=False)
    assert [layer.weight.grad.item() for layer in layers.values()] == [0, 0]  # type: ignore[union-attr]


def test_a_dict_is_read_like_a_mapping() -> None:
    wrappers = {"a": _wrap(_linear()), "b": _wrap(_linear())}
    both = OptimWrapperDict(**wrappers)
    assert dict(both.items()) == wrappers
    assert list(both.values()) == list(wrappers.values())
    assert "a" in both
    assert "c" not in both


def test_a_wrong_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="Did you mean: generator"):
        OptimWrapperDict(generator=_wrap(_linear()))["genrator"]


@pytest.mark.parametrize("name", ["OptimWrapper", "AmpOptimWrapper"])
def test_wrapper_is_built_from_a_config(name: str) -> None:
    optimizer = torch.optim.SGD(_linear().parameters(), lr=0.1)
    wrapper = OPTIM_WRAPPERS.build({"type": name, "optimizer": optimizer})
    assert type(wrapper).__name__ == name
