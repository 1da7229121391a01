"""``compile`` of a config: one of the model's methods goes through ``torch.compile``."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from mm2pl.errors import ConfigRuntimeError, ConfigTypeError, nearest
from mm2pl.mmengine.registry.errors import add_note, used_at

_PATH = "compile"
_HINT = (
    "Hint: torch.compile's own backend needs a C++ compiler on a CPU and Triton on a GPU;"
    " compile=dict(backend='aot_eager') needs neither (and is no faster), compile=False runs the"
    " model as it is"
)


def compile_method(
    model: nn.Module, target: str, options: Mapping[str, Any], logger: logging.Logger
) -> None:
    """Put a compiled method in the place of a model's own.

    torch compiles when the method is first called, and again for inputs that differ in kind.

    Args:
        model: The model.
        target: The method's name.
        options: Arguments of ``torch.compile``.
        logger: Is told.

    Raises:
        ConfigError: There is no such backend (a ``RuntimeError`` too), or argument (a
            ``TypeError`` too).
    """
    try:
        compiled = torch.compile(getattr(model, target), **options)
    except TypeError as error:
        known = [name for name in inspect.signature(torch.compile).parameters if name != "model"]
        wrong = next((name for name in options if name not in known), None)
        raise ConfigTypeError(
            f"torch.compile: {error}",
            key_path=f"{_PATH}.{wrong}" if wrong else _PATH,
            choices=nearest(wrong, known) if wrong else (),
            hint="FlexibleRunner alone knows `target`" if wrong == "target" else None,
        ) from error
    except RuntimeError as error:
        known = torch.compiler.list_backends(exclude_tags=())
        backend = str(options.get("backend"))
        raise ConfigRuntimeError(
            f"torch.compile: {error}",
            key_path=_PATH,
            choices=nearest(backend, known),
            hint=f"backends are {', '.join(known)}",
        ) from error
    setattr(model, target, _explained(compiled))
    logger.info(
        'Model has been "compiled". The first few iterations will be slow, please be patient.'
    )
    backend = options.get("backend", "inductor")
    logger.info(
        f"compile: {type(model).__name__}.{target}, by {backend}, at its first call; parts that"
        " torch cannot compile run as they are"
    )


def _explained(compiled: Callable[..., Any]) -> Callable[..., Any]:
    """Return a compiled method whose failures to compile say what to do."""

    @functools.wraps(compiled)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return compiled(*args, **kwargs)
        except Exception as error:
            if isinstance(error, torch._dynamo.exc.TorchDynamoException):
                used_at(error, _PATH)
                add_note(error, _HINT)
            raise

    return call
