"""Batching, unused parameters, merged dicts, and SyncBatchNorm to and fro."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.fx
from torch import nn

from mm2pl.errors import ConfigError, DataError, ModelError
from mm2pl.mmengine.model import (
    convert_sync_batchnorm,
    detect_anomalous_params,
    merge_dict,
    revert_sync_batchnorm,
    stack_batch,
    utils,
)


def test_batches_are_stacked_alike(both: Any) -> None:
    both.assert_same("stack_batch")


def test_batch_norms_are_converted_alike(both: Any) -> None:
    both.assert_same("sync_batchnorm")


def test_stacking_nothing_is_refused() -> None:
    with pytest.raises(DataError, match="empty list"):
        stack_batch([])


def test_unused_parameters_are_logged(logged: list[str]) -> None:
    model = nn.ModuleDict(dict(used=nn.Linear(1, 1), unused=nn.Linear(1, 1, bias=False)))
    detect_anomalous_params(model["used"](torch.ones(1, 1)).sum(), model)
    assert logged == [
        "unused.weight with shape torch.Size([1, 1]) is not in the computational graph \n"
    ]


def test_later_dicts_win() -> None:
    assert merge_dict(dict(a=1, b=1), dict(b=2)) == dict(a=1, b=2)


def test_merging_something_else_is_refused() -> None:
    with pytest.raises(ModelError, match="needs dicts, got list"):
        merge_dict({}, [])  # type: ignore[arg-type]


def test_merge_dict_is_one_node_of_a_traced_graph() -> None:
    class Merges(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            # torch.fx patches the name in the module that defines it.
            return utils.merge_dict(dict(a=x), dict(b=x))

    nodes = torch.fx.symbolic_trace(Merges()).graph.nodes
    assert [node.op for node in nodes] == ["placeholder", "call_function", "output"]


def test_converted_layers_share_parameters_with_the_old_ones() -> None:
    norm = nn.BatchNorm2d(2)
    assert convert_sync_batchnorm(norm).weight is norm.weight


def test_unknown_implementation_lists_the_choices() -> None:
    with pytest.raises(ConfigError, match="torch, mmcv"):
        convert_sync_batchnorm(nn.BatchNorm2d(2), "apex")


def test_container_that_refuses_add_module_is_reported(logged: list[str]) -> None:
    class Refuses(nn.Sequential):
        closed = False

        def add_module(self, name: str, module: nn.Module | None) -> None:
            if self.closed:
                raise RuntimeError("no")
            super().add_module(name, module)

    model = Refuses(nn.ReLU())
    model.closed = True
    revert_sync_batchnorm(model)
    assert logged == ["Failed to convert ReLU() from SyncBN to BN!"]
