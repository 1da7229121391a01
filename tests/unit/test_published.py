"""Safetensors files are loaded wherever weights are, and what is wrong with them is one error."""

from __future__ import annotations

import io
import json
import struct
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mm2pl import checkpoint, published
from mm2pl.errors import BrokenCheckpointError, CheckpointError, MissingPackageError
from mm2pl.mmengine.fileio import get_file_backend
from mm2pl.mmengine.infer._checkpoint_config import config_in
from mm2pl.mmengine.model import initialize
from mm2pl.mmengine.runner import CheckpointLoader, load_checkpoint
from mm2pl.mmengine.runner.checkpoint import _load_checkpoint_with_prefix
from mm2pl.mmengine.utils.dl_utils import load_url
from mm2pl.runner import Runner
from tests.unit.mmengine.runner.checkpoint_cases import homes, served
from tests.unit.test_runner import config

META: dict[str, Any] = {
    "epoch": 3,
    "cfg": "a = 1",
    "seed": None,
    "number as text": "12",
    "best": 0.5,
    "dataset_meta": {
        "classes": ("a", "b"),
        "palette": [(1, 2, 3), (4, 5, 6)],
        "names": {0: "x", (1, (2, 3)): ("y", [("z",)])},
        "empty": ((), {}),
    },
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def model() -> nn.Module:
    return nn.Sequential(OrderedDict(a=nn.Linear(2, 3), b=nn.BatchNorm1d(3)))


def filled() -> nn.Module:
    made = model()
    for number, value in enumerate(made.state_dict().values()):
        value.fill_(number + 1)
    return made


def write(path: str = "x.safetensors", weights: Any = None, meta: Any = META) -> list[str]:
    data, notes = published.pack(weights or filled().state_dict(), meta, path)
    Path(path).write_bytes(data)
    return notes


def same(weights: Any, others: Any) -> bool:
    alike = set(weights) == set(others)
    return alike and all(torch.equal(weights[name], others[name]) for name in weights)


def test_weights_meta_and_module_versions_come_back_as_they_were() -> None:
    assert write() == []
    read = checkpoint.read("x.safetensors")
    assert same(read["state_dict"], filled().state_dict())
    assert read["state_dict"]._metadata == filled().state_dict()._metadata
    assert read["meta"] == META


def test_an_inferencer_finds_the_config_in_them() -> None:
    write()
    assert config_in(checkpoint.read("x.safetensors"), "x.safetensors").a == 1


def test_arrays_in_meta_come_back_with_their_dtype() -> None:
    sigmas = np.array([0.5, 0.25], np.float32)
    write(meta={"dataset_meta": {"sigmas": sigmas, "number": np.float64(2.5)}})
    read = checkpoint.read("x.safetensors")["meta"]["dataset_meta"]
    assert read["sigmas"].dtype == np.float32
    assert read["sigmas"].tolist() == [0.5, 0.25]
    assert read["number"] == 2.5


def test_meta_is_text_and_json_to_other_readers() -> None:
    write()
    data = Path("x.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    entries = json.loads(data[8 : 8 + length])["__metadata__"]
    assert entries["cfg"] == "a = 1"
    assert json.loads(entries["dataset_meta"])["classes"] == ["a", "b"]


def test_what_is_no_text_is_left_out_with_a_note() -> None:
    assert write(meta={"epoch": 1, "cfg": {"a": {1, 2}}}) == [
        "meta.cfg is left out: it holds a set"
    ]
    assert checkpoint.read("x.safetensors")["meta"] == {"epoch": 1}


def test_weights_that_share_memory_or_are_views_are_written_each() -> None:
    base = torch.arange(6.0).reshape(2, 3)
    weights = {"a": base, "b": base, "c": base.t(), "d": base[1], "e": torch.zeros(0)}
    assert write(weights=weights) == ["weights that share memory are written one by one: 2"]
    assert same(checkpoint.read("x.safetensors")["state_dict"], weights)


def test_what_is_no_tensor_is_left_out_with_a_note() -> None:
    weights = {"a": torch.zeros(1), "a._extra_state": {"x": 1}}
    assert write(weights=weights) == ["a._extra_state is left out: it is a dict, not a tensor"]


@pytest.mark.parametrize(
    "weight",
    [torch.zeros(2).to_sparse(), torch.zeros(1, dtype=torch.complex128)],
    ids=["sparse", "complex128"],
)
def test_a_kind_of_tensor_that_the_format_lacks_is_named(weight: torch.Tensor) -> None:
    with pytest.raises(CheckpointError, match=r"x\.safetensors cannot hold"):
        write(weights={"a": weight})


def test_a_file_of_another_program_is_read() -> None:
    save_file({"a.weight": torch.ones(3, 2)}, "x.safetensors", {"author": "me"})
    read = checkpoint.read("x.safetensors")
    assert read["meta"] == {"author": "me"}
    assert same(read["state_dict"], {"a.weight": torch.ones(3, 2)})


@pytest.mark.parametrize(
    ("location", "device"),
    [
        (None, "cpu"),
        ("meta", "meta"),
        (torch.device("meta"), "meta"),
        ({"cpu": "meta"}, "meta"),
        ({"cuda:0": "meta"}, "cpu"),
        (lambda storage, location: storage, "cpu"),
        (lambda storage, location: None, "cpu"),
    ],
)
def test_map_location_is_torch_loads(location: Any, device: str) -> None:
    write()
    torch.save(filled().state_dict(), "x.pth")
    read = checkpoint.read("x.safetensors", location)["state_dict"]
    of_torch = checkpoint.read("x.pth", location)
    assert {one.device.type for one in read.values()} == {device}
    assert {one.device.type for one in of_torch.values()} == {device}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
def test_a_missing_device_is_said() -> None:
    write()
    with pytest.raises(CheckpointError, match="cannot be put on cuda"):
        checkpoint.read("x.safetensors", "cuda")


# --------------------------------------------------------------------------- doors


def _loaded_by(load: Callable[[nn.Module, str], Any]) -> Callable[[str], Any]:
    def door(path: str) -> Any:
        target = model()
        load(target, path)
        return target.state_dict()

    return door


def _pretrained(target: nn.Module, path: str) -> None:
    initialize(target, {"type": "Pretrained", "checkpoint": path})


def _memory(path: str) -> Any:
    get_file_backend("memory://x").put(Path(path).read_bytes(), "memory://x.safetensors")
    try:
        return CheckpointLoader.load_checkpoint("memory://x.safetensors", "cpu")["state_dict"]
    finally:
        fsspec.filesystem("memory").rm("/x.safetensors")


def _web(path: str) -> Any:
    with homes(), served(".") as address:
        return CheckpointLoader.load_checkpoint(f"{address}/{path}")["state_dict"]


def _with_prefix(path: str) -> Any:
    parts = {part: _load_checkpoint_with_prefix(part, path) for part in ("a", "b.")}
    return {
        f"{name.rstrip('.')}.{key}": value
        for name, part in parts.items()
        for key, value in part.items()
    }


DOORS: dict[str, Callable[[str], Any]] = {
    "read": lambda path: checkpoint.read(path)["state_dict"],
    "read, open file": lambda path: checkpoint.read(io.BytesIO(Path(path).read_bytes()))[
        "state_dict"
    ],
    "load_checkpoint": _loaded_by(lambda target, path: load_checkpoint(target, path, strict=True)),
    "Pretrained": _loaded_by(_pretrained),
    "prefix": _with_prefix,
    "fsspec": _memory,
    "web": _web,
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_takes_safetensors(door: str) -> None:
    write()
    assert same(DOORS[door]("x.safetensors"), filled().state_dict())


def test_a_download_that_is_trusted_is_taken_too() -> None:
    write()
    with homes(), served(".") as address:
        read = load_url(f"{address}/x.safetensors", weights_only=False)
    assert same(read["state_dict"], filled().state_dict())


def _run(**changes: Any) -> Runner:
    runner = Runner.from_cfg(config(Path("work"), train_cfg={"max_epochs": 1}, **changes))
    runner.train()
    return runner


def test_a_run_starts_from_them_and_does_not_resume_them() -> None:
    weights = {"fc.weight": torch.full((1, 2), 9.0), "fc.bias": torch.full((1,), 9.0)}
    own = Runner.from_cfg(config(Path("work"))).model.state_dict()
    weights = {name: torch.full_like(value, 9) for name, value in own.items()}
    write(weights=weights)
    still = {"optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.0}}}
    started = _run(load_from="x.safetensors", **still)
    assert same(started.model.state_dict(), weights)
    with pytest.raises(CheckpointError, match=r"x\.safetensors holds weights only"):
        _run(load_from="x.safetensors", resume=True)


# --------------------------------------------------------------------------- wrong files


def _header(text: bytes, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(text)) + text + data


def _tensor(offsets: list[int], shape: list[int], dtype: str = "F32") -> bytes:
    entry = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
    return json.dumps({"a": entry}).encode()


BROKEN: dict[str, bytes] = {
    "empty": b"",
    "cut in the length": b"\x10\x00",
    "a length beyond the file": struct.pack("<Q", 10**6) + b"{}",
    "a huge length": struct.pack("<Q", 2**63) + b"{}",
    "the largest length": b"\xff" * 8 + b"{}",
    "no JSON": _header(b"{a}"),
    "a list": _header(b"[]"),
    "nested without end": _header(b'{"a":' * 100_000),
    "an offset behind the end": _header(_tensor([0, 999], [4]), b"0123"),
    "data that are missing": _header(_tensor([0, 16], [4]), b"0123"),
    "data that nobody has": _header(_tensor([0, 4], [1]), b"0123" * 9),
    "offsets the wrong way": _header(_tensor([4, 0], [1]), b"0123"),
    "a shape that does not fit": _header(_tensor([0, 4], [7]), b"0123"),
    "a shape that overflows": _header(_tensor([0, 4], [2**62, 2**62]), b"0123"),
    "a negative shape": _header(_tensor([0, 4], [-1]), b"0123"),
    "an unknown dtype": _header(_tensor([0, 4], [1], "F99"), b"0123"),
    "text": b"these are no weights, but a letter to a friend",
    "metadata of ours that is no JSON": _header(b'{"__metadata__": {"mm2pl": "{"}}'),
    "metadata of ours with a strange path": _header(
        json.dumps({"__metadata__": {"mm2pl": '{"kinds": [[["no", "way"], "tuple"]]}'}}).encode()
    ),
    "metadata of ours with a huge array": _header(
        b'{"__metadata__": {"a": "x", "mm2pl": "{\\"kinds\\": [[[\\"a\\"], \\"S999999\\"]]}"}}'
    ),
    "metadata of ours nested without end": _header(
        json.dumps({"__metadata__": {"mm2pl": "[" * 100_000}}).encode()
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_one_clear_error(name: str) -> None:
    Path("x.safetensors").write_bytes(BROKEN[name])
    for source in ("x.safetensors", io.BytesIO(BROKEN[name])):
        with pytest.raises(BrokenCheckpointError, match=r"x\.safetensors .*broken") as caught:
            checkpoint.read(source, name="x.safetensors")
        assert len(str(caught.value)) < 400


def test_a_file_cut_anywhere_is_one_clear_error() -> None:
    write()
    whole = Path("x.safetensors").read_bytes()
    for length in range(0, len(whole), 37):
        Path("x.safetensors").write_bytes(whole[:length])
        with pytest.raises(BrokenCheckpointError):
            checkpoint.read("x.safetensors")


def test_a_file_is_read_by_what_it_is_not_by_its_name() -> None:
    write("safe.pth")
    torch.save({"state_dict": filled().state_dict()}, "torch.safetensors")
    torch.save(filled().state_dict(), "old.safetensors", _use_new_zipfile_serialization=False)
    assert same(checkpoint.read("safe.pth")["state_dict"], filled().state_dict())
    assert same(checkpoint.read("torch.safetensors")["state_dict"], filled().state_dict())
    assert same(checkpoint.read("old.safetensors"), filled().state_dict())


def test_a_pickle_behind_weights_is_not_looked_at() -> None:
    """As a file may be both: an archive is read from its end."""
    write()
    torch.save({"state_dict": {}}, "y.pth")
    with Path("x.safetensors").open("ab") as file:
        file.write(Path("y.pth").read_bytes())
    with pytest.raises(BrokenCheckpointError, match=r"x\.safetensors"):
        checkpoint.read("x.safetensors")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    write()
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(
        MissingPackageError, match=r"(?s)x\.safetensors needs .*mm2pl\[safetensors\]"
    ):
        checkpoint.read("x.safetensors")
