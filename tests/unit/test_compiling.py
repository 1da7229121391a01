"""``compile``: what is compiled is said, and so is what to do where it cannot be."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.compiling import compile_method
from mm2pl.errors import ConfigError
from mm2pl.mmengine.registry.errors import trail_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2))

    def train_step(self, data: torch.Tensor) -> torch.Tensor:
        if data.numel() == 3:
            raise ArithmeticError("the model's own")
        return (self.weight * data).sum()


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    yield
    torch.compiler.reset()


def made(logger: logging.Logger | None = None, **options: Any) -> Line:
    model = Line()
    compile_method(model, "train_step", options, logger or logging.getLogger("quiet"))
    return model


def test_what_is_compiled_and_by_what_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    model = made(logging.getLogger("told"), backend="eager")
    assert model.train_step(torch.ones(2)) == 2
    first, second = caplog.messages
    assert first.startswith('Model has been "compiled"')
    assert second.startswith("compile: Line.train_step, by eager, at its first call")


def test_an_unknown_backend_is_refused_with_the_nearest() -> None:
    with pytest.raises(RuntimeError, match=r"compile: torch\.compile: ") as caught:
        made(backend="inducto")
    assert isinstance(caught.value, ConfigError)
    assert caught.value.choices[0] == "inductor"


@pytest.mark.parametrize(("name", "hint"), [("target", "FlexibleRunner"), ("bakend", "None")])
def test_an_unknown_argument_is_refused(name: str, hint: str) -> None:
    with pytest.raises(TypeError, match=name) as caught:
        made(**{name: "forward"})
    assert isinstance(caught.value, ConfigError)
    assert hint in str(caught.value.hint)
    assert caught.value.key_path == f"compile.{name}"


def test_a_misspelt_argument_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        made(bakend="eager")
    assert caught.value.choices[0] == "backend"


def test_a_failure_to_compile_says_which_key_it_is_and_what_to_do() -> None:
    def broken(graph: Any, inputs: Any) -> Any:
        raise OSError("no compiler here")

    model = made(backend=broken)
    with pytest.raises(RuntimeError, match="no compiler here") as caught:
        model.train_step(torch.ones(2))
    trail = trail_of(caught.value)
    assert trail is not None
    assert (trail.path, trail.is_running) == ("compile", True)
    (note,) = [one for one in caught.value.__notes__ if one.startswith("Hint")]
    assert "needs a C++ compiler" in note
    assert "backend='aot_eager'" in note


def test_an_error_of_the_model_is_its_own() -> None:
    model = made(backend="eager")
    with pytest.raises(ArithmeticError, match="the model's own") as caught:
        model.train_step(torch.ones(3))
    assert trail_of(caught.value) is None
