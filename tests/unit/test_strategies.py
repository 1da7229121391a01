"""What Lightning is told of processes that another launcher has started."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from torch import nn

from mm2pl.strategies import LaunchedEnvironment, WrappedModelStrategy


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID", "GROUP_RANK"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("variable", ["LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "SLURM_LOCALID"])
def test_the_local_rank_is_the_launchers(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "3")
    assert LaunchedEnvironment().local_rank() == 3


def test_the_machine_is_the_launchers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUP_RANK", "2")
    assert LaunchedEnvironment().node_rank() == 2


def test_nothing_is_launched_once_more() -> None:
    assert LaunchedEnvironment().creates_processes_externally


def test_without_a_group_there_is_one_process() -> None:
    strategy = WrappedModelStrategy()
    assert (strategy.world_size, strategy.global_rank, strategy.is_global_zero) == (1, 0, True)
    assert strategy.distributed_sampler_kwargs == {"num_replicas": 1, "rank": 0}


def test_gradients_accumulate_by_the_wrappers_no_sync() -> None:
    entered = []

    class Wrapper(nn.Module):
        @contextmanager
        def no_sync(self) -> Iterator[None]:
            entered.append("in")
            yield
            entered.append("out")

    strategy = WrappedModelStrategy()
    strategy._lightning_module = nn.Module()  # type: ignore[assignment]
    strategy._lightning_module.model = Wrapper()  # type: ignore[union-attr]
    with strategy.block_backward_sync():
        assert entered == ["in"]
    assert entered == ["in", "out"]


def test_ddps_error_about_unused_parameters_names_the_configs_key() -> None:
    error = RuntimeError("Expected to have finished reduction in the prior iteration before ...")
    WrappedModelStrategy().on_exception(error)
    assert "Hint: set find_unused_parameters=True in the config" in str(error)


def test_other_errors_stay_as_they_are() -> None:
    error = RuntimeError("something else")
    WrappedModelStrategy().on_exception(error)
    assert str(error) == "something else"
