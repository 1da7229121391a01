"""What of mmengine.dist is ours alone, or needs another backend than is here."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
import torch.distributed as torch_dist

from mm2pl.errors import UnsupportedError
from mm2pl.mmengine.dist import (
    all_reduce_params,
    collect_results,
    dist,
    get_backend,
    get_comm_device,
    get_dist_info,
    get_local_rank,
    init_dist,
    init_local_group,
    is_distributed,
    utils,
)


@pytest.fixture(autouse=True)
def _leave_nothing() -> Iterator[None]:
    method = torch.multiprocessing.get_start_method(allow_none=True)
    with mock.patch.dict(os.environ):
        yield
    torch.multiprocessing.set_start_method(method, force=True)
    if torch_dist.is_initialized():
        torch_dist.destroy_process_group()


@pytest.fixture
def group(tmp_path: Path) -> None:
    torch_dist.init_process_group("gloo", f"file://{tmp_path}/store", rank=0, world_size=1)


@pytest.fixture
def initialized(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What ``init_process_group`` was called with, instead of its being called."""
    seen: dict[str, Any] = {}
    monkeypatch.setattr(utils.torch_dist, "init_process_group", lambda **kw: seen.update(kw))
    return seen


@pytest.mark.proves("env_cfg.dist_cfg.{init_method,rank,world_size}")
def test_init_dist_works_with_gloo_and_no_gpu(tmp_path: Path) -> None:
    os.environ["LOCAL_RANK"] = "0"
    method = f"file://{tmp_path}/store"
    init_dist("pytorch", backend="gloo", init_method=method, rank=0, world_size=1)
    assert (is_distributed(), get_backend(), get_dist_info()) == (True, "gloo", (0, 1))


@pytest.mark.proves("env_cfg.dist_cfg.timeout")
def test_timeout_is_in_seconds(initialized: dict[str, Any]) -> None:
    os.environ["LOCAL_RANK"] = "0"
    init_dist("pytorch", backend="gloo", timeout=90)
    assert initialized["timeout"].total_seconds() == 90
    assert initialized["backend"] == "gloo"


@pytest.mark.proves("launcher.mpi")
@pytest.mark.proves("env_cfg.dist_cfg.{backend,store,group_name,pg_options,device_id}")
@pytest.mark.proves("env_cfg.dist_cfg.{init_method,world_size,rank}")
def test_further_arguments_are_those_of_torchs_group(initialized: dict[str, Any]) -> None:
    os.environ["LOCAL_RANK"] = "0"
    names = ("store", "group_name", "pg_options", "device_id", "init_method", "world_size", "rank")
    given = {name: object() for name in names}
    init_dist("pytorch", backend="gloo", **given)
    assert initialized == {"backend": "gloo", **given}


def test_mpi_takes_ranks_from_open_mpi(initialized: dict[str, Any]) -> None:
    os.environ.update(
        MASTER_ADDR="host",
        OMPI_COMM_WORLD_LOCAL_RANK="1",
        OMPI_COMM_WORLD_RANK="3",
        OMPI_COMM_WORLD_SIZE="4",
    )
    init_dist("mpi", backend="gloo")
    found = [os.environ[name] for name in ("RANK", "WORLD_SIZE", "MASTER_PORT")]
    assert found == ["3", "4", "29500"]


def test_mpi_needs_the_address_of_the_master(initialized: dict[str, Any]) -> None:
    os.environ["OMPI_COMM_WORLD_LOCAL_RANK"] = "0"
    os.environ.pop("MASTER_ADDR", None)
    with pytest.raises(KeyError, match="MASTER_ADDR is not set"):
        init_dist("mpi", backend="gloo")


@pytest.mark.proves("launcher.slurm", "env_cfg.dist_cfg.port")
def test_slurm_takes_ranks_and_the_first_host_from_slurm(
    initialized: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def scontrol(command: list[str], **kwargs: Any) -> SimpleNamespace:
        assert command == ["scontrol", "show", "hostname", "node[3-4]"]
        return SimpleNamespace(stdout="node3\nnode4\n")

    monkeypatch.setattr(subprocess, "run", scontrol)
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        os.environ.pop(name, None)
    os.environ.update(
        SLURM_PROCID="5", SLURM_NTASKS="8", SLURM_NODELIST="node[3-4]", SLURM_LOCALID="1"
    )
    init_dist("slurm", backend="gloo", port=12345)
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    assert [os.environ[name] for name in names] == ["5", "1", "8", "node3", "12345"]
    assert "port" not in initialized


@pytest.mark.proves("env_cfg.dist_cfg.init_backend")
def test_unknown_init_backend_is_refused(initialized: dict[str, Any]) -> None:
    os.environ["LOCAL_RANK"] = "0"
    with pytest.raises(ValueError, match="but got nonsense"):
        init_dist("pytorch", init_backend="nonsense")


def test_colossalai_is_said_to_be_unsupported() -> None:
    os.environ["LOCAL_RANK"] = "0"
    with pytest.raises(UnsupportedError, match=r"colossalai.*is not supported"):
        init_dist("pytorch", init_backend="colossalai")


def test_local_group_ends_with_the_default_group(tmp_path: Path, group: None) -> None:
    init_local_group(0, 1)
    assert get_local_rank() == 0
    torch_dist.destroy_process_group()
    torch_dist.init_process_group("gloo", f"file://{tmp_path}/other", rank=0, world_size=1)
    with pytest.raises(RuntimeError, match="init_local_group"):
        get_local_rank()
    init_local_group(0, 1)
    assert get_local_rank() == 0


def test_messages_go_where_the_backend_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utils, "get_backend", lambda group: "nccl")
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert get_comm_device() == torch.device("cuda", 1)


def test_collecting_over_the_cpu_beside_nccl_uses_one_gloo_group(
    group: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    gathered, default = [], torch_dist.group.WORLD

    def gather_object(part: list[str], group: Any) -> list[list[str]]:
        gathered.append(group)
        return [part, ["b", "d"]]

    monkeypatch.setattr(dist, "get_comm_device", lambda: torch.device("cuda"))
    monkeypatch.setattr(dist, "get_world_size", lambda group=None: 2)
    monkeypatch.setattr(dist, "get_dist_info", lambda group=None: (0, 2))
    monkeypatch.setattr(dist, "gather_object", gather_object)
    results = [collect_results(["a", "c"], 3, tmpdir="not used") for _ in range(2)]
    assert results == [["a", "b", "c"]] * 2
    assert gathered[0] is gathered[1]
    assert gathered[0] not in (None, default)
    assert torch_dist.get_backend(gathered[0]) == "gloo"


def test_buckets_hold_one_type_and_are_sent_when_they_are_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[tuple[torch.dtype, int]] = []
    monkeypatch.setattr(dist, "get_world_size", lambda group=None: 2)
    monkeypatch.setattr(dist, "all_reduce", lambda t, op, group: sent.append((t.dtype, len(t))))
    half_a_megabyte = torch.zeros(2**17)
    integers = torch.zeros(3, dtype=torch.int64)
    tensors = [half_a_megabyte, integers, *[half_a_megabyte] * 3, integers]
    all_reduce_params(tensors, bucket_size_mb=1)
    full = (torch.float32, 2**18)
    assert sent == [full, full, (torch.int64, 6)]
