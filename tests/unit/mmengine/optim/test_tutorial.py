"""Wrappers built by hand, outside any Trainer, do as MMEngine's, bit by bit."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from mm2pl.mmengine.optim import AmpOptimWrapper

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("tutorial.py")
TUTORIAL = runpy.run_path(str(SCRIPT))
NAMES = [snippet.__name__ for snippet in TUTORIAL["SNIPPETS"]]


@pytest.mark.parametrize("name", NAMES)
def test_a_snippet_does_as_with_mmengine(ours: Any, theirs: Any, name: str) -> None:
    assert ours[name] == theirs[name]


def test_a_wrapper_does_as_torch_alone(ours: Any) -> None:
    assert ours["by_torch"] == ours["updated"] == ours["step_by_step"]


def test_options_change_the_weights(ours: Any) -> None:
    told = [str(ours[name]) for name in NAMES if name not in ("updated", "step_by_step")]
    assert len(set(told)) == len(told)


@pytest.mark.parametrize("options", [{}, {"dtype": "bfloat16"}, {"dtype": torch.bfloat16}])
def test_mixed_precision_on_a_cpu_is_torchs_autocast_and_scaler(options: dict[str, Any]) -> None:
    """MMEngine's wrapper refuses a CPU, so torch alone is what to be equal to."""
    wrapped, plain = TUTORIAL["net"](), TUTORIAL["net"]()
    wrapper = AmpOptimWrapper(optimizer=torch.optim.SGD(wrapped.parameters(), lr=0.1), **options)
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1)
    scaler = torch.amp.GradScaler("cpu")
    for inputs, target in TUTORIAL["batches"]():
        with wrapper.optim_context(wrapped):
            out = wrapped(inputs)
            loss = functional.cross_entropy(out, target)
        assert out.dtype is torch.bfloat16
        wrapper.update_params(loss)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = functional.cross_entropy(plain(inputs), target)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
    assert TUTORIAL["weights"](wrapped) == TUTORIAL["weights"](plain)
    assert all(
        torch.equal(*both) for both in zip(wrapped.parameters(), plain.parameters(), strict=True)
    )
