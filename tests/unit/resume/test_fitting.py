"""A checkpoint of another model or optimizer is refused before anything is trained."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl import checkpoint
from mm2pl.errors import CheckpointError
from mm2pl.resume.fitting import refuse_other_names, refuse_other_optimizer
from tests.unit.resume.changed_runs import go, said
from tests.unit.resume.resume_runs import SGD, Net, digest, epochs

AVERAGED = {"type": "EMAHook", "momentum": 0.1}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    go(folder, train_cfg=epochs(1))
    return folder / "iter_4.pth"


class OtherHead(Net):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 3)


class OtherNames(Net):
    def __init__(self) -> None:
        super().__init__()
        self.scores = self.head
        del self.head

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        raise AssertionError("nothing is to be trained")


class Sized(Net):
    """Takes weights of any size, as models do that resize the embeddings of positions."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(8, 3)
        self._register_load_state_dict_pre_hook(self.resize, with_module=True)  # torch 2.4's

    @staticmethod
    def resize(module: nn.Module, weights: dict[str, Any], *others: Any) -> None:
        weights["head.weight"] = weights["head.weight"].new_zeros(3, 8)
        weights["head.bias"] = weights["head.bias"].new_zeros(3)


@pytest.mark.parametrize("optimizer", [SGD, {"optimizer": {"type": "SGD", "lr": 0.05}}])
def test_another_head_is_refused_with_a_table_of_shapes(
    trained: Path, tmp_path: Path, optimizer: Any
) -> None:
    with pytest.raises(CheckpointError, match="of another model") as error:
        go(tmp_path, trained, model=OtherHead(), optim_wrapper=optimizer)
    assert "head.weight: (2, 8) in the checkpoint, (3, 8) in the model" in str(error.value)
    assert "head.bias: (2,) in the checkpoint, (3,) in the model" in str(error.value)


def test_weights_by_another_name_are_refused(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"scores\.weight: missing in the checkpoint"):
        go(tmp_path, trained, model=OtherNames())


def test_a_file_with_none_of_the_weights_is_refused(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "other.pth"
    others = {"state_dict": {"conv.weight": torch.zeros(3)}}
    checkpoint.write({**checkpoint.read(trained), **others}, str(path))
    with pytest.raises(CheckpointError, match="none of the model's weights"):
        go(tmp_path, path)


def test_a_model_that_changes_weights_as_it_loads_them_is_let_be(
    trained: Path, tmp_path: Path
) -> None:
    plain = {"optimizer": {"type": "SGD", "lr": 0.05}}
    _, runner = go(tmp_path, trained, model=Sized(), optim_wrapper=plain, train_cfg=epochs(1))
    assert runner.iter == 6


def test_mmengines_way_goes_on_with_new_weights(tmp_path: Path) -> None:
    plain = {"optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.05}}, "train_cfg": epochs(2)}
    go(tmp_path / "a", **plain)
    inexact = {**plain, "resume": {"exact": False}, "model": OtherHead()}
    steps, _ = go(tmp_path / "b", tmp_path / "a" / "iter_6.pth", **inexact)
    assert set(range(6, 12)) <= set(steps)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ({"type": "Adam"}, {"type": "Adam", "amsgrad": True}, "needs max_exp_avg_sq"),
        ({"type": "Adam"}, {"type": "Adamax"}, "needs exp_inf"),
        ({"type": "SGD", "momentum": 0.9}, {"type": "Rprop"}, "needs prev, step, step_size"),
        ({"type": "RMSprop"}, {"type": "RMSprop", "centered": True}, "needs grad_avg"),
    ],
)
def test_an_optimizer_that_needs_more_than_there_is_is_refused(
    old: dict[str, Any], new: dict[str, Any], message: str
) -> None:
    state = make(**old).state_dict()
    with pytest.raises(CheckpointError, match=message):
        refuse_other_optimizer("", make(**new), state)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"type": "Adam", "amsgrad": True}, {"type": "Adam"}),
        ({"type": "Adam"}, {"type": "AdamW"}),
        ({"type": "SGD"}, {"type": "SGD", "momentum": 0.9}),
        ({"type": "SGD", "momentum": 0.9}, {"type": "SGD"}),
        ({"type": "LBFGS"}, {"type": "LBFGS"}),
    ],
)
def test_an_optimizer_with_all_it_needs_is_not(old: dict[str, Any], new: dict[str, Any]) -> None:
    refuse_other_optimizer("", make(**new), make(**old).state_dict())


def test_other_groups_are_refused_with_their_numbers(trained: Path, tmp_path: Path) -> None:
    grouped = {**SGD, "paramwise_cfg": {"bias_lr_mult": 2.0}}
    with pytest.raises(CheckpointError, match="6 parameters in 6 groups, that of the checkpoint 6"):
        go(tmp_path, trained, optim_wrapper=grouped)


def test_as_many_parameters_grouped_otherwise_are_refused() -> None:
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(3)]
    old = torch.optim.SGD([{"params": weights[:1]}, {"params": weights[1:]}], lr=0.1)
    new = torch.optim.SGD([{"params": weights[:2]}, {"params": weights[2:]}], lr=0.1)
    with pytest.raises(CheckpointError, match="checkpoint as many, otherwise grouped"):
        refuse_other_optimizer("", new, old.state_dict())


@pytest.mark.parametrize(
    ("name", "states", "message"),
    [
        ("", {}, "no state of a single optimizer$"),
        ("", {"d": {"state": {}}, "g": {}}, "no state of a single optimizer; it has those of d, g"),
        ("g", {"d": {"state": {}}}, "no state of the optimizer g; it has those of d"),
        ("g", {"state": {}, "param_groups": [{}]}, "optimizer g; it has that of a single one"),
    ],
)
def test_other_optimizers_are_refused_by_their_names(
    name: str, states: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError) as error:
        refuse_other_names(name, states.get(name, {}) if name else states, states)
    assert re.search(message, error.value.message)


def test_without_the_average_the_weights_in_training_go_on(tmp_path: Path) -> None:
    train_cfg = epochs(2)
    go(tmp_path / "with", train_cfg=train_cfg, custom_hooks=[dict(AVERAGED)])
    start = tmp_path / "with" / "iter_8.pth"
    _, without = go(tmp_path / "without", start, train_cfg=train_cfg)
    _, averaged = go(tmp_path / "again", start, train_cfg=train_cfg, custom_hooks=[dict(AVERAGED)])
    assert digest(without.model.state_dict()) == digest(averaged.model.state_dict())


def test_it_is_told_that_the_average_is_left(tmp_path: Path) -> None:
    go(tmp_path, train_cfg=epochs(1), custom_hooks=[dict(AVERAGED)])
    _, runner = go(tmp_path / "b", tmp_path / "iter_4.pth", train_cfg=epochs(1), log_level="INFO")
    assert "the run goes on without it, from the weights in training" in said(runner)


def make(type: str, **options: Any) -> torch.optim.Optimizer:
    weight = nn.Parameter(torch.ones(2, 2))
    optimizer: torch.optim.Optimizer = getattr(torch.optim, type)([weight], lr=0.1, **options)
    (weight**2).sum().backward()
    optimizer.step(lambda: 1.0) if type == "LBFGS" else optimizer.step()  # type: ignore[func-returns-value]
    return optimizer
