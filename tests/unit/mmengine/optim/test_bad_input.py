"""Errors in wrappers and schedules: caught as MMEngine's are, with key path, choices and hint."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.mmengine.optim import OptimWrapper

SCRIPT = Path(__file__).with_name("bad_input.py")
NAMES = ("WRAPPERS", "SCHEDULES", "MOMENTUM", "OF_TWO")
CASES = {name.lower(): runpy.run_path(str(SCRIPT))[name] for name in NAMES}
EACH = [(group, name) for group, cases in CASES.items() for name in cases]
# MMEngine trips over these by accident.
BY_ACCIDENT = {"AttributeError"}


@pytest.mark.slow
@pytest.mark.parametrize(("group", "name"), EACH)
def test_an_error_can_be_caught_as_with_mmengine(
    ours: Any, theirs: Any, group: str, name: str
) -> None:
    their = theirs[group][name]
    assert their != "accepted"
    assert set(their["kinds"]) - BY_ACCIDENT <= set(ours[group][name]["kinds"])


@pytest.mark.slow
@pytest.mark.parametrize(("group", "name"), EACH)
def test_an_error_names_the_key_and_what_would_be_right(ours: Any, group: str, name: str) -> None:
    _, path, word = CASES[group][name]
    message = ours[group][name]["message"]
    assert message.startswith(f"{path}: ")
    assert word in message


# What MMEngine finds at the first update, or not at all.


def sgd() -> tuple[nn.Module, torch.optim.Optimizer]:
    net = nn.Linear(2, 1)
    return net, torch.optim.SGD(net.parameters(), lr=0.1)


def test_a_wrong_argument_of_clipping_is_found_when_the_wrapper_is_built() -> None:
    with pytest.raises(TypeError, match=r"clip_grad.max_nrm: .*\n?Did you mean: max_norm"):
        OptimWrapper(sgd()[1], clip_grad={"max_nrm": 1.0})


@pytest.mark.parametrize(
    "clip", [{"max_norm": 1.0, "norm_type": 2}, {"type": "value", "clip_value": 1}]
)
def test_right_arguments_of_clipping_are_taken(clip: dict[str, Any]) -> None:
    net, optimizer = sgd()
    OptimWrapper(optimizer, clip_grad=clip).update_params(net(torch.ones(1, 2)).sum())


FRACTION = """
import json, torch
from torch import nn
from mmengine.optim import OptimWrapper
torch.manual_seed(0)
net = nn.Linear(2, 1)
wrapper = OptimWrapper(torch.optim.SGD(net.parameters(), lr=0.1), accumulative_counts=2.5)
wrapper.initialize_count_status(net, 0, 11)
seen = []
for step in range(11):
    wrapper.update_params(net(torch.full((1, 2), float(step))).sum())
    seen.append([wrapper.should_update(), [float(p.sum()).hex() for p in net.parameters()]])
print(json.dumps(seen))
"""


@pytest.mark.slow
def test_a_count_that_is_no_whole_number_runs_as_with_mmengine(
    run_ours: Any, reference: Any
) -> None:
    mine, printed = run_ours("-c", "import mm2pl; mm2pl.install_as_mmengine()\n" + FRACTION)
    assert mine == reference.run(FRACTION)
    assert "accumulative_counts=2.5 is no whole number" in printed
