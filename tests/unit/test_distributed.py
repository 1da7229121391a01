"""How launched processes find each other, and the wrapper that the model gets."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
import torch.distributed as torch_dist
from torch import nn

from mm2pl import distributed, latest_checkpoint
from mm2pl.errors import CheckpointError, ConfigError, ConfigKeyError, ConfigTypeError
from mm2pl.mmengine.dist import utils as dist_utils

SLURM = {
    "SLURM_PROCID": "5",
    "SLURM_NTASKS": "8",
    "SLURM_NODELIST": "node[1-2]",
    "SLURM_LOCALID": "1",
    "MASTER_ADDR": "node1",
}
MPI = {
    "OMPI_COMM_WORLD_RANK": "3",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "MASTER_ADDR": "node1",
}
TORCHRUN = {"LOCAL_RANK": "1", "RANK": "1", "WORLD_SIZE": "2"}


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that plays a launcher; the groups that are made are only recorded."""
    made: list[dict[str, Any]] = []
    monkeypatch.setattr(torch_dist, "init_process_group", lambda **how: made.append(how))
    monkeypatch.setattr(torch_dist, "get_backend", lambda *group: "gloo")
    monkeypatch.setattr(dist_utils.mp, "get_start_method", lambda **_: "fork")
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "")  # what is set from here on is taken back
        monkeypatch.delenv(name)

    def launch(**variables: str) -> list[dict[str, Any]]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return made

    return launch


def group_of_ranks() -> dict[str, str | None]:
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
    return {name: os.environ.get(name) for name in names}


@pytest.mark.proves("launcher.slurm")
def test_slurm_gives_rank_and_size(launched: Any) -> None:
    made = launched(**SLURM)
    distributed.check_launcher("slurm")
    distributed.start_group("slurm", {"backend": "gloo", "port": 29511})
    assert made == [{"backend": "gloo"}]
    assert group_of_ranks() == {
        "RANK": "5",
        "WORLD_SIZE": "8",
        "LOCAL_RANK": "1",
        "MASTER_ADDR": "node1",
        "MASTER_PORT": "29511",
    }


def test_slurm_without_an_address_asks_scontrol(
    launched: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched(**{name: value for name, value in SLURM.items() if name != "MASTER_ADDR"})
    asked: list[list[str]] = []

    def run(command: list[str], **_: Any) -> Any:
        asked.append(command)
        return type("Done", (), {"stdout": "node1\nnode2\n"})()

    monkeypatch.setattr(dist_utils.subprocess, "run", run)
    distributed.start_group("slurm", {"backend": "gloo"})
    assert asked == [["scontrol", "show", "hostname", "node[1-2]"]]
    assert os.environ["MASTER_ADDR"] == "node1"


@pytest.mark.proves("launcher.mpi")
def test_mpi_gives_rank_and_size(launched: Any) -> None:
    made = launched(**MPI)
    distributed.check_launcher("mpi")
    distributed.start_group("mpi", {"backend": "gloo", "timeout": 60})
    assert [one["backend"] for one in made] == ["gloo"]
    assert made[0]["timeout"].total_seconds() == 60
    assert (os.environ["RANK"], os.environ["WORLD_SIZE"]) == ("3", "4")


@pytest.mark.parametrize(
    ("launcher", "variable", "command"),
    [
        ("pytorch", "LOCAL_RANK", "torchrun"),
        ("slurm", "SLURM_PROCID", "srun"),
        ("mpi", "OMPI_COMM_WORLD_RANK", "mpirun"),
    ],
)
def test_a_launcher_that_did_not_start_the_process_is_refused(
    launched: Any, launcher: str, variable: str, command: str
) -> None:
    with pytest.raises(ConfigKeyError, match=variable) as caught:
        distributed.check_launcher(launcher)
    assert caught.value.key_path == "launcher"
    assert command in str(caught.value.hint)


def test_no_launcher_needs_nothing(launched: Any) -> None:
    made = launched()
    distributed.check_launcher("none")
    distributed.start_group("none", None)
    assert made == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_nccl_without_a_gpu_is_refused_with_gloo_as_the_way_out(launched: Any) -> None:
    launched(**TORCHRUN)
    with pytest.raises(ConfigError, match="nccl") as caught:
        distributed.start_group("pytorch", {})
    assert caught.value.key_path == "dist_cfg.backend"
    assert "gloo" in str(caught.value.hint)


class Norms(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)


def test_sync_bn_puts_synchronized_norms_into_the_model() -> None:
    model = distributed.synchronize_norms(Norms(), "torch")
    assert isinstance(model.norm, nn.SyncBatchNorm)


def test_without_sync_bn_the_model_stays_as_it_is() -> None:
    model = Norms()
    assert distributed.synchronize_norms(model, None) is model
    assert type(model.norm) is nn.BatchNorm2d


def test_an_unknown_sync_bn_names_its_key(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        distributed.synchronize_norms(Norms(), "apex", "strategy")
    assert caught.value.key_path == "strategy.sync_bn"
    assert "cfg.sync_bn" in capsys.readouterr().out


def test_an_unknown_wrapper_names_its_key_and_the_nearest() -> None:
    with pytest.raises(ConfigError, match="MMDistributedDataParalel") as caught:
        distributed.wrap(nn.Linear(1, 1), {"type": "MMDistributedDataParalel"})
    assert str(caught.value.key_path).startswith("model_wrapper_cfg")
    assert "MMDistributedDataParallel" in caught.value.choices


def test_a_wrapped_model_and_a_wrappers_config_exclude_each_other() -> None:
    with pytest.raises(ConfigTypeError, match="wrapped already"):
        distributed.check_wrapped({"type": "MMDistributedDataParallel"})


def test_the_model_proper_is_found_in_a_wrapper_and_without_one() -> None:
    model = nn.Linear(1, 1)
    assert distributed.without_wrapper(nn.DataParallel(model)) is model
    assert distributed.without_wrapper(model) is model


def play_two(monkeypatch: pytest.MonkeyPatch, other: tuple[str, str] | None) -> list[Any]:
    """Play the first of two processes; the other tells this. Return what the first tells."""
    told: list[Any] = []

    def gather(data: Any) -> list[Any]:
        told.append(data)
        return [data, other]

    monkeypatch.setattr(distributed, "all_gather_object", gather)
    return told


class TestTogether:
    def test_what_fails_in_another_process_fails_here_with_its_reason(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        play_two(monkeypatch, ("FileNotFoundError", "no a.pth"))
        expected = "process 1 of 2 could not read it: FileNotFoundError: no a.pth"
        with pytest.raises(CheckpointError, match=expected), distributed.together("read it"):
            pass

    def test_what_fails_here_is_told_and_raised_as_it_is(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = play_two(monkeypatch, ("FileNotFoundError", "no a.pth"))
        with pytest.raises(KeyError, match="lost"), distributed.together("read it"):
            raise KeyError("lost")
        assert told == [("KeyError", "'lost'")]

    def test_nothing_happens_where_all_succeed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        told = play_two(monkeypatch, None)
        with distributed.together("read it"):
            told.append("read")
        assert told == ["read", None]


def test_the_first_process_says_what_all_go_on_from(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its work_dir may be one that no other machine sees."""
    monkeypatch.setattr(latest_checkpoint, "is_main_process", lambda: False)
    monkeypatch.setattr(
        latest_checkpoint, "broadcast_object_list", lambda one: one.__setitem__(0, "/a/epoch_3.pth")
    )
    assert latest_checkpoint.newest_good(str(tmp_path), print) == "/a/epoch_3.pth"
