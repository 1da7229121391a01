"""``BaseModel``: modes, losses, steps, and the errors for models and batches that do not fit."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mm2pl.errors import ConfigTypeError, ModelError
from mm2pl.mmengine.model import BaseModel


class Net(BaseModel):
    def __init__(self, losses: Any = None) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.losses = losses

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = "tensor") -> Any:
        scores = self.fc(inputs)
        return self.losses(scores) if mode == "loss" else scores


class NoMode(BaseModel):
    def forward(self, inputs: Tensor) -> Tensor:  # type: ignore[override]
        return inputs


class Wrapper:
    updated = False

    def optim_context(self, model: nn.Module) -> Any:
        return contextlib.nullcontext()

    def update_params(self, loss: Tensor) -> None:
        self.updated = True


BATCH = dict(inputs=torch.ones(3, 2))


def test_losses_are_parsed_alike(both: Any) -> None:
    both.assert_same("parse_losses")


def test_steps_give_the_same_values_weights_and_errors(both: Any) -> None:
    both.assert_same("steps")


def test_data_preprocessor_is_built_alike(both: Any) -> None:
    both.assert_same("preprocessor_of_a_model")


def test_log_vars_stay_tensors() -> None:
    log_vars = Net(lambda x: dict(loss=x.sum(), acc=x.max())).train_step(BATCH, Wrapper())  # type: ignore[arg-type]
    assert all(isinstance(value, Tensor) for value in log_vars.values())


def test_logged_value_does_not_follow_the_parameter_it_was_read_from() -> None:
    scale = nn.Parameter(torch.tensor(3.0))
    _, log_vars = Net().parse_losses(dict(loss=scale))
    with torch.no_grad():
        scale.fill_(5)
    assert log_vars["loss"].item() == 3


def test_forward_without_mode_says_what_to_write() -> None:
    with pytest.raises(ModelError, match=r"NoMode\.forward.*does not take `mode`") as caught:
        NoMode().val_step(BATCH)
    assert 'mode="tensor"' in str(caught.value)


def test_forward_that_does_not_take_the_batch_names_both() -> None:
    with pytest.raises(ModelError, match=r"Net.forward.*cannot take the batch \(\['img'\]\)"):
        Net().val_step(dict(img=1))


def test_type_error_within_forward_is_left_alone() -> None:
    def fail(scores: Tensor) -> Any:
        raise TypeError("inside")

    with pytest.raises(TypeError, match=r"^inside$") as caught:
        Net(fail).train_step(BATCH, Wrapper())  # type: ignore[arg-type]
    assert not isinstance(caught.value, ModelError)


@pytest.mark.parametrize("batch", [None, torch.ones(3, 2), 3])
def test_batch_that_is_neither_dict_nor_sequence_is_refused(batch: Any) -> None:
    with pytest.raises(ModelError, match=f"Net got a batch of type {type(batch).__name__}"):
        Net().test_step(batch)


def test_losses_that_are_no_dict_are_refused() -> None:
    with pytest.raises(ModelError, match=r"must return a dict of losses, got Tensor"):
        Net(lambda x: x.sum()).train_step(BATCH, Wrapper())  # type: ignore[arg-type]


def test_losses_without_one_to_train_on_are_refused_before_any_update() -> None:
    wrapper = Wrapper()
    with pytest.raises(ModelError, match=r"no loss to train on, only \['acc'\]"):
        Net(lambda x: dict(acc=x.sum())).train_step(BATCH, wrapper)  # type: ignore[arg-type]
    assert not wrapper.updated


def test_wrong_data_preprocessor_names_the_key() -> None:
    class Bare(Net):
        def __init__(self) -> None:
            BaseModel.__init__(self, data_preprocessor=3)  # type: ignore[arg-type]

    with pytest.raises(ConfigTypeError, match=r"^data_preprocessor: "):
        Bare()


def test_model_without_forward_cannot_be_made() -> None:
    with pytest.raises(TypeError, match="forward"):
        BaseModel()  # type: ignore[abstract]


@pytest.mark.parametrize("wrap", [lambda m: m, lambda m: nn.Sequential(m)])
def test_data_preprocessor_follows_its_model(wrap: Any) -> None:
    model = Net()
    wrap(model).to("meta")
    assert model.data_preprocessor.device.type == "meta"


def test_set_device_moves_the_data_preprocessor_only() -> None:
    model = Net()
    model._set_device(torch.device("meta"))
    assert model.data_preprocessor.device.type == "meta"
    assert model.fc.weight.device.type == "cpu"


def test_state_dict_holds_nothing_of_the_data_preprocessor() -> None:
    assert list(Net().state_dict()) == ["fc.weight", "fc.bias"]
