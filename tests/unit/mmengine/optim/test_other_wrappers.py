"""Wrappers that MMEngine has for apex and DeepSpeed, and the sharded optimizer, without those."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import nn
from torch.amp import GradScaler

from mm2pl.errors import ConfigError, ConfigTypeError
from mm2pl.mmengine.logging import MessageHub, MMLogger
from mm2pl.mmengine.optim import (
    AmpOptimWrapper,
    ApexOptimWrapper,
    OptimWrapper,
    ZeroRedundancyOptimizer,
    build_optim_wrapper,
)
from mm2pl.mmengine.optim.optimizer._deepspeed import DeepSpeedOptimWrapper
from mm2pl.plan import Status
from mm2pl.support import counterpart


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch) -> list[logging.LogRecord]:
    """Collect what is logged, with singletons of this test's own."""
    for kind in (MessageHub, MMLogger):
        monkeypatch.setattr(kind, "_instance_dict", type(kind._instance_dict)())
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    MMLogger.get_current_instance().addHandler(handler)
    return records


def warnings_in(records: list[logging.LogRecord]) -> list[str]:
    return [one.getMessage() for one in records if one.levelno == logging.WARNING]


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))


def sgd(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)


def trained(kind: Any, steps: int = 5, **options: Any) -> tuple[list[torch.Tensor], Any]:
    """Train a small model; return its weights and the wrapper."""
    net = model()
    wrapper = kind(optimizer=sgd(net), **options)
    torch.manual_seed(1)
    for _ in range(steps):
        batch, target = torch.randn(6, 4), torch.randn(6, 2)
        with wrapper.optim_context(net):
            loss = nn.functional.mse_loss(net(batch), target)
        wrapper.update_params(loss)
    return [one.detach().clone() for one in net.parameters()], wrapper


def equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


# ------------------------------------------------------------ apex


@pytest.mark.proves(
    "OPTIM_WRAPPERS.ApexOptimWrapper",
    "OPTIM_WRAPPERS.ApexOptimWrapper.{optimizer,accumulative_counts,clip_grad}",
)
def test_apex_at_its_default_level_is_autocast() -> None:
    options: dict[str, Any] = {"accumulative_counts": 2, "clip_grad": {"max_norm": 0.1}}
    apex, wrapper = trained(ApexOptimWrapper, **options)
    assert isinstance(wrapper, OptimWrapper)
    assert equal(apex, trained(AmpOptimWrapper, **options)[0])
    assert not equal(apex, trained(OptimWrapper, **options)[0])


@pytest.mark.proves("OPTIM_WRAPPERS.ApexOptimWrapper.{opt_level,enabled}")
@pytest.mark.parametrize("options", [{"opt_level": "O0"}, {"enabled": False}])
def test_apex_without_mixed_precision_is_float32(options: dict[str, Any]) -> None:
    apex, wrapper = trained(ApexOptimWrapper, **options)
    assert equal(apex, trained(OptimWrapper)[0])
    assert "loss_scaler" not in wrapper.state_dict()


@pytest.mark.parametrize("level", ["O2", "O3"])
def test_levels_with_float16_weights_are_autocast_with_a_warning(
    level: str, lines: list[logging.LogRecord]
) -> None:
    options = {"opt_level": level, "loss_scale": "dynamic"}
    assert equal(trained(ApexOptimWrapper, **options)[0], trained(AmpOptimWrapper)[0])
    (warning,) = warnings_in(lines)
    assert f"opt_level='{level}' (float16" in warning
    assert "approximated as 'O1'" in warning


@pytest.mark.proves("OPTIM_WRAPPERS.ApexOptimWrapper.{loss_scale,max_loss_scale}")
@pytest.mark.parametrize(
    ("options", "scale"),
    [
        ({}, 2.0**16),
        ({"loss_scale": 64}, 64.0),
        ({"loss_scale": "128.0"}, 128.0),
        ({"loss_scale": None}, 2.0**16),
        ({"loss_scale": None, "opt_level": "O3"}, 1.0),
        ({"max_loss_scale": 32.0}, 32.0),
        ({"max_loss_scale": None}, 2.0**16),
    ],
)
def test_the_loss_scale_is_what_apex_makes_of_it(options: dict[str, Any], scale: float) -> None:
    _, wrapper = trained(ApexOptimWrapper, steps=1, **options)
    assert wrapper.loss_scaler.get_scale() == scale


@pytest.mark.proves("OPTIM_WRAPPERS.ApexOptimWrapper.min_loss_scale")
def test_a_dynamic_scale_stays_in_its_limits() -> None:
    net = model()
    wrapper = ApexOptimWrapper(optimizer=sgd(net), min_loss_scale=2.0**15, max_loss_scale=2.0**16)
    scales = []
    for _ in range(3):  # each overflows, so the scale is halved
        wrapper.update_params(net(torch.randn(2, 4)).sum() * float("inf"))
        scales.append(wrapper.loss_scaler.get_scale())
    assert scales == [2.0**15] * 3
    wrapper.loss_scaler.load_state_dict(
        {**wrapper.loss_scaler.state_dict(), "scale": 2.0**16, "_growth_tracker": 1999}
    )
    wrapper.update_params(net(torch.randn(2, 4)).sum())  # would double it
    assert wrapper.loss_scaler.get_scale() == 2.0**16


@pytest.mark.proves(
    "OPTIM_WRAPPERS.ApexOptimWrapper.{cast_model_type,patch_torch_functions,keep_batchnorm_fp32}",
    "OPTIM_WRAPPERS.ApexOptimWrapper.{master_weights,cast_model_outputs,num_losses,verbosity}",
)
def test_options_without_a_counterpart_are_named_in_warnings(
    lines: list[logging.LogRecord],
) -> None:
    net = model()
    unmet = {
        "cast_model_type": torch.float16,
        "patch_torch_functions": False,
        "keep_batchnorm_fp32": "False",
        "master_weights": False,
        "cast_model_outputs": torch.float16,
        "num_losses": 2,
    }
    wrapper = ApexOptimWrapper(optimizer=sgd(net), verbosity=0, **unmet)
    warned = warnings_in(lines)
    assert [one.split("=")[0].rpartition(" ")[2] for one in warned] == list(unmet)
    assert {name: getattr(wrapper, name) for name in unmet} == unmet


def test_options_that_autocast_meets_are_taken_without_a_warning(
    lines: list[logging.LogRecord],
) -> None:
    options: dict[str, Any] = {"keep_batchnorm_fp32": "True", "master_weights": True}
    ApexOptimWrapper(optimizer=sgd(model()), patch_torch_functions=True, **options)
    assert warnings_in(lines) == []
    assert "apex is not used" in lines[0].getMessage()


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"opt_level": "o1"}, ConfigError, "opt_level: .*one of O0, O1, O2, O3"),
        ({"loss_scale": "much"}, ConfigTypeError, "loss_scale: .*'much'"),
        ({"loss_scale": True}, ConfigTypeError, "loss_scale"),
        ({"loss_scale": {"init_scale": 1.0}}, ConfigTypeError, "loss_scale"),
    ],
)
def test_wrong_options_of_apex_are_refused(options: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        ApexOptimWrapper(optimizer=sgd(model()), **options)


def test_apexs_state_of_an_old_checkpoint_is_taken_up(lines: list[logging.LogRecord]) -> None:
    net = model()
    saved = sgd(net).state_dict()
    saved["apex_amp"] = {"loss_scaler0": {"loss_scale": 512.0, "unskipped": 7}}
    wrapper = ApexOptimWrapper(optimizer=sgd(net))
    wrapper.load_state_dict(saved)
    assert "apex_amp" in saved, "the caller's dict is left as it was"
    state = wrapper.loss_scaler.state_dict()
    assert (state["scale"], state["_growth_tracker"]) == (512.0, 7)
    assert "took up loss scale 512" in lines[-1].getMessage()


@pytest.mark.parametrize(
    ("options", "apex_state"),
    [
        ({"loss_scale": 4.0}, {"loss_scaler0": {"loss_scale": 512.0, "unskipped": 7}}),
        ({"enabled": False}, {"loss_scaler0": {"loss_scale": 512.0, "unskipped": 7}}),
        ({}, {}),
        ({}, None),
    ],
)
def test_apexs_state_that_cannot_be_used_is_left_with_a_word(
    options: Any, apex_state: Any, lines: list[logging.LogRecord]
) -> None:
    net = model()
    wrapper = ApexOptimWrapper(optimizer=sgd(net), **options)
    before = wrapper.loss_scaler.state_dict()
    wrapper.load_state_dict({**sgd(net).state_dict(), "apex_amp": apex_state or {}})
    assert wrapper.loss_scaler.state_dict() == before
    assert "the scale stays" in lines[-1].getMessage()


@pytest.mark.parametrize("options", [{}, {"enabled": False}, {"loss_scale": 8.0}])
def test_apexs_own_state_comes_back_and_can_be_read_by_the_amp_wrapper(options: Any) -> None:
    _, wrapper = trained(ApexOptimWrapper, **options)
    state = wrapper.state_dict()
    net = model()
    for kind, given in ((ApexOptimWrapper, options), (AmpOptimWrapper, {})):
        again = kind(optimizer=sgd(net), **given)
        again.load_state_dict(state)
        scaler = again.state_dict().get("loss_scaler", {})
        assert scaler == state.get("loss_scaler", scaler)


# ------------------------------------------------------------ mixed precision


@pytest.mark.proves("optim_wrapper.use_fsdp", "OPTIM_WRAPPERS.{Amp,Apex}OptimWrapper.use_fsdp")
def test_the_scaler_of_sharded_models_is_torchs_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed.fsdp import sharded_grad_scaler

    made: list[Any] = []

    class Scaler(GradScaler):  # the real one needs a process group
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            made.append((args, kwargs))
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(sharded_grad_scaler, "ShardedGradScaler", Scaler)
    amp = "mm2pl.mmengine.optim.optimizer.amp_optimizer_wrapper"
    monkeypatch.setattr(f"{amp}.is_distributed", lambda: True)
    wrapper = AmpOptimWrapper(optimizer=sgd(model()), use_fsdp=True, loss_scale=4.0)
    assert isinstance(wrapper.loss_scaler, Scaler)
    assert made[0][1] == {"init_scale": 4.0}


# ------------------------------------------------------------------------------------- DeepSpeed


class Engine:
    """Stands for DeepSpeed's engine."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def backward(self, loss: torch.Tensor) -> None:
        self.calls.append("backward")

    def step(self) -> None:
        self.calls.append("step")


@pytest.mark.proves(
    "OPTIM_WRAPPERS.DeepSpeedOptimWrapper",
    "OPTIM_WRAPPERS.DeepSpeedOptimWrapper.{optimizer,accumulative_counts,clip_grad}",
)
def test_deepspeeds_wrapper_without_an_engine_is_a_plain_one_with_one_warning(
    lines: list[logging.LogRecord],
) -> None:
    options: dict[str, Any] = {"accumulative_counts": 2, "clip_grad": {"max_norm": 0.1}}
    weights, wrapper = trained(DeepSpeedOptimWrapper, **options)
    assert equal(weights, trained(OptimWrapper, **options)[0])
    (warning,) = warnings_in(lines)
    assert "no DeepSpeed engine" in warning
    with pytest.raises(ValueError, match="engine"):
        _ = wrapper.model
    again = DeepSpeedOptimWrapper(sgd(model()))
    again.load_state_dict(wrapper.state_dict())
    assert str(again.state_dict()) == str(wrapper.state_dict())


def test_deepspeeds_wrapper_hands_all_to_an_engine(lines: list[logging.LogRecord]) -> None:
    net = model()
    groups = [{"params": [one]} for one in net.parameters()]
    wrapper = DeepSpeedOptimWrapper(torch.optim.SGD(groups, lr=0.1))
    engine = wrapper.model = Engine()
    wrapper.update_params(net(torch.ones(1, 4)).sum())
    assert (wrapper.model, engine.calls) == (engine, ["backward", "step"])
    with pytest.raises(NotImplementedError):
        wrapper.zero_grad()
    assert list(wrapper.state_dict()) == ["base_param_settings"]
    wrapper.load_state_dict({"base_param_settings": {"lr": 3.0}})
    assert wrapper.base_param_settings == {"lr": 3.0}
    assert warnings_in(lines) == []


# ------------------------------------------------------------ the sharded optimizer


@pytest.mark.proves("OPTIMIZERS.ZeroRedundancyOptimizer.{optimizer_type,**kwargs}")
def test_in_one_process_the_sharded_optimizer_is_the_plain_one(
    lines: list[logging.LogRecord],
) -> None:
    inner = {"lr": 0.1, "weight_decay": 0.1}
    sharded = {"type": "ZeroRedundancyOptimizer", "optimizer_type": "AdamW", **inner}
    paramwise = {"bias_lr_mult": 2.0}
    nets = [model(), model()]
    for net, optimizer in zip(nets, (sharded, {"type": "AdamW", **inner}), strict=True):
        cfg = {"optimizer": optimizer, "paramwise_cfg": paramwise}
        wrapper = build_optim_wrapper(net, cfg)
        assert type(wrapper.optimizer) is torch.optim.AdamW
        for step in range(3):
            torch.manual_seed(step)
            wrapper.update_params(net(torch.randn(3, 4)).square().sum())
    assert equal(*(list(net.parameters()) for net in nets))
    told = [one.getMessage() for one in lines if "alone" in one.getMessage()]
    assert told == [
        "ZeroRedundancyOptimizer: this process is alone, so the optimizer is a plain AdamW"
    ]


@pytest.mark.proves(
    "OPTIMIZERS.ZeroRedundancyOptimizer.{process_group,parameters_as_bucket_view,overlap_with_ddp}"
)
def test_options_of_the_sharing_are_no_arguments_of_the_plain_optimizer() -> None:
    made = ZeroRedundancyOptimizer(
        model().parameters(),
        "SGD",
        process_group=None,
        parameters_as_bucket_view=True,
        overlap_with_ddp=False,
        lr=0.3,
    )
    assert (type(made), made.defaults["lr"]) == (torch.optim.SGD, 0.3)


def test_the_optimizer_within_may_be_a_class() -> None:
    made = ZeroRedundancyOptimizer(model().parameters(), torch.optim.Adam, lr=0.3)  # type: ignore[arg-type]
    assert type(made) is torch.optim.Adam


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ("Adm", AttributeError, "optimizer.optimizer_type: .*\n?.*Did you mean: Adam"),
        ("lr_scheduler", ConfigError, "torch.optim has no 'lr_scheduler'"),
        (3, TypeError, "optimizer.optimizer_type: must be the name"),
    ],
)
def test_an_unknown_optimizer_within_is_refused(given: Any, kind: Any, message: str) -> None:
    cfg = {"optimizer": {"type": "ZeroRedundancyOptimizer", "optimizer_type": given, "lr": 1}}
    with pytest.raises(kind, match=message) as caught:
        build_optim_wrapper(model(), cfg)
    assert isinstance(caught.value, ConfigError)


# ------------------------------------------------------------ the marks


def test_each_carries_what_it_becomes() -> None:
    marks = {
        kind.__name__: counterpart(kind)
        for kind in (ApexOptimWrapper, DeepSpeedOptimWrapper, ZeroRedundancyOptimizer)
    }
    statuses = [mark.status for mark in marks.values() if mark is not None]
    assert statuses == [Status.APPROXIMATED, Status.APPROXIMATED, Status.TRANSLATED]
    assert counterpart(type("Mine", (ApexOptimWrapper,), {})) is None
    assert counterpart(AmpOptimWrapper) is None
